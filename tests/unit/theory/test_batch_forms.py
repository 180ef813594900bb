"""Closed forms of batch size and SVAG against the fixed point of the norm recursion."""

import numpy as np
import pytest

from ilr_check.theory.batches import batch_trace, scaled_fourth_power, svag_fourth_power
from ilr_check.theory.sgd import next_squared_norm_on_sphere


@pytest.mark.parametrize("order", [1.0, 2.0, 8.0])
def test_svag_is_at_rest_in_the_recursion_of_its_steps(order: float) -> None:
    trace, mean2, lr, decay = 3.0, 2.0, 0.7, 0.1
    r2 = np.sqrt(svag_fourth_power(trace, mean2, lr, decay, order))
    G2 = mean2 + order * trace
    assert next_squared_norm_on_sphere(r2, G2, lr / order, decay) == pytest.approx(r2, rel=1e-13)


def test_svag_is_linear_in_one_over_the_order_and_ends_at_the_sde() -> None:
    trace, mean2, lr, decay = 3.0, 2.0, 0.7, 0.1
    order = 10.0 ** np.arange(4)
    found = svag_fourth_power(trace, mean2, lr, decay, order) * (2.0 - lr * decay / order) * decay / lr
    assert found == pytest.approx(trace + mean2 / order, rel=1e-10)
    sde = lr * trace / (2 * decay)
    assert svag_fourth_power(trace, mean2, lr, decay, 1e5) == pytest.approx(sde, rel=1e-4)


def test_linear_scaling_breaks_where_mean_gradient_and_noise_are_equal() -> None:
    """From the equilibrium at B and k B, with eta and k eta, as lambda_e vanishes."""
    trace, mean2, size, lr, decay = 40.0, 0.3, 16, 1e-3, 1e-6
    first = svag_fourth_power(batch_trace(trace, size), mean2, lr, decay, 1.0)
    k = np.array([1.0, 2.0, 8.0])
    scaled = svag_fourth_power(batch_trace(trace, size * k), mean2, lr * k, decay, 1.0)
    ratio = mean2 / batch_trace(trace, size)
    assert scaled / first == pytest.approx(scaled_fourth_power(ratio, k), rel=1e-7)
    assert scaled_fourth_power(ratio, 1.0 / ratio) == pytest.approx(2.0 / (1.0 + ratio))
