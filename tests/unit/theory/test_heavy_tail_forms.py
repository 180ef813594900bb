"""The powers of heavy tails against a closed form and a scaling that hold without any of them."""

import math

import numpy as np
import pytest

from ilr_check.theory.heavy_tails import effective_lr_exponent, end_of_drop, linear_gamma_path
from ilr_check.theory.relaxation import gamma_path


@pytest.mark.parametrize(("tail", "exponent"), [(1.0, 1.0), (1.25, 0.8), (2.0, 0.5), (8.0, 0.5)])
def test_the_exponent_is_that_of_the_smaller_of_tail_and_two(tail: float, exponent: float) -> None:
    assert effective_lr_exponent(tail) == exponent
    assert end_of_drop(tail, 100.0) == pytest.approx(100.0**-exponent, rel=1e-15)


def test_the_linear_path_is_the_weighted_sum_of_its_noise() -> None:
    G2 = np.random.default_rng(1).pareto(0.7, (50, 3))
    a2 = 0.9
    weights = 2 * a2 * a2 ** (2.0 * np.arange(48, -1, -1))
    assert linear_gamma_path(5.0, G2, a2)[-1] == pytest.approx(5.0 * a2**98 + weights @ G2[:49], rel=1e-12)


def test_the_linear_path_leaves_out_the_square_of_the_noise() -> None:
    """One step: (a^2 gamma + G^2)^2 / gamma less a^4 gamma + 2 a^2 G^2 is G^4 / gamma."""
    G2 = np.array([[0.5, 40.0], [1.0, 1.0]])
    exact, linear = gamma_path(2.0, G2, 0.81)[1], linear_gamma_path(2.0, G2, 0.81)[1]
    assert exact - linear == pytest.approx(G2[0] ** 2 / 2.0, rel=1e-12)


def test_one_law_of_the_scaled_norm_at_every_lambda() -> None:
    """The same jumps at half the lambda_e: 2^(1/tail) as long, at twice the time.

    Between them the norm decays by the same amount, so that gamma is 2^(2/tail) times larger.
    """
    tail, lambda_e, steps = 1.2, 0.01, 400
    rng = np.random.default_rng(2)
    jumps = np.where(rng.random(steps) < 0.05, rng.pareto(tail, steps) ** 2, 0.0)
    stretched = np.zeros(2 * steps)
    stretched[::2] = 2.0 ** (2.0 / tail) * jumps
    a2 = (1.0 - lambda_e) ** 2
    # Half of the decay comes after the jump; the jump is made larger by that half.
    slow = gamma_path(2.0 ** (2.0 / tail) * 3.0, stretched[:, None] / math.sqrt(a2), math.sqrt(a2))[::2, 0]
    fast = gamma_path(3.0, jumps[:, None], a2)[:, 0]
    assert slow / fast == pytest.approx(2.0 ** (2.0 / tail), rel=1e-10)
