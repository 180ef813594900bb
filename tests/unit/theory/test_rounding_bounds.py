"""The rounding bound of the norm recursion holds for any numbers, and it is small enough to be useful."""

import math
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ilr_check.theory.rounding import UNIT_ROUNDOFF, accumulated, norm_recursion_bound

DTYPES = {"float64": torch.float64, "float32": torch.float32}

# Away from the subnormal numbers, where rounding is not relative and the model of the bound does not apply.
entries = st.floats(-1e4, 1e4).map(lambda v: v if abs(v) > 1e-6 else 0.0)
vectors = st.integers(1, 8).flatmap(
    lambda n: st.tuples(*(st.lists(entries, min_size=n, max_size=n) for _ in range(2)))
)


def squared(values: torch.Tensor) -> Fraction:
    return sum((Fraction(v) ** 2 for v in values.tolist()), Fraction(0))


def dot(a: torch.Tensor, b: torch.Tensor) -> Fraction:
    return sum((Fraction(x) * Fraction(y) for x, y in zip(a.tolist(), b.tolist(), strict=True)), Fraction(0))


def residual_and_bound(
    w: list[float], g: list[float], eta: float, lam: float, dtype: str
) -> tuple[float, float]:
    """|r'^2 - a^2 r^2 - eta^2 ||g||^2| of torch's own step in exact arithmetic, and the bound on it."""
    before, gradient = (torch.tensor(v, dtype=DTYPES[dtype]) for v in (w, g))
    parameter = torch.nn.Parameter(before.clone())
    parameter.grad = gradient.clone()
    torch.optim.SGD([parameter], lr=eta, weight_decay=lam).step()
    a = 1 - Fraction(eta) * Fraction(lam)
    r2, g2 = squared(before), squared(gradient)
    residual = squared(parameter.detach()) - a * a * r2 - Fraction(eta) ** 2 * g2
    bound = norm_recursion_bound(
        r=math.sqrt(r2),
        g=math.sqrt(g2),
        eta=eta,
        lam=lam,
        inner_product_bound=abs(float(dot(before, gradient))) * (1 + 1e-14),
        count=len(w),
        dtype=dtype,
    )
    return abs(float(residual)), float(bound)


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=300, deadline=None)
@given(pair=vectors, eta=st.floats(1e-4, 10.0), lam=st.floats(0.0, 0.19))
def test_no_step_leaves_the_bound(
    dtype: str, pair: tuple[list[float], list[float]], eta: float, lam: float
) -> None:
    residual, bound = residual_and_bound(*pair, eta, lam, dtype)
    assert residual <= bound


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_bound_is_a_few_roundings_of_the_terms(dtype: str) -> None:
    _, bound = residual_and_bound([3.0, 0.0], [0.0, 4.0], 0.1, 0.1, dtype)
    assert bound < 40 * UNIT_ROUNDOFF[dtype] * (3.0 * 1.01 + 0.4) ** 2


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("wrong", ["a instead of a^2", "no decay of lr^2"])
def test_a_wrong_law_leaves_the_bound_far_behind(dtype: str, wrong: str) -> None:
    r, g, eta, lam = 3.0, 4.0, 0.1, 0.1
    a = 1 - eta * lam
    _, bound = residual_and_bound([r, 0.0], [0.0, g], eta, lam, dtype)
    shift = {"a instead of a^2": (a - a * a) * r * r, "no decay of lr^2": (1 - a * a) * eta**2 * g * g}[wrong]
    assert shift > 100 * bound


@pytest.mark.parametrize("dtype", UNIT_ROUNDOFF)
def test_the_unit_roundoff_is_half_the_spacing_at_one(dtype: str) -> None:
    assert torch.finfo(getattr(torch, dtype)).eps / 2 == UNIT_ROUNDOFF[dtype]


def test_a_sum_of_n_terms_errs_by_gamma_n() -> None:
    u = 2.0**-24
    assert accumulated(1000, "float32") == pytest.approx(1000 * u / (1 - 1000 * u))


@settings(max_examples=100)
@given(values=st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=200))
def test_a_sum_in_float32_stays_within_gamma_n(values: list[float]) -> None:
    found = Fraction(float(torch.tensor(values, dtype=torch.float32).sum()))
    exact = sum((Fraction(v) for v in values), Fraction(0))
    size = sum((abs(Fraction(v)) for v in values), Fraction(0))
    # A subnormal sum is exact; its relative bound would be below the smallest number.
    assert abs(found - exact) <= Fraction(accumulated(len(values), "float32")) * size


def test_a_sum_that_is_too_long_says_so() -> None:
    with pytest.raises(ValueError, match="a sum of 200 terms in bfloat16 has no useful bound; use float64"):
        accumulated(200, "bfloat16")
