"""Exact tests of "these two samples come from one distribution", by permuting runs.

The package has its own test because ``scipy.stats.permutation_test`` calls a Python statistic per
permutation. On a precomputed distance matrix one matrix product does a thousand permutations, and rates of
1e-5 need a hundred thousand.
"""

from __future__ import annotations

import numpy as np

from ilr_check.stats.intervals import Array
from ilr_check.stats.verdicts import confirmation_only

BATCH = 2048
ENOUGH = 20
"""The number of exceedances after which the p-value is large enough to stop (Besag and Clifford 1991)."""


def permutation_p_value(distances: Array, first: int, *, seed: int, smallest: float = 1e-3) -> float:
    """Return the p-value of equal distributions of the first ``first`` runs and the others.

    ``distances`` is the symmetric matrix [n, n] of distances between all runs. The statistic is the energy
    distance of the two samples. The test is exact at any sample size: P(p <= alpha) <= alpha. It draws enough
    permutations that p can reach half of ``smallest``, and it stops early once p is clearly larger. Raises
    ``SearchError`` inside a Hypothesis search, and ``ValueError`` for a sample of fewer than 2 runs.
    """
    confirmation_only("a permutation p-value")
    n = distances.shape[0]
    if not 1 < first < n - 1:
        raise ValueError(f"both samples need at least 2 runs, got {first} and {n - first}")
    generator = np.random.default_rng(seed)
    observed = energy_of_splits(distances, (np.arange(n) < first)[None].astype(float))[0]
    slack = 1e-12 * float(distances.max())
    total = int(np.ceil(2 / smallest))
    drawn = exceeding = 0
    while drawn < total:
        batch = min(BATCH, total - drawn)
        order = np.argpartition(generator.random((batch, n)), first - 1, axis=1)[:, :first]
        splits = np.zeros((batch, n))
        np.put_along_axis(splits, order, 1.0, axis=1)
        reached = np.cumsum(energy_of_splits(distances, splits) >= observed - slack) + exceeding
        if reached[-1] >= ENOUGH:
            stop = int(np.searchsorted(reached, ENOUGH)) + 1
            return ENOUGH / (drawn + stop)
        drawn, exceeding = drawn + batch, int(reached[-1])
    return (exceeding + 1) / (drawn + 1)


def energy_of_splits(distances: Array, splits: Array) -> Array:
    """Return the unbiased energy distance for splits [n_splits, n] of 0 and 1 (1: first sample)."""
    n = distances.shape[0]
    first = splits.sum(axis=1)
    second = n - first
    within_first = np.einsum("ij,ij->i", splits @ distances, splits)
    cross = splits @ distances.sum(axis=1) - within_first
    within_second = distances.sum() - 2 * cross - within_first
    return np.asarray(
        2 * cross / (first * second)
        - within_first / (first * (first - 1))
        - within_second / (second * (second - 1))
    )
