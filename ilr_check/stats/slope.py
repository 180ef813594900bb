"""The slope of a log-log relation whose levels have unequal variances."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ilr_check.stats.design import Design
from ilr_check.stats.intervals import Array
from ilr_check.stats.looks import Rates
from ilr_check.stats.power import welch_degrees_of_freedom
from ilr_check.stats.reading import Reading, finite, read_one
from ilr_check.stats.robust import Summary, summarise


@dataclass(frozen=True, kw_only=True)
class SlopeEquivalence(Design):
    """The slope of log y against log x equals ``theory``, up to ``margin``.

    ``levels`` are the x (positive, at least 4). Data: one group of runs per level, independent of each other.
    y is positive, or already log y with ``response="log"``. The estimate is the least-squares slope of the
    level means of log y, with the planned ``weights`` (all equal by default). It is a fixed linear contrast,
    so its variance comes from each level's own runs, and its degrees of freedom are Welch's. Nothing is
    assumed about the variances.
    """

    levels: tuple[float, ...]
    weights: tuple[float, ...] = ()
    response: Literal["positive", "log"] = "positive"

    min_runs = 16

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.levels) < 4 or len(set(self.levels)) != len(self.levels) or min(self.levels) <= 0:
            raise ValueError(f"a slope needs at least 4 different positive levels, got {self.levels}")
        if self.weights and (len(self.weights) != len(self.levels) or min(self.weights) <= 0):
            raise ValueError(f"weights needs one positive number per level, got {self.weights}")

    def coefficients(self) -> Array:
        """Return c with slope = sum_k c_k mean_k, from weighted least squares on log x."""
        x = np.log(self.levels)
        v = np.asarray(self.weights or (1.0,) * len(self.levels))
        deviation = x - (v @ x) / v.sum()
        return np.asarray(v * deviation / (v @ deviation**2))

    def check_data(self, data: Any) -> tuple[list[Array], int]:
        """Return the groups as log y and the size of the smallest group."""
        if len(data) != len(self.levels):
            raise ValueError(f"the design has {len(self.levels)} levels, the data {len(data)} groups")
        groups = [finite(f"level {x:g}", y, ndim=1) for x, y in zip(self.levels, data, strict=True)]
        if self.response == "positive":
            if min(group.min() for group in groups) <= 0:
                raise ValueError("log y needs positive y; give response='log' if they are logarithms already")
            groups = [np.log(group) for group in groups]
        return groups, min(group.size for group in groups)

    def summary(self, data: Sequence[Array]) -> Summary:
        """Summarise groups [..., n_k] of log y."""
        return summarise(data, self.coefficients())

    def read(self, summary: Summary, rates: Rates) -> Reading:
        interval = summary.interval(rates.false_pass, of_all_runs=True)
        return read_one(summary, interval, summary.interval(rates.false_fail / 2), self.margin)

    def standard_error(self, sd: float, runs: int) -> float:
        """Return the standard error of the slope with equal ``sd`` of log y at all levels."""
        return sd * math.sqrt(float(np.sum(self.coefficients() ** 2)) / runs)

    def degrees_of_freedom(self, runs: int) -> float:
        """Return Welch's degrees of freedom with equal standard deviations."""
        return welch_degrees_of_freedom(self.coefficients(), runs)
