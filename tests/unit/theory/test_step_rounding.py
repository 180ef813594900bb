"""The bounds on one step hold for torch's own step on any numbers, and they are small."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ilr_check.theory.heavy_ball import next_inner_product_from_buffer
from ilr_check.theory.sgd import effective_lr_of_rotation, next_direction, rotation_cosine, rotation_sine
from ilr_check.theory.step_rounding import (
    StepSizes,
    buffer_error,
    cosine_error,
    direction_error,
    effective_lr_error,
    inner_product_error,
    log_cosine_error,
    momentum_error,
    roundings,
    sine_error,
    squared_norm_error,
    step_error,
    turned_error,
)

DTYPES = {"float64": torch.float64, "float32": torch.float32}


def norm(v: np.ndarray) -> float:
    return float(np.linalg.norm(v))


class Taken:
    """One step of torch's SGD from random weights, with a gradient that is orthogonal up to rounding."""

    def __init__(self, seed: int, count: int, size: float, eta: float, lam: float, dtype: str) -> None:
        rng = np.random.default_rng(seed)
        w, g = rng.standard_normal((2, count))
        if count > 1:
            g -= w * (w @ g) / (w @ w)
        before, gradient = (torch.tensor(v, dtype=DTYPES[dtype]) for v in (w, size * g))
        parameter = torch.nn.Parameter(before.clone())
        parameter.grad = gradient.clone()
        torch.optim.SGD([parameter], lr=eta, weight_decay=lam).step()
        self.w, self.g, self.after = (v.detach().double().numpy() for v in (before, gradient, parameter))
        # Twice, for the rounding of the product itself.
        inner = 2.0 * abs(math.fsum(self.w * self.g)) + 1e-300
        self.s = StepSizes(norm(self.w), norm(self.after), norm(self.g), eta, lam, inner, count, dtype)
        self.inner = float(self.w @ self.after)
        self.turned = norm(self.after - self.inner / float(self.w @ self.w) * self.w)


def _step(t: Taken) -> tuple[float, float]:
    exact = np.longdouble(1) - np.longdouble(t.s.eta) * np.longdouble(t.s.lam)
    wanted = exact * t.w.astype(np.longdouble) - np.longdouble(t.s.eta) * t.g.astype(np.longdouble)
    return float(np.linalg.norm((t.after - wanted).astype(float))), step_error(t.s)


def _square(t: Taken) -> tuple[float, float]:
    return t.s.r_next**2 - t.s.a**2 * t.s.r**2 - t.s.eta**2 * t.s.g**2, squared_norm_error(t.s)


def _inner(t: Taken) -> tuple[float, float]:
    return t.inner - t.s.a * t.s.r**2, inner_product_error(t.s)


def _turned(t: Taken) -> tuple[float, float]:
    return t.turned - t.s.eta * t.s.g, turned_error(t.s)


def _cosine(t: Taken) -> tuple[float, float]:
    predicted = float(rotation_cosine(t.s.r, t.s.r_next, t.s.eta, t.s.lam))
    return t.inner / (t.s.r * t.s.r_next) - predicted, cosine_error(t.s)


def _sine(t: Taken) -> tuple[float, float]:
    return t.turned / t.s.r_next - float(rotation_sine(t.s.r_next, t.s.g, t.s.eta)), sine_error(t.s)


def _direction(t: Taken) -> tuple[float, float]:
    predicted = next_direction(t.w / t.s.r, t.g * t.s.r, t.s.eta / t.s.r**2, t.s.a)
    return norm(t.after / t.s.r_next - predicted), direction_error(t.s)


def _effective_lr(t: Taken) -> tuple[float, float]:
    bound = effective_lr_error(t.s)
    if not math.isfinite(bound):
        return 0.0, 1.0
    tangent = t.turned * t.s.r / t.inner
    found = float(effective_lr_of_rotation(tangent, t.s.r, t.s.g, t.s.eta, t.s.lam))
    return math.log(found * t.s.r**2 / t.s.eta), bound


def _log_cosine(t: Taken) -> tuple[float, float]:
    bound = log_cosine_error(t.s)
    if not math.isfinite(bound):
        return 0.0, 1.0
    rotation = -math.log(abs(t.inner) / (t.s.r * t.s.r_next))
    return rotation + math.log(abs(t.s.a)) - math.log(t.s.r_next / t.s.r), bound


