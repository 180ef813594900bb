"""Equality of two distributions of vectors, up to a fraction of the distance to a control.

The distance is the energy distance 2 E|A - B| - E|A - A'| - E|B - B'|, estimated as an unbiased U-statistic.
It is 0 on average for equal distributions, whatever the sample sizes are. With the Hamming distance on labels
it is the squared distance of the label distributions, summed over the inputs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from ilr_check.stats.controlled import SIGN_SHARE, UNPOWERED, ControlledDesign
from ilr_check.stats.intervals import Array, contrast, hall, moments, student, union
from ilr_check.stats.looks import Rates
from ilr_check.stats.permutation import permutation_p_value
from ilr_check.stats.reading import Reading
from ilr_check.stats.robust import NORMAL

Metric = Literal["euclidean", "hamming"]


@dataclass(frozen=True, kw_only=True)
class DistributionEquivalence(ControlledDesign):
    """E(a, b) <= theta E(control): two populations are equal up to a fraction of the distance to a control.

    E(control) is the mean of E(a, control) and E(b, control). Data: samples (a, b, control), [n, d], one
    vector per run (predictions on fixed inputs, or labels with ``metric="hamming"``, one per input). The
    interval of the excess E(a, b) - theta E(control) comes from a jackknife over the runs of all three
    samples. If a and b are equal, E(a, b) is degenerate and no jackknife is exact. So ``violated`` also needs
    an exact permutation test of a against b, at the same rate. ``holds`` also needs a permutation test that
    tells the control from both, at a tenth of the false-pass rate. ``sd`` is sqrt(n) times the planned
    standard error of the excess. ``seed`` is that of the permutations.
    """

    metric: Metric = "euclidean"
    seed: int = 0

    def check_data(self, data: Any) -> tuple[tuple[Array, Array, Array], int]:
        samples, runs = self.check_samples(data, ndim=2)
        if len({sample.shape[1] for sample in samples}) != 1:
            raise ValueError(f"vectors must have one length, got {[sample.shape[1] for sample in samples]}")
        return samples, runs

    def summary(self, data: Sequence[Array]) -> tuple[Array, list[int]]:
        """Return the distances between all runs and the sizes of the samples, without replicate axes."""
        return pairwise_distances(np.concatenate(data), metric=self.metric), [len(part) for part in data]

    def read(self, summary: tuple[Array, list[int]], rates: Rates) -> Reading:
        """Return both intervals of the excess, after the permutation tests that they require."""
        distances, sizes = summary
        between, control, influence, curvature = energies(distances, sizes, self.theta)
        excess = between - self.theta * control
        value = contrast(moments(influence), [1.0, 1.0, 1.0])
        # In a studentised U-statistic (Helmers 1991, Ann. Statist. 19, 470) the third cumulant of the runs
        # counts (2t^2 + 1)/6, and that of the pairs counts (t^2 + 1)/6, half as much.
        skewness = value.skewness + curvature / 2 / value.error**3
        value = value._replace(estimate=np.asarray(excess), skewness=skewness)

        def interval(tail: float) -> tuple[Array, Array]:
            return union(student(value, tail), hall(value, tail))

        low, high = interval((1 - SIGN_SHARE) * rates.false_pass)
        fail_low, fail_high = interval(rates.false_fail / 2)
        inside, outside, notes = bool(high < 0), bool(fail_low > 0), []
        if inside:
            rate = SIGN_SHARE * rates.false_pass
            p = permutation_p_value(distances, sizes[0] + sizes[1], seed=self.seed, smallest=rate)
            inside = p <= rate
            notes.append(f"permutation test of the control: p = {p:.2g}")
        if not inside and not outside and control <= 2 * float(value.error) / self.theta:
            notes.append(UNPOWERED)
        if outside:
            ab = distances[: sizes[0] + sizes[1], : sizes[0] + sizes[1]]
            p = permutation_p_value(ab, sizes[0], seed=self.seed, smallest=rates.false_fail)
            outside = p <= rates.false_fail
            notes.append(f"permutation test of a against b: p = {p:.2g}")
        distance = self.theta * max(control, 0.0)
        return Reading(
            np.asarray(excess),
            value.error,
            low,
            high,
            fail_low,
            fail_high,
            np.asarray(inside),
            np.asarray(outside),
            NORMAL,
            notes=tuple(notes),
            expected=-distance,
            room=distance,
            margin=(None, 0.0),
        )

    def degrees_of_freedom(self, runs: int) -> float:
        """Return the degrees of freedom of the smallest sample, which is the safe choice."""
        return runs - 1.0


def pairwise_distances(vectors: Array, *, metric: Metric = "euclidean") -> Array:
    """Return the matrix [n, n] of distances between rows [n, d]. Hamming counts the entries that differ."""
    from scipy.spatial.distance import cdist

    scale = vectors.shape[1] if metric == "hamming" else 1
    return np.asarray(cdist(vectors, vectors, metric)) * scale


class Energies(NamedTuple):
    """E(a, b), the control's energy, each run's jackknife influence on the excess, and the curvature of the
    excess."""

    between: float
    control: float
    influence: tuple[Array, Array, Array]
    curvature: float


def energies(distances: Array, sizes: Sequence[int], theta: float) -> Energies:
    """Return the energies of three samples and what determines the spread of E(a, b) - theta E(control).

    The excess is the sum of P = weight * distance over all pairs. The influence of a run of a sample of n is
    (n - 1)(mean of delete-one values - delete-one value without it), so its variance over n is the jackknife
    variance. Delete-one values come from row sums of P. ``curvature`` is 6 g'Pg, where g are the influences
    over n. It is the contribution of pairs of runs to the third cumulant of the excess.
    """
    edges = np.cumsum([0, *sizes])
    spans = [slice(low, high) for low, high in pairwise(edges)]
    mean = np.array([[distances[k, other].mean() for other in spans] for k in spans])
    weight = np.zeros_like(distances)
    across = np.array([[0.0, 1.0, -theta / 2], [1.0, 0.0, -theta / 2], [-theta / 2, -theta / 2, 0.0]])
    within = np.array([-1 + theta / 2, -1 + theta / 2, theta])
    for k, span in enumerate(spans):
        for other, columns in enumerate(spans):
            weight[span, columns] = across[k, other] / (sizes[k] * sizes[other])
        weight[span, span] = within[k] / (sizes[k] * (sizes[k] - 1))
        mean[k, k] *= sizes[k] / (sizes[k] - 1)
    pairs = weight * distances
    influence = []
    for span, n in zip(spans, sizes, strict=True):
        own = pairs[span, span].sum(axis=1)
        others = pairs[span].sum(axis=1) - own
        without = n / (n - 2) * (own.sum() - 2 * own) + n / (n - 1) * 2 * (others.sum() - others)
        influence.append((n - 1) * (without.mean() - without))
    g = np.concatenate([part / n for part, n in zip(influence, sizes, strict=True)])
    return Energies(
        between=float(2 * mean[0, 1] - mean[0, 0] - mean[1, 1]),
        control=float(mean[0, 2] + mean[1, 2] - mean[0, 0] / 2 - mean[1, 1] / 2 - mean[2, 2]),
        influence=(influence[0], influence[1], influence[2]),
        curvature=6 * float(g @ pairs @ g),
    )


def label_distribution_distance(first: npt.ArrayLike, second: npt.ArrayLike) -> Array:
    """Return the unbiased estimate of sum_k (p_k - q_k)^2 for counts [..., n_labels] of labels over runs.

    It is sum_k [(p^2 - p/n) n/(n-1) + (q^2 - q/m) m/(m-1) - 2 p q], where p and q are the observed fractions
    of n and m runs. Raises ``ValueError`` for fewer than 2 runs.
    """
    a, b = np.asarray(first, float), np.asarray(second, float)
    n, m = a.sum(axis=-1, keepdims=True), b.sum(axis=-1, keepdims=True)
    if n.min() < 2 or m.min() < 2:
        raise ValueError("label distributions need at least 2 runs each")
    p, q = a / n, b / m
    terms = (p * p - p / n) * n / (n - 1) + (q * q - q / m) * m / (m - 1) - 2 * p * q
    return np.asarray(terms.sum(axis=-1))


def planned_sd(pilot: Sequence[npt.ArrayLike], *, theta: float, metric: Metric = "euclidean") -> float:
    """Return the ``sd`` to plan a ``DistributionEquivalence`` with, from pilot samples (a, b, control)."""
    samples = [np.asarray(sample, float) for sample in pilot]
    sizes = [sample.shape[0] for sample in samples]
    parts = energies(pairwise_distances(np.concatenate(samples), metric=metric), sizes, theta)
    return math.sqrt(sum(float(part.var(ddof=1)) for part in parts.influence))
