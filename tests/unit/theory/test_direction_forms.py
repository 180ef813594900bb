"""Directions, rotation budgets and the largest effective learning rate, against explicit steps of vectors."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ilr_check.theory.sgd import (
    direction_speed,
    direction_speed_growth,
    effective_lr_ceiling,
    effective_lr_of_rotation,
    next_direction,
    next_direction_speed,
    rotation_budget,
    rotation_sine,
)


def path(etas: np.ndarray, lams: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights [T + 1, 4] and gradients [T, 4] of SGD with tangent gradients."""
    rng = np.random.default_rng(5)
    w = [rng.standard_normal(4)]
    gradients = []
    for eta, lam in zip(etas, lams, strict=True):
        g = rng.standard_normal(4)
        g -= w[-1] * (g @ w[-1]) / (w[-1] @ w[-1])
        gradients.append(g)
        w.append(w[-1] - eta * (g + lam * w[-1]))
    return np.array(w), np.array(gradients)


RNG = np.random.default_rng(0)
ETAS, LAMS = RNG.uniform(0.1, 0.6, 6), RNG.uniform(0.0, 1.0, 6)
# lambda_e of 1 and above: the direction jumps by a right angle, then turns back on itself.
LAMS[3], LAMS[4] = 1.0 / ETAS[3], 1.7 / ETAS[4]
W, G = path(ETAS, LAMS)
R = np.linalg.norm(W, axis=1)


@pytest.mark.parametrize("t", range(6))
def test_the_next_direction_is_the_steps(t: int) -> None:
    found = next_direction(W[t] / R[t], G[t] * R[t], ETAS[t] / R[t] ** 2, 1 - ETAS[t] * LAMS[t])
    assert found == pytest.approx(W[t + 1] / R[t + 1], abs=1e-14)


@pytest.mark.parametrize("t", [0, 1])
def test_the_speed_follows_its_own_recursion(t: int) -> None:
    phi = direction_speed(R[t] ** 2, ETAS[t], LAMS[t])
    growth = direction_speed_growth(ETAS[t], LAMS[t], ETAS[t + 1], LAMS[t + 1])
    found = next_direction_speed(phi, (np.linalg.norm(G[t]) * R[t]) ** 2, growth)
    assert float(found) == pytest.approx(
        float(direction_speed(R[t + 1] ** 2, ETAS[t + 1], LAMS[t + 1])), rel=1e-13
    )


def test_constant_hyper_parameters_grow_the_speed_by_the_decay_alone() -> None:
    assert float(direction_speed_growth(0.5, 0.2, 0.5, 0.2)) == pytest.approx(0.9**-2)


@pytest.mark.parametrize("t", range(6))
def test_sine_and_tangent_are_those_of_the_angle(t: int) -> None:
    angle = math.acos(np.clip(W[t] @ W[t + 1] / (R[t] * R[t + 1]), -1, 1))
    g = float(np.linalg.norm(G[t]))
    assert float(rotation_sine(R[t + 1], g, ETAS[t])) == pytest.approx(math.sin(angle), rel=1e-12)
    if t != 3:  # the tangent of a right angle
        rate = effective_lr_of_rotation(math.tan(angle), R[t], g, ETAS[t], LAMS[t])
        assert float(rate) == pytest.approx(ETAS[t] / R[t] ** 2, rel=1e-10)


@pytest.mark.parametrize("stretch", [slice(0, 3), slice(4, 6)])
def test_the_budget_is_the_sum_of_the_rotations(stretch: slice) -> None:
    last = stretch.stop
    cosines = [W[t] @ W[t + 1] / (R[t] * R[t + 1]) for t in range(stretch.start, last)]
    budget = rotation_budget(R[stretch.start], R[last], ETAS[stretch], LAMS[stretch])
    assert float(budget) == pytest.approx(-np.log(np.abs(cosines)).sum(), rel=1e-12)


@given(eta=st.floats(1e-3, 1e3), lam=st.floats(0, 10), unit=st.floats(1e-3, 1e3), r=st.floats(0.1, 10))
def test_no_step_passes_the_ceiling(eta: float, lam: float, unit: float, r: float) -> None:
    squared = (1 - eta * lam) ** 2 * r * r + eta**2 * (unit / r) ** 2
    with np.errstate(divide="ignore"):
        assert eta / squared <= float(effective_lr_ceiling(unit, eta, lam)) * (1 + 1e-12)


def test_the_ceiling_is_reached_where_the_step_is_as_long_as_the_weights() -> None:
    r, unit = 2.0, 3.0
    eta = r * r / unit
    assert eta / (2 * r * r) == pytest.approx(float(effective_lr_ceiling(unit, eta, 0.0)))
