"""Closed forms of depth against quadrature and against the recursion from which they follow."""

import numpy as np
import pytest
from scipy import integrate, stats

from ilr_check.theory.depth import equilibration_time, gradient_growth
from ilr_check.theory.sgd import squared_norm_path


def test_the_growth_is_half_over_the_variance_of_a_rectified_gaussian() -> None:
    def moment(power: int) -> float:
        return float(integrate.quad(lambda x: x**power * stats.norm.pdf(x), 0, np.inf)[0])

    assert gradient_growth() == pytest.approx(0.5 / (moment(2) - moment(1) ** 2), rel=1e-9)


@pytest.mark.parametrize("big", [1e6, 1e10])
def test_after_the_time_only_an_excess_of_order_one_is_left(big: float) -> None:
    lr, wd = 0.1, 0.002
    steps = round(float(equilibration_time(lr, wd, big, 1.0)))
    noise = np.array([big, *[big] * steps])
    path = squared_norm_path(1.0, noise, np.full(steps + 1, lr), np.full(steps + 1, wd))
    # gamma = r^4 / lr^2 goes as gamma* + (gamma_1 - gamma*) / x once e^(-4 lambda_e t) = 1/x.
    x = 2 * lr * wd * lr**2 * big
    left = path[-1] ** 2 / lr**2 * 2 * lr * wd / big
    assert left == pytest.approx(2.0 - 1.0 / x, rel=0.02)


def test_a_norm_that_was_not_blown_up_needs_no_time() -> None:
    assert float(equilibration_time(0.1, 0.02, 1e-6, 1.0)) == 0.0
