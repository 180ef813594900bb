"""Our norm layers: agreement with torch, bitwise equivariance, the rule for sets without variance."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.func import grad, vmap

from ilr_check.nets import NormSpec, normalise

NORMS = {
    "batch": NormSpec(kind="batch"),
    "layer": NormSpec(kind="layer"),
    "group": NormSpec(kind="group", groups=3),
    "instance": NormSpec(kind="instance"),
    "rms": NormSpec(kind="rms", groups=2),
    "weight_norm": NormSpec(kind="weight_norm"),
    "weight_standard": NormSpec(kind="weight_standard"),
}
DTYPES = {"float32": torch.float32, "float64": torch.float64}
EPS = 1e-3


def numbers(seed: int, *shape: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def scaled_loss(x: torch.Tensor, spec: NormSpec) -> torch.Tensor:
    """A loss whose gradient with respect to the normalised values is not constant."""
    weights = torch.arange(x.numel(), dtype=x.dtype).cos().reshape(x.shape)
    return (normalise(x, spec).sin() * weights).sum()


@pytest.mark.parametrize(
    ("spec", "theirs"),
    [
        (NormSpec(kind="batch", eps=EPS), torch.nn.BatchNorm2d(6, eps=EPS, affine=False)),
        (NormSpec(kind="layer", eps=EPS), torch.nn.GroupNorm(1, 6, eps=EPS, affine=False)),
        (NormSpec(kind="group", groups=3, eps=EPS), torch.nn.GroupNorm(3, 6, eps=EPS, affine=False)),
        (NormSpec(kind="instance", eps=EPS), torch.nn.InstanceNorm2d(6, eps=EPS)),
    ],
    ids=["batch", "layer", "group", "instance"],
)
def test_agrees_with_torch(spec: NormSpec, theirs: torch.nn.Module) -> None:
    x = 3 + numbers(0, 5, 6, 4, 3)
    torch.testing.assert_close(normalise(x, spec), theirs.double()(x), rtol=1e-12, atol=1e-12)


def test_rms_agrees_with_torch() -> None:
    x = 3 + numbers(0, 5, 6)
    theirs = torch.nn.functional.rms_norm(x.reshape(5, 2, 3), (3,), eps=EPS).reshape(5, 6)
    ours = normalise(x, NormSpec(kind="rms", groups=2, eps=EPS))
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("shape", [(4, 6), (4, 3, 2, 2)], ids=["linear", "convolution"])
def test_weight_norm_agrees_with_torch(shape: tuple[int, ...]) -> None:
    weight, gain = numbers(0, *shape), numbers(1, 4, *[1] * (len(shape) - 1))
    ours = gain * normalise(weight, NORMS["weight_norm"]) / weight[0].numel() ** 0.5
    theirs = torch._weight_norm(weight, gain, 0)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


def test_weight_standardisation_is_batch_norm_of_the_transposed_weight() -> None:
    weight = 3 + numbers(0, 4, 6)
    ours, theirs = normalise(weight, NORMS["weight_standard"]), normalise(weight.T, NORMS["batch"]).T
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


def test_slope_in_eps_agrees_with_its_formula() -> None:
    """d/d(eps) of (x - m) / sqrt(v + eps) is -1/2 of it over v + eps."""
    x, eps = numbers(0, 5, 6), torch.tensor(EPS, dtype=torch.float64, requires_grad=True)
    spec = NormSpec(eps=EPS)
    out = normalise(x, spec, eps)
    (slope,) = torch.autograd.grad(out[2, 3], eps)
    variance = x[:, 3].var(unbiased=False) + EPS
    torch.testing.assert_close(slope, (-0.5 * out[2, 3] / variance).detach(), rtol=1e-12, atol=0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", NORMS)
@given(power=st.integers(-20, 20), seed=st.integers(0, 2**32 - 1), rows=st.integers(2, 9))
def test_power_of_two_leaves_output_and_scales_gradient_bitwise(dtype, kind, power, seed, rows) -> None:
    spec, x = NORMS[kind], numbers(seed, rows, 6, 2, 2, dtype=DTYPES[dtype])
    factor = 2.0**power
    assert torch.equal(normalise(factor * x, spec), normalise(x, spec))
    assert torch.equal(factor * grad(scaled_loss)(factor * x, spec), grad(scaled_loss)(x, spec))


def test_another_factor_is_not_bitwise() -> None:
    x = numbers(1, 50, 6)
    assert not torch.equal(normalise(3 * x, NORMS["batch"]), normalise(x, NORMS["batch"]))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("value", [0.0, 1.0, 0.1, 1e-30, -7e30])
@pytest.mark.parametrize("rows", [1, 2, 3, 7, 100])
def test_set_of_equal_numbers_gives_zero_with_zero_gradient(dtype, value, rows) -> None:
    x = torch.full((rows, 3), value, dtype=DTYPES[dtype])
    assert torch.equal(normalise(x, NORMS["batch"]), torch.zeros_like(x))
    assert torch.equal(grad(scaled_loss)(x, NORMS["batch"]), torch.zeros_like(x))


def test_dead_and_live_units_do_not_disturb_each_other() -> None:
    x = numbers(2, 8, 2)
    both = torch.cat([x, torch.full((8, 1), 0.3, dtype=x.dtype)], dim=1)
    slope = grad(scaled_loss)(both, NORMS["batch"])
    assert torch.equal(normalise(both, NORMS["batch"])[:, :2], normalise(x, NORMS["batch"]))
    assert bool(slope[:, :2].abs().min() > 0)
    assert torch.equal(slope[:, 2], torch.zeros(8, dtype=x.dtype))


@pytest.mark.parametrize("kind", NORMS)
def test_vmap_gives_each_member_what_it_gets_alone(kind: str) -> None:
    stack, spec = numbers(3, 4, 5, 6, 3, 3), NORMS[kind]
    together = vmap(grad(lambda x: scaled_loss(x, spec)))(stack)
    alone = torch.stack([grad(scaled_loss)(x, spec) for x in stack])
    torch.testing.assert_close(together, alone, rtol=1e-12, atol=1e-13)


def test_gradient_agrees_with_finite_differences() -> None:
    x = numbers(4, 5, 6).requires_grad_()
    assert torch.autograd.gradcheck(lambda t: normalise(t, NORMS["group"]), (x,))
