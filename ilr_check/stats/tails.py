"""The tail index of heavy-tailed magnitudes, from several independent runs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ilr_check.stats.design import Design
from ilr_check.stats.intervals import Array
from ilr_check.stats.looks import Rates
from ilr_check.stats.reading import Reading, finite, read_one
from ilr_check.stats.robust import Summary, summarise


@dataclass(frozen=True, kw_only=True)
class TailIndex(Design):
    """log(alpha/``alpha``) is 0 up to ``margin``, where P(magnitude > s) falls as s^-alpha.

    Data: [n_runs, n_magnitudes], positive. Each run gives Hill's estimate of 1/alpha (1975, Ann. Statist. 3,
    1163), the mean of log(s_i/s_k+1) over its ``top`` fraction of magnitudes. The estimate has no bias if
    that part is a power law; if it is only nearly one, the margin must contain the bias. Magnitudes within a
    run may depend on each other, because the interval is over runs. Rivals expect a log-ratio, such as
    log(2/1.5) for alpha 2 against 1.5.
    """

    alpha: float
    top: float = 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.theory != 0 or self.alpha <= 0:
            raise ValueError(
                "the estimand is log(alpha/predicted alpha), so theory must be 0 and alpha must be positive"
            )
        if not 0 < self.top <= 0.5:
            raise ValueError(
                f"top is the fraction of magnitudes in the tail and must lie in (0, 0.5]; got {self.top}"
            )

    def check_data(self, data: Any) -> tuple[Array, int]:
        magnitudes = finite("the magnitudes", data, ndim=2)
        if magnitudes.min() <= 0:
            raise ValueError("magnitudes must be positive")
        if math.floor(self.top * magnitudes.shape[1]) < 10:
            raise ValueError(
                f"the top {self.top:g} of {magnitudes.shape[1]} magnitudes are fewer than 10; give more"
            )
        return magnitudes, magnitudes.shape[0]

    def summary(self, data: Array) -> Summary:
        """Summarise the per-run estimates of 1/alpha of magnitudes [..., n_runs, n_magnitudes]."""
        return summarise([hill(data, math.floor(self.top * data.shape[-1]))], [1.0])

    def read(self, summary: Summary, rates: Rates) -> Reading:

        def on_log_scale(tail: float, *, of_all_runs: bool = False) -> tuple[Array, Array]:
            low, high = summary.interval(tail, of_all_runs=of_all_runs)
            with np.errstate(divide="ignore"):
                return -np.log(np.maximum(high * self.alpha, 0.0)), -np.log(np.maximum(low * self.alpha, 0.0))

        mean, error = summary.plain.estimate, summary.plain.error
        plain = summary.plain._replace(estimate=-np.log(mean * self.alpha), error=error / mean)
        logged = summary._replace(plain=plain)
        return read_one(
            logged,
            on_log_scale(rates.false_pass, of_all_runs=True),
            on_log_scale(rates.false_fail / 2),
            self.margin,
        )


def hill(magnitudes: Array, count: int) -> Array:
    """Return Hill's estimate of 1/alpha from the ``count`` largest of [..., n_magnitudes]."""
    n = magnitudes.shape[-1]
    largest = np.log(np.partition(magnitudes, n - count - 1, axis=-1)[..., n - count - 1 :])
    return np.asarray(largest[..., 1:].mean(axis=-1) - largest[..., 0])
