"""Estimates: energies, label distances, permutations, rates and tails, against brute force and scipy."""

from itertools import combinations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import curve_fit
from scipy.stats import chi

from ilr_check.stats import RelaxationRate, hill, label_distribution_distance, pairwise_distances
from ilr_check.stats.calibration.catalogue import shift_at_margin
from ilr_check.stats.distribution import energies
from ilr_check.stats.permutation import energy_of_splits, permutation_p_value

LAW = np.random.default_rng(4)
SAMPLES = [LAW.normal(size=(7, 2)), LAW.normal(size=(8, 2)), LAW.normal(1, 1, size=(9, 2))]


def excess(samples: list[np.ndarray]) -> float:
    parts = energies(pairwise_distances(np.concatenate(samples)), [len(s) for s in samples], 0.25)
    return parts.between - 0.25 * parts.control


def energy(a: np.ndarray, b: np.ndarray) -> float:
    def mean(x: np.ndarray, y: np.ndarray, pairs: int) -> float:
        return sum(float(np.linalg.norm(p - q)) for p in x for q in y) / pairs

    n, m = len(a), len(b)
    return 2 * mean(a, b, n * m) - mean(a, a, n * (n - 1)) - mean(b, b, m * (m - 1))


def test_energies_are_those_of_the_definition() -> None:
    a, b, c = SAMPLES
    parts = energies(pairwise_distances(np.concatenate(SAMPLES)), [7, 8, 9], 0.25)
    assert parts.between == pytest.approx(energy(a, b))
    assert parts.control == pytest.approx((energy(a, c) + energy(b, c)) / 2)


@pytest.mark.parametrize("which", [0, 1, 2])
def test_influences_are_those_of_deleting_each_run(which: int) -> None:
    parts = energies(pairwise_distances(np.concatenate(SAMPLES)), [7, 8, 9], 0.25)
    n = len(SAMPLES[which])
    without = np.array(
        [
            excess([np.delete(s, i, axis=0) if k == which else s for k, s in enumerate(SAMPLES)])
            for i in range(n)
        ]
    )
    assert parts.influence[which] == pytest.approx((n - 1) * (without.mean() - without))


def test_energy_of_splits_is_the_energy_of_the_two_samples() -> None:
    a, b, _ = SAMPLES
    distances = pairwise_distances(np.concatenate([a, b]))
    split = (np.arange(15) < 7)[None].astype(float)
    assert energy_of_splits(distances, split)[0] == pytest.approx(energy(a, b))


def test_permutation_p_value_is_that_of_all_splits() -> None:
    points = np.concatenate([LAW.normal(size=5), LAW.normal(1.2, 1, size=5)])[:, None]
    distances = pairwise_distances(points)
    splits = np.zeros((252, 10))
    for row, chosen in enumerate(combinations(range(10), 5)):
        splits[row, list(chosen)] = 1
    values = energy_of_splits(distances, splits)
    exact = np.mean(values >= values[0] - 1e-12)
    p = permutation_p_value(distances, 5, seed=0, smallest=1e-3)
    assert p == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 2000) + exact / np.sqrt(20))


def test_permutation_p_value_is_never_0_and_repeats() -> None:
    points = np.concatenate([LAW.normal(size=20), LAW.normal(30, 1, size=20)])[:, None]
    distances = pairwise_distances(points)
    p = permutation_p_value(distances, 20, seed=3, smallest=1e-4)
    assert 0 < p <= 1e-4
    assert p == permutation_p_value(distances, 20, seed=3, smallest=1e-4)


def test_label_distance_is_the_energy_distance_of_hamming() -> None:
    a, b = LAW.integers(3, size=(9, 1)), LAW.integers(3, size=(12, 1))
    distances = pairwise_distances(np.concatenate([a, b]).astype(float), metric="hamming")
    split = (np.arange(21) < 9)[None].astype(float)
    counts = [np.bincount(labels[:, 0], minlength=3) for labels in (a, b)]
    assert label_distribution_distance(*counts) == pytest.approx(energy_of_splits(distances, split)[0])


def test_label_distance_is_unbiased() -> None:
    p, q = np.array([0.2, 0.3, 0.5]), np.array([0.4, 0.4, 0.2])
    a, b = LAW.multinomial(10, p, 200_000), LAW.multinomial(15, q, 200_000)
    values = label_distribution_distance(a, b)
    error = values.std() / np.sqrt(values.size)
    assert values.mean() == pytest.approx(((p - q) ** 2).sum(), abs=5 * error)


def test_shift_at_margin_solves_the_energies_by_quadrature() -> None:
    def mean_distance(s: float) -> float:
        # |sqrt(2) Z + s| in 3 dimensions, by the density of the non-central chi
        def density(x: float) -> float:
            r, m = x / np.sqrt(2), s / np.sqrt(2)
            if m == 0:
                return float(chi.pdf(r, 3)) / np.sqrt(2)
            return float(r / m * np.exp(-((r - m) ** 2) / 2) * (1 - np.exp(-2 * r * m)) / np.sqrt(4 * np.pi))

        return float(quad(lambda x: x * density(x), 0, 40, limit=200)[0])

    def exact(s: float) -> float:
        return 2 * (mean_distance(s) - mean_distance(0.0))

    s = shift_at_margin(1.5)
    assert exact(s) == pytest.approx(0.25 * (exact(1.5) + exact(float(np.hypot(1.5, s)))) / 2, rel=1e-6)


TIMES = np.linspace(0, 4, 12)


def relaxation(**rest: object) -> RelaxationRate:
    return RelaxationRate(
        estimand="rate",
        margin=(-0.5, 0.5),
        margin_reason="chosen for this test",
        looks=(32,),
        false_fail=1e-4,
        rate=1.0,
        times=tuple(TIMES),
        **rest,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("rate", [0.4, 1.0, 3.0])
@pytest.mark.parametrize("level", [None, 2.0])
def test_an_exact_exponential_is_fitted_exactly(rate: float, level: float | None) -> None:
    curve = 2.0 - 3.0 * np.exp(-rate * TIMES)
    assert relaxation(level=level).fit(curve, np.zeros(()), 30) == pytest.approx(np.log(rate), abs=1e-9)


def test_a_noisy_exponential_is_fitted_as_scipy_does() -> None:
    curve = 2.0 - 3.0 * np.exp(-1.3 * TIMES) + 0.1 * LAW.normal(size=12)
    fitted, _ = curve_fit(
        lambda t, level, size, rate: level + size * np.exp(-rate * t), TIMES, curve, [2, -3, 1]
    )
    assert relaxation().fit(curve, np.zeros(()), 40) == pytest.approx(np.log(fitted[2]), abs=1e-6)


def test_the_rate_of_an_ensemble_is_its_jackknife() -> None:
    curves = 2.0 - 3.0 * np.exp(-1.3 * TIMES) + 0.2 * LAW.normal(size=(32, 12))
    design = relaxation()

    def fit(sample: np.ndarray) -> float:
        return float(design.fit(sample.mean(axis=0), np.zeros(()), 40))

    without = np.array([fit(np.delete(curves, i, axis=0)) for i in range(32)])
    decision = design.decide(curves)
    assert decision.estimate == pytest.approx(32 * fit(curves) - 31 * without.mean(), abs=1e-5)


def test_hill_is_the_mean_log_excess() -> None:
    x = np.exp(LAW.standard_exponential((3, 200)) / 1.5)
    ordered = np.sort(x, axis=1)[:, ::-1]
    expected = np.log(ordered[:, :20] / ordered[:, 20:21]).mean(axis=1)
    assert hill(x, 20) == pytest.approx(expected)
