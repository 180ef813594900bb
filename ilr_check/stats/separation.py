"""The distance between two samples of vectors at several looks, and the contribution of each pair of runs.

The distance is the unbiased energy distance of ``DistributionEquivalence``. It is 0 on average for equal
distributions, so sums and ratios of distances need no correction, and it may be negative.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from ilr_check.stats.distribution import Metric, pairwise_distances
from ilr_check.stats.intervals import Array


class Separation(NamedTuple):
    """Distances between two samples at K looks, [K], and those without pair i of runs, [n, K].

    Run i of both samples is left out at once. The samples are independent, so a pair is as good a unit as a
    run, and one jackknife covers the spread of both samples and the dependence between looks at the same
    runs.
    """

    whole: Array
    without: Array

    def pseudo_values(self, read: Callable[[Array], Array]) -> Array:
        """Return n f - (n - 1) f without pair i, for ``read`` of distances [..., K]; one row per pair, [n,
        ...].

        Their mean is the jackknife's estimate, and their spread is its error. To first order they are
        independent numbers, one per pair, for any ``read``.
        """
        n = len(self.without)
        return np.asarray(n * read(self.whole) - (n - 1) * read(self.without))


def separation(looks: Iterable[tuple[Array, Array]], *, metric: Metric = "euclidean") -> Separation:
    """Return distances at each of ``looks``: two samples [n, d] of the same runs each time, with n at least
    3."""
    columns = [_of_one_look(first, second, metric) for first, second in looks]
    whole, without = (np.stack(part, axis=-1) for part in zip(*columns, strict=True))
    return Separation(whole, without)


def _of_one_look(first: Array, second: Array, metric: Metric) -> tuple[Array, Array]:
    n = len(first)
    if len(second) != n or n < 3:
        raise ValueError(f"pairs need two samples of equal size, at least 3, got {n} and {len(second)}")
    distances = pairwise_distances(np.concatenate([first, second]), metric=metric)
    own = [distances[:n, :n], distances[n:, n:]]
    cross = distances[:n, n:]
    within = sum(part.sum() for part in own)
    rows = np.sum([part.sum(axis=1) for part in own], axis=0)
    lost = cross.sum(axis=0) + cross.sum(axis=1) - np.diagonal(cross)
    whole = 2.0 * cross.mean() - within / (n * (n - 1))
    without = 2.0 * (cross.sum() - lost) / (n - 1) ** 2 - (within - 2.0 * rows) / ((n - 1) * (n - 2))
    return np.asarray(whole), np.asarray(without)


def cross_distances(first: Array, second: Array, *, metric: Metric = "euclidean") -> Separation:
    """Return the mean distance of a vector of one sample [n, d] from one of the other, as one look."""
    n = len(first)
    cross = pairwise_distances(np.concatenate([first, second]), metric=metric)[:n, n:]
    lost = cross.sum(axis=0) + cross.sum(axis=1) - np.diagonal(cross)
    return Separation(np.array([cross.mean()]), ((cross.sum() - lost) / (n - 1) ** 2)[:, None])
