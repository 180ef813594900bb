"""Equivalence of a mean over independent runs, of a log-ratio, or of a paired difference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ilr_check.stats.design import Design
from ilr_check.stats.intervals import Array
from ilr_check.stats.looks import Rates
from ilr_check.stats.reading import Reading, finite, read_one
from ilr_check.stats.robust import Summary, summarise
from ilr_check.stats.unlike import MARGINS, unlike


@dataclass(frozen=True, kw_only=True)
class MeanEquivalence(Design):
    """The mean of one number per run equals ``theory``, up to ``margin``.

    Data: one number per run, [n_runs]. A run is the unit, so average over time inside each run first. For
    ratios decide on ``log_ratios(measured, predicted)`` with theory 0, and for paired runs on
    ``paired_differences(a, b)``.
    """

    def check_data(self, data: Any) -> tuple[Array, int]:
        sample = finite("the sample", data, ndim=1)
        return sample, sample.size

    def summary(self, data: Array) -> Summary:
        """Summarise samples [..., n_runs]."""
        return summarise([data], [1.0])

    def runs_apart(self, data: Array) -> npt.NDArray[np.intp]:
        low, high = (self.theory + MARGINS * (end - self.theory) for end in self.margin)
        return unlike(data[:, None], np.array([low]), np.array([high]))

    def read(self, summary: Summary, rates: Rates) -> Reading:
        interval = summary.interval(rates.false_pass, of_all_runs=True)
        return read_one(summary, interval, summary.interval(rates.false_fail / 2), self.margin)


def log_ratios(measured: npt.ArrayLike, predicted: npt.ArrayLike) -> Array:
    """Return log(measured/predicted) per run. Raises ``ValueError`` unless both are positive."""
    top, bottom = np.asarray(measured, float), np.asarray(predicted, float)
    if not (np.all(top > 0) and np.all(bottom > 0)):
        raise ValueError(
            "a log-ratio needs positive numbers; drop the runs where one of them is not positive"
        )
    return np.asarray(np.log(top) - np.log(bottom))


def paired_differences(first: npt.ArrayLike, second: npt.ArrayLike) -> Array:
    """Return the difference per pair of runs that share their seed (data, initialisation or noise)."""
    a, b = np.asarray(first, float), np.asarray(second, float)
    if a.shape != b.shape:
        raise ValueError(f"paired runs must have equal numbers, got shapes {a.shape} and {b.shape}")
    return np.asarray(a - b)
