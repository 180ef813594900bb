"""The exact relations of one SGD step against explicit steps of vectors."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ilr_check.theory.sgd import (
    decay_factor,
    next_squared_norm,
    next_squared_norm_on_sphere,
    rotation_cosine,
    squared_norm_path,
)

rates = st.floats(1e-6, 10.0)
decays = st.floats(0.0, 0.19)
sizes = st.floats(1e-3, 1e3)


def take_step(r: float, g: float, eta: float, lam: float) -> tuple[np.ndarray, np.ndarray]:
    """w and w' of one step in the plane, the gradient orthogonal to w."""
    angle = 0.7
    w = r * np.array([math.cos(angle), math.sin(angle)])
    gradient = g * np.array([-math.sin(angle), math.cos(angle)])
    return w, w - eta * (gradient + lam * w)


@given(r=sizes, g=sizes, eta=rates, lam=decays)
def test_the_norm_recursion_is_pythagoras(r: float, g: float, eta: float, lam: float) -> None:
    _, after = take_step(r, g, eta, lam)
    assert float(next_squared_norm(r * r, g * g, eta, lam)) == pytest.approx(after @ after, rel=1e-10)


@given(r=sizes, unit=sizes, eta=rates, lam=decays)
def test_on_the_sphere_gradients_shrink_with_the_norm(r: float, unit: float, eta: float, lam: float) -> None:
    _, after = take_step(r, unit / r, eta, lam)
    found = float(next_squared_norm_on_sphere(r * r, unit**2, eta, lam))
    assert found == pytest.approx(after @ after, rel=1e-10)


@given(r=sizes, g=sizes, eta=rates, lam=decays)
def test_the_rotation_is_the_angle_between_the_vectors(r: float, g: float, eta: float, lam: float) -> None:
    before, after = take_step(r, g, eta, lam)
    length = np.linalg.norm(after)
    found = float(rotation_cosine(r, length, eta, lam))
    # eta lam up to 1.9 makes a negative: the weights flip, and the cosine with them. Terms of size
    # r (1 + eta lam) cancel in before @ after.
    cancelled = 1.0 + r * (1 + eta * lam) / length
    assert found == pytest.approx(before @ after / (r * length), abs=1e-12 * cancelled)


def test_without_weight_decay_the_norm_only_grows() -> None:
    assert float(decay_factor(0.3, 0.0)) == 1.0
    assert float(next_squared_norm(4.0, 1.0, 0.5, 0.0)) == 4.25


def walk(dimension: int, noise: np.ndarray, eta: np.ndarray, lam: np.ndarray) -> np.ndarray:
    """Return the squared norms of weights that step with tangent gradients of length sqrt(noise) / r in any
    direction."""
    rng = np.random.default_rng(0)
    w = rng.standard_normal(dimension)
    norms = [w @ w]
    for t in range(len(noise)):
        direction = rng.standard_normal(dimension)
        direction -= w * (direction @ w) / (w @ w)
        gradient = direction * math.sqrt(noise[t] / (direction @ direction) / (w @ w))
        w = w - eta[t] * (gradient + lam[t] * w)
        norms.append(w @ w)
    return np.array(norms)


@pytest.mark.parametrize("dimension", [2, 3, 50])
def test_a_path_with_schedules_is_the_walk_of_a_vector(dimension: int) -> None:
    rng = np.random.default_rng(dimension)
    steps = 300
    noise, eta, lam = rng.uniform(0.1, 2, steps), rng.uniform(0, 0.5, steps), rng.uniform(0, 0.4, steps)
    walked = walk(dimension, noise, eta, lam)
    path = squared_norm_path(walked[0], noise, eta, lam)
    assert path.shape == (steps + 1,)
    assert path == pytest.approx(walked, rel=1e-11)


@settings(max_examples=20)
@given(runs=st.integers(1, 5), seed=st.integers(0, 1000))
def test_runs_of_a_path_do_not_mix(runs: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    noise = rng.uniform(0.1, 2.0, (20, runs))
    eta, lam = np.full((20, 1), 0.3), np.full((20, 1), 0.1)
    together = squared_norm_path(1.5, noise, eta, lam)
    alone = squared_norm_path(1.5, noise[:, -1], eta[:, 0], lam[:, 0])
    assert np.array_equal(together[:, -1], alone)
