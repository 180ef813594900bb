"""Distances along a run and their jackknife, against the definition and against replicates."""

import numpy as np
import pytest

from ilr_check.stats import Separation, separation
from ilr_check.stats.separation import cross_distances


def energy(a: np.ndarray, b: np.ndarray) -> float:
    def mean(x: np.ndarray, y: np.ndarray, pairs: int) -> float:
        return float(np.linalg.norm(x[:, None] - y[None], axis=2).sum()) / pairs

    n, m = len(a), len(b)
    return 2 * mean(a, b, n * m) - mean(a, a, n * (n - 1)) - mean(b, b, m * (m - 1))


def samples(rng: np.random.Generator, n: int, shift: float) -> tuple[np.ndarray, np.ndarray]:
    return rng.normal(shift, 1, (n, 3)), rng.normal(0, 1, (n, 3))


def test_distances_are_those_of_the_definition_with_and_without_a_pair() -> None:
    rng = np.random.default_rng(1)
    looks = [samples(rng, 6, 1.0), samples(rng, 6, 0.3)]
    found = separation(looks)
    assert found.whole == pytest.approx([energy(a, b) for a, b in looks])
    left_out = [energy(np.delete(a, 4, 0), np.delete(b, 4, 0)) for a, b in looks]
    assert found.without[4] == pytest.approx(left_out)


def test_cross_distances_are_means_with_and_without_a_pair() -> None:
    a, b = samples(np.random.default_rng(2), 5, 1.0)
    found = cross_distances(a, b)
    distances = np.linalg.norm(a[:, None] - b[None], axis=2)
    assert found.whole[0] == pytest.approx(distances.mean())
    without = np.delete(np.delete(distances, 2, 0), 2, 1).mean()
    assert found.without[2, 0] == pytest.approx(without)


def test_pseudo_values_have_the_spread_of_the_estimate_over_replicates() -> None:
    rng, n = np.random.default_rng(3), 64

    def log_ratio(d: np.ndarray) -> np.ndarray:
        return np.log(d[..., 1] / d[..., 0])

    def once() -> Separation:
        a, b = samples(rng, n, 1.0)
        return separation([(a, b), (a + rng.normal(0, 1, a.shape), b)])

    drawn = [once() for _ in range(400)]
    estimates = np.array([float(log_ratio(s.whole)) for s in drawn])
    claimed = np.array([s.pseudo_values(log_ratio).std(ddof=1) / np.sqrt(n) for s in drawn])
    # The spread of 400 is known to 3.5 %; the jackknife's bias is of order 1/n.
    assert np.sqrt((claimed**2).mean()) == pytest.approx(estimates.std(), rel=0.15)


def test_samples_of_two_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="equal size"):
        separation([(np.zeros((4, 2)), np.zeros((5, 2)))])
