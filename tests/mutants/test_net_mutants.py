"""gradient-orthogonality refutes nets that lack the scale invariance that the theory assumes."""

from collections.abc import Callable

import msgspec
import pytest
import torch
from torch import Tensor

from ilr_check.claims.exact import gradient_orthogonality
from ilr_check.data import TeacherStudentSpec
from ilr_check.nets import norms
from ilr_check.nets.specs import Activation, CNNSpec, MLPSpec, NetSpec, NormKind, NormSpec, ResNetSpec
from ilr_check.optim.hyper import HyperParams
from ilr_check.optim.schedules import Constant
from ilr_check.train.loop import Setting

MLP = MLPSpec(inputs=8, widths=(6, 5), classes=4)
RIGHT_NETS: dict[str, NetSpec] = {
    "batch norm MLP": MLP,
    "layer norm MLP": msgspec.structs.replace(MLP, norm=NormSpec(kind="layer")),
    "group norm MLP with biases": MLPSpec(
        inputs=8, widths=(6, 6), classes=4, norm=NormSpec(kind="group", groups=2), bias=True
    ),
    "instance norm CNN": CNNSpec(image=(1, 4, 4), channels=(3, 4), classes=4, norm=NormSpec(kind="instance")),
    "pre-residual net": ResNetSpec(shape=(8,), width=6, blocks=2, classes=4, residual="pre"),
    "post-residual net": ResNetSpec(shape=(8,), width=6, blocks=2, classes=4, residual="post"),
}


def setting(net: NetSpec) -> Setting:
    return Setting(
        net=net,
        data=TeacherStudentSpec(inputs=net.inputs, classes=net.classes),
        hyper=HyperParams(lr=0.3, weight_decay=0.04, batch_size=16, steps=5),
        lr_schedule=Constant(),
        decay_schedule=Constant(),
    )


@pytest.mark.parametrize("name", RIGHT_NETS)
def test_a_right_net_passes(name: str) -> None:
    assert gradient_orthogonality.check(setting(RIGHT_NETS[name])).ratio <= 1.0


Normalise = Callable[[Tensor, NormSpec], Tensor]


def _parts(x: Tensor, spec: NormSpec) -> tuple[Tensor, Tensor, Tensor]:
    sets, dims = norms.as_sets(x, spec)
    centred = sets - sets.mean(dims, keepdim=True)
    return sets, centred, centred.square().mean(dims, keepdim=True)


def eps_added(eps: float) -> Normalise:
    def normalise(x: Tensor, spec: NormSpec) -> Tensor:
        _, centred, var = _parts(x, spec)
        return (centred / (var + eps).sqrt()).reshape(x.shape)

    return normalise


def variance_detached(x: Tensor, spec: NormSpec) -> Tensor:
    """The forward pass is right, and the backward pass forgets the variance."""
    _, centred, var = _parts(x, spec)
    return (centred / var.detach().sqrt()).reshape(x.shape)


def stale_statistics(x: Tensor, spec: NormSpec) -> Tensor:
    """Running statistics of an untrained layer, as in eval mode: mean 0, variance 1."""
    return x


def mean_alone(x: Tensor, spec: NormSpec) -> Tensor:
    """The mean is subtracted, and nothing is divided."""
    return _parts(x, spec)[1].reshape(x.shape)


def shift_before(x: Tensor, spec: NormSpec) -> Tensor:
    """A fixed shift of some features in front of the norm, such as a bias that is not trained."""
    shift = torch.linspace(0.0, 1.0, x.shape[1], dtype=x.dtype)
    return norms.normalise(x + shift, spec)


def affine_after(x: Tensor, spec: NormSpec) -> Tensor:
    """Correct: with a scale and a shift behind the norm, the weights in front of it stay invariant."""
    ramp = torch.linspace(0.5, 2.0, x.shape[1], dtype=x.dtype)
    return norms.normalise(x, spec) * ramp + ramp


MUTANTS: dict[str, Normalise] = {
    "eps of 1e-3": eps_added(1e-3),
    "torch's default eps of 1e-5": eps_added(1e-5),
    "eps of 1e-12": eps_added(1e-12),
    "variance detached in the backward pass": variance_detached,
    "stale running statistics": stale_statistics,
    "mean taken out, nothing divided": mean_alone,
}


def ratio_with(
    patch: pytest.MonkeyPatch, normalise: Normalise, kind: NormKind, activation: Activation
) -> float:
    net = msgspec.structs.replace(MLP, norm=NormSpec(kind=kind), activation=activation)
    groups = gradient_orthogonality.net_groups(net)  # those of the right net: what the theory speaks about
    patch.setattr(norms.Norm, "forward", lambda self, x: normalise(x, self.spec))
    patch.setattr(gradient_orthogonality, "net_groups", lambda net: groups)
    return gradient_orthogonality.check(setting(net)).ratio


@pytest.mark.parametrize("kind", ["batch", "layer"])
@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_wrong_norm_is_killed(monkeypatch: pytest.MonkeyPatch, mutant: str, kind: NormKind) -> None:
    assert ratio_with(monkeypatch, MUTANTS[mutant], kind, "tanh") > 1.0


def test_a_fixed_shift_is_killed_where_the_norm_does_not_take_it_out(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ratio_with(monkeypatch, shift_before, "layer", "relu") > 1.0


def test_a_fixed_shift_in_front_of_batch_norm_is_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ratio_with(monkeypatch, shift_before, "batch", "relu") <= 1.0


@pytest.mark.parametrize("kind", ["batch", "layer"])
def test_an_affine_map_behind_the_norm_is_right(monkeypatch: pytest.MonkeyPatch, kind: NormKind) -> None:
    assert ratio_with(monkeypatch, affine_after, kind, "relu") <= 1.0


@pytest.mark.parametrize("kind", ["batch", "layer", "group"])
def test_a_spec_with_eps_1e_3_is_killed(kind: NormKind) -> None:
    net = msgspec.structs.replace(MLP, norm=NormSpec(kind=kind, eps=1e-3))
    assert gradient_orthogonality.check(setting(net)).ratio > 1.0


@pytest.mark.parametrize("title", [title for title, _ in gradient_orthogonality.LAW.real("quick")])
def test_every_rival_is_excluded_on_real_data(title: str) -> None:
    example = dict(gradient_orthogonality.LAW.real("quick"))[title]
    short = msgspec.structs.replace(example, hyper=msgspec.structs.replace(example.hyper, steps=2))
    outcome = gradient_orthogonality.check(short)
    assert set(outcome.rivals) == set(gradient_orthogonality.TEXT.rivals)
    assert min(outcome.rivals.values()) >= 100.0
