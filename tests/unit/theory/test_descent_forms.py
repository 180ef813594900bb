"""Closed forms of full-batch descent against maps and sums written out by hand."""

import math

import numpy as np
import pytest

from ilr_check.theory import descent


@pytest.mark.parametrize("rate", [0.002, 0.008, 0.032])
def test_free_growth_is_that_of_phi_without_a_gradient(rate: float) -> None:
    r, lr = 1.7, 0.1
    before, after = (lr / ((1 - rate) * norm**2) for norm in (r, (1 - rate) * r))
    assert float(descent.free_growth(rate)) == pytest.approx(math.log(after / before), rel=1e-12)


@pytest.mark.parametrize("rate", [0.0005, 0.004])
@pytest.mark.parametrize("reached", [1.05, 1.3, 1.8])
def test_the_rise_is_the_sum_of_the_modes_growth_step_by_step(rate: float, reached: float) -> None:
    steps = np.arange(int(math.log(reached) / (2.0 * rate)))
    grown = np.log(2.0 * np.exp(2.0 * rate * (steps + 0.5)) - 1.0).sum()
    last = math.log(2.0 * reached - 1.0)  # what the cut to whole steps may leave out
    assert abs(float(descent.rise_above_the_edge(rate, reached)) - grown) <= last


def test_near_the_edge_the_rise_is_a_square() -> None:
    rate, epsilon = 0.001, 1e-3
    expected = epsilon**2 / (2.0 * rate)
    assert float(descent.rise_above_the_edge(rate, 1.0 + epsilon)) == pytest.approx(expected, rel=3e-3)


@pytest.mark.parametrize("rise", [0.5, 5.0, 36.0])
def test_the_edge_at_the_loss_spike_inverts_the_rise(rise: float) -> None:
    reached = descent.edge_at_spike(0.01, rise)
    assert float(descent.rise_above_the_edge(0.01, reached)) == pytest.approx(rise, rel=1e-9)


def oscillation(slope: object, step: float) -> float:
    """Amplitude of x' = x - step L'(x) after 2000 steps from 1e-3."""
    x = 1e-3
    for _ in range(2000):
        x = x - step * slope(x)  # type: ignore[operator]
        if abs(x) > 10.0:
            return math.inf
    return abs(x)


@pytest.mark.parametrize(
    ("slope", "derivatives", "soft"),
    [
        (lambda x: math.sin(2.0 * x), (2.0, 0.0, -8.0), True),
        (math.sinh, (1.0, 0.0, 1.0), False),
        (lambda x: x + 0.6 * x**2 + x**3 / 6.0, (1.0, 1.2, 1.0), True),
        (lambda x: x + 0.2 * x**2 + x**3 / 6.0, (1.0, 0.4, 1.0), False),
    ],
    ids=["sin squared", "cosh", "skew enough", "too little skew"],
)
def test_a_soft_edge_is_one_that_holds_a_small_oscillation(
    slope: object, derivatives: tuple[float, float, float], soft: bool
) -> None:
    assert bool(descent.edge_is_soft(*derivatives)) == soft
    just_above = 2.0 * 1.01 / derivatives[0]
    assert (oscillation(slope, just_above) < 1.0) == soft


def test_noise_that_holds_below_the_edge_is_at_equilibrium_there() -> None:
    rate, sharpness = 0.01, 8.0
    size = float(descent.noise_that_holds_below_the_edge(rate, sharpness))
    # Norm balance under noise of length size at unit norm: Phi^2 size^2 = 2 lambda_e.
    phi = math.sqrt(2.0 * rate) / size
    assert phi * sharpness == pytest.approx(2.0)
