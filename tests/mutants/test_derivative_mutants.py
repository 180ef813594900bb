"""The laws of derivatives (homogeneity, noise covariance, Hessian) refute wrong norm layers."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
import torch
from torch import Tensor

from ilr_check.claims.exact import gradient_homogeneity, hessian_euler, noise_covariance
from ilr_check.claims.exact.checks.derivatives import Scaling
from ilr_check.claims.exact.checks.paths import UNDERFLOW
from ilr_check.claims.exact_law import REFUTED
from ilr_check.data import TeacherStudentSpec
from ilr_check.nets import norms
from ilr_check.nets.curvature import Curvature
from ilr_check.nets.specs import AttentionSpec, CNNSpec, MLPSpec, NetSpec, NormSpec, ResNetSpec
from ilr_check.optim.hyper import HyperParams
from ilr_check.optim.schedules import Constant
from ilr_check.train.loop import Dtype, Setting

MLP = MLPSpec(inputs=8, widths=(6, 5), classes=4, activation="tanh")
NETS: dict[str, NetSpec] = {
    "batch norm MLP": MLP,
    "layer norm MLP with biases": msgspec.structs.replace(MLP, norm=NormSpec(kind="layer"), bias=True),
    "RMS norm MLP": msgspec.structs.replace(MLP, norm=NormSpec(kind="rms")),
    "MLP with weight norm": msgspec.structs.replace(MLP, norm=NormSpec(kind="weight_norm")),
    "MLP with standardised weights": msgspec.structs.replace(MLP, norm=NormSpec(kind="weight_standard")),
    "MLP with gains": MLPSpec(inputs=8, widths=(6, 5), classes=4, norm=NormSpec(affine=True)),
    "instance norm CNN": CNNSpec(image=(1, 4, 4), channels=(3, 4), classes=4, norm=NormSpec(kind="instance")),
    "pre-residual net": ResNetSpec(shape=(8,), width=6, blocks=2, classes=4, residual="pre"),
    "post-residual net": ResNetSpec(shape=(8,), width=6, blocks=2, classes=4, residual="post"),
    "attention": AttentionSpec(shape=(3, 4), width=4, blocks=1, heads=2, classes=4),
}
CHECKS = {
    "gradient-homogeneity": gradient_homogeneity,
    "noise-covariance": noise_covariance,
    "hessian-euler": hessian_euler,
}


def example(net: NetSpec, dtype: Dtype = "float64") -> Scaling:
    return Scaling(
        setting=Setting(
            net=net,
            data=TeacherStudentSpec(inputs=net.inputs, classes=net.classes),
            hyper=HyperParams(lr=0.3, weight_decay=0.04, batch_size=16, steps=3),
            lr_schedule=Constant(),
            decay_schedule=Constant(),
            dtype=dtype,
        ),
        powers=(3, -2),
    )


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("claim", CHECKS)
def test_a_right_net_passes(claim: str, net: str, dtype: Dtype) -> None:
    outcome = CHECKS[claim].check(example(NETS[net], dtype))
    assert outcome.ratio <= 1.0
    assert not outcome.skipped


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("claim", CHECKS)
def test_its_rivals_do_not(claim: str, net: str) -> None:
    outcome = CHECKS[claim].check(example(NETS[net]))
    assert set(outcome.rivals) == set(CHECKS[claim].TEXT.rivals)
    assert min(outcome.rivals.values()) >= REFUTED


def with_eps(x: Tensor, spec: NormSpec) -> Tensor:
    sets, dims = norms.as_sets(x, spec)
    centred = sets - sets.mean(dims, keepdim=True)
    return (centred / (centred.square().mean(dims, keepdim=True) + 1e-5).sqrt()).reshape(x.shape)


def variance_detached(x: Tensor, spec: NormSpec) -> Tensor:
    sets, dims = norms.as_sets(x, spec)
    centred = sets - sets.mean(dims, keepdim=True)
    return (centred / centred.square().mean(dims, keepdim=True).detach().sqrt()).reshape(x.shape)


def radial_pull(x: Tensor, spec: NormSpec) -> Tensor:
    """Correct except for a part of degree 1, which a penalty on the pre-activations would add."""
    return norms.normalise(x, spec) + 1e-6 * x


MUTANTS: dict[str, tuple[Callable[[Tensor, NormSpec], Tensor], set[str]]] = {
    "eps of 1e-5": (with_eps, set(CHECKS)),
    # That gradient is homogeneous too; it is not orthogonal, and its derivative is not symmetric.
    "variance detached in the backward pass": (variance_detached, {"noise-covariance", "hessian-euler"}),
    "a part that is not normalised": (radial_pull, set(CHECKS)),
}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("claim", CHECKS)
@pytest.mark.parametrize("kind", ["batch", "layer"])
@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_wrong_norm_is_killed_by_just_these_laws(
    monkeypatch: pytest.MonkeyPatch, mutant: str, kind: Any, claim: str, dtype: Dtype
) -> None:
    normalise, killers = MUTANTS[mutant]
    monkeypatch.setattr(norms.Norm, "forward", lambda self, x: normalise(x, self.spec))
    net = msgspec.structs.replace(MLP, norm=NormSpec(kind=kind))
    outcome = CHECKS[claim].check(example(net, dtype))
    assert not outcome.skipped, "a defect must not pass for underflow"
    assert (outcome.ratio > 1.0) == (claim in killers), f"{outcome.ratio:.3g} bounds"


def test_a_hessian_product_is_the_derivative_of_the_gradient() -> None:
    """Against finite differences, which are right to the root of the unit roundoff."""
    from ilr_check.claims.exact.checks.derivatives import gradients
    from ilr_check.nets import build
    from ilr_check.train.loop import steps_of

    setting = example(MLP).setting
    step, module = next(iter(steps_of(setting))), build(MLP)
    torch.manual_seed(0)
    v = {name: torch.randn_like(w) for name, w in step.before.items()}
    product = Curvature(module, step.before, step.x, step.y).times(v)
    there, here = (
        gradients(module, {n: w + h * v[n] for n, w in step.before.items()}, step.x, step.y)
        for h in (1e-5, -1e-5)
    )
    for name, value in product.values.items():
        torch.testing.assert_close(value, (there[name] - here[name]) / 2e-5, rtol=1e-6, atol=1e-7)


def test_a_second_backward_pass_that_underflows_is_named_a_corner() -> None:
    """Found by the search: decay makes 12 layers tiny in one step, while the first backward pass is in range.

    In float32 dL/dy falls to 6e-43 and the terms of <grad L, v> to 1e-44; the entries of H v that differ are
    of 1e-31, and differ from those in float64 by half.
    """
    net = MLPSpec(
        inputs=1,
        widths=(4,) * 12,
        classes=2,
        norm=NormSpec(kind="layer", affine=True),
        activation="identity",
        head_seed=17,
    )
    setting = msgspec.structs.replace(
        example(net, "float32").setting,
        data=TeacherStudentSpec(inputs=1, classes=2),
        hyper=HyperParams(lr=0.125, weight_decay=8.0, batch_size=2, steps=2),
    )
    outcome = hessian_euler.check(Scaling(setting=setting, powers=(1,)))
    assert outcome.skipped == UNDERFLOW
    assert outcome.steps == 1, "the first step is in range and is judged"
    assert outcome.ratio <= 1.0


@pytest.mark.parametrize("powers", [(), (0,), (0, 0), (17,)])
def test_powers_that_scale_nothing_or_too_much_are_refused(powers: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"must be whole numbers within \[-16, 16\], and one of them not 0"):
        Scaling(setting=example(MLP).setting, powers=powers)