QUANTITIES: dict[str, Callable[[Taken], tuple[float, float]]] = {
    "step": _step,
    "squared norm": _square,
    "inner product": _inner,
    "turned part": _turned,
    "cosine": _cosine,
    "sine": _sine,
    "direction": _direction,
    "effective LR": _effective_lr,
    "log cosine": _log_cosine,
}

decades = st.floats(-6, 4).map(lambda e: 10.0**e)


@pytest.mark.parametrize("quantity", QUANTITIES)
@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    count=st.integers(2, 60),
    size=decades,
    eta=decades | st.just(0.0),
    intrinsic=st.just(0.0) | st.floats(1e-6, 1.9) | st.just(1.0),
)
def test_no_step_leaves_its_bound(
    quantity: str, dtype: str, seed: int, count: int, size: float, eta: float, intrinsic: float
) -> None:
    taken = Taken(seed, count, size, eta, intrinsic / eta if eta else intrinsic, dtype)
    assume(taken.s.r_next > 0)
    residual, bound = QUANTITIES[quantity](taken)
    assert abs(residual) <= bound


@pytest.mark.parametrize("quantity", QUANTITIES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_bound_is_a_few_hundred_roundings(quantity: str, dtype: str) -> None:
    taken = Taken(0, 20, 1.0, 0.3, 0.1, dtype)
    _, bound = QUANTITIES[quantity](taken)
    assert bound <= 300 * torch.finfo(DTYPES[dtype]).eps * max(1.0, taken.s.r**2)


@pytest.mark.parametrize("intrinsic", [1.0, 1.0 - 2.0**-53])
def test_a_right_angle_has_no_logarithm(intrinsic: float) -> None:
    taken = Taken(0, 20, 1.0, 0.5, 2.0 * intrinsic, "float64")
    assert log_cosine_error(taken.s) == math.inf
    assert effective_lr_error(taken.s) == math.inf


def test_a_step_that_turns_nothing_has_no_effective_lr() -> None:
    assert effective_lr_error(Taken(0, 20, 0.0, 0.5, 0.1, "float64").s) == math.inf


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    mu=st.floats(0.0, 0.999),
    etas=st.lists(st.floats(0.0, 1.0), min_size=1, max_size=6),
)
def test_torchs_buffer_stays_within_its_bound(dtype: str, seed: int, mu: float, etas: list[float]) -> None:
    """The buffer in float64 from gradients and weights alone, against torch's, and <w, w'> with it."""
    rng, lam, count = np.random.default_rng(seed), 0.3, 12
    parameter = torch.nn.Parameter(torch.tensor(rng.standard_normal(count), dtype=DTYPES[dtype]))
    optimizer = torch.optim.SGD([parameter], lr=1.0, weight_decay=lam, momentum=mu)
    buffer, error = np.zeros(count), 0.0
    for eta in etas:
        optimizer.param_groups[0]["lr"] = eta
        w = parameter.detach().double().numpy().copy()
        raw = rng.standard_normal(count)
        parameter.grad = torch.tensor(raw - w * (w @ raw) / (w @ w), dtype=DTYPES[dtype])
        g = parameter.grad.double().numpy()
        optimizer.step()
        after = parameter.detach().double().numpy()
        inner = 2.0 * abs(math.fsum(w * g)) + 1e-300
        s = StepSizes(norm(w), norm(after), norm(g), eta, lam, inner, count, dtype)
        along = float(buffer @ w)
        error = buffer_error(s, mu=mu, b=norm(buffer), before=error)
        buffer = mu * buffer + g + lam * w
        if mu:
            held = optimizer.state[parameter]["momentum_buffer"].double().numpy()
            assert norm(held - buffer) <= error
        predicted = next_inner_product_from_buffer(r2=s.r**2, along=along, mu=mu, eta=eta, lam=lam)
        bound = momentum_error(s, b=norm(buffer), error=error) + 1e-14 * eta * abs(along)
        assert abs(float(w @ after) - predicted) <= bound


def test_roundings_of_nothing_are_underflow_alone() -> None:
    assert 0.0 < roundings(0.0, 4, "float32") == 12.0 * 2.0**-149
