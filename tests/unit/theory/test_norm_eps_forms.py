"""The law of eps on a function of which everything is known by hand: L = w / sqrt(w^2 + eps)."""

import numpy as np
import pytest

from ilr_check.theory.norm_eps import next_squared_norm_with_eps, radial_product
from ilr_check.theory.sgd import next_squared_norm


@pytest.mark.parametrize(("w", "eps"), [(1.0, 1e-3), (0.3, 2.0), (-5.0, 0.1)])
def test_radial_product_of_a_norm_of_one_number(w: float, eps: float) -> None:
    slope_w = eps * (w * w + eps) ** -1.5
    slope_eps = -0.5 * w * (w * w + eps) ** -1.5
    assert radial_product(eps, slope_eps) == pytest.approx(w * slope_w, rel=1e-14)


@pytest.mark.parametrize(("lr", "decay"), [(0.1, 0.0), (0.1, 0.5), (1.0, 1.0)])
def test_next_norm_is_that_of_the_step_itself(lr: float, decay: float) -> None:
    w, g = np.array([1.0, -2.0, 0.5]), np.array([0.3, 0.1, -0.7])
    after = w - lr * (g + decay * w)
    predicted = next_squared_norm_with_eps(w @ w, g @ g, lr, decay, g @ w)
    assert predicted == pytest.approx(after @ after, rel=1e-14)


def test_without_a_product_it_is_the_recursion_of_sgd() -> None:
    args = (4.0, 0.3, 0.1, 0.2)
    assert next_squared_norm_with_eps(*args, 0.0) == next_squared_norm(*args)
