"""Progress and memory against the recursions whose initial values are forgotten."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ilr_check.theory.progress import decoupled_progress, memory, memory_in_constant_noise, sgd_progress
from ilr_check.theory.relaxation import equilibrium_gamma, gamma_path


def end_of(start: float, lambda_e: float, steps: int) -> float:
    """gamma after so many steps of constant noise, by the recursion."""
    return float(gamma_path(start, np.ones(steps + 1), (1.0 - lambda_e) ** 2)[-1])


@pytest.mark.parametrize("ratio", [0.2, 1.0, 8.0, 500.0])
@pytest.mark.parametrize("progress", [0.4, 1.2, 4.0, 12.0])
def test_memory_is_how_far_the_start_still_counts(ratio: float, progress: float) -> None:
    # d log gamma_t / d log gamma_0 of the recursion; the closed form is its limit for small lambda_e.
    lambda_e, h = 1e-4, 1e-4
    steps = round(progress / (4.0 * lambda_e))
    start = ratio * float(equilibrium_gamma(lambda_e, 1.0))
    up, down = (end_of(start * math.exp(d), lambda_e, steps) for d in (h, -h))
    elasticity = (math.log(up) - math.log(down)) / (2.0 * h)
    s = float(sgd_progress(lambda_e, 1.0, 0.0, steps))
    assert float(memory(start, end_of(start, lambda_e, steps), s)) == pytest.approx(elasticity, rel=0.02)
    assert float(memory_in_constant_noise(ratio, s)) == pytest.approx(elasticity, rel=0.02)


@given(ratio=st.floats(1e-3, 1e3), progress=st.floats(0.0, 50.0))
def test_memory_lies_between_none_and_all(ratio: float, progress: float) -> None:
    share = float(memory_in_constant_noise(ratio, progress))
    assert 0.0 <= share <= 1.0 + 1e-12
    assert float(memory_in_constant_noise(ratio, 0.0)) == pytest.approx(1.0, rel=1e-12)


@pytest.mark.parametrize("progress", [0.0, 0.3, 5.0])
def test_from_equilibrium_on_memory_is_the_exponential(progress: float) -> None:
    assert float(memory_in_constant_noise(1.0, progress)) == pytest.approx(math.exp(-progress), rel=1e-12)


def test_momentum_makes_progress_ten_times_faster() -> None:
    assert sgd_progress(0.1, 5e-4, 0.9, 500) == pytest.approx(sgd_progress(0.1, 5e-4, 0.0, 5000), rel=1e-12)


def test_updates_of_a_fixed_size_forget_at_half_the_rate() -> None:
    # r^2' = a^2 r^2 + eta^2 U^2: what is left of a start is a^(2 t), whatever U.
    eta, lam, steps = 1e-3, 0.1, 40_000
    left = (1.0 - eta * lam) ** (2 * steps)
    assert math.exp(-float(decoupled_progress(eta, lam, steps))) == pytest.approx(left, rel=1e-3)
    assert decoupled_progress(eta, lam, steps) == pytest.approx(0.5 * sgd_progress(eta, lam, 0.0, steps))
