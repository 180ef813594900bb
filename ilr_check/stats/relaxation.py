"""The rate of an exponential relaxation, from an ensemble of runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ilr_check.stats.design import Design
from ilr_check.stats.intervals import Array, Bools
from ilr_check.stats.looks import Rates
from ilr_check.stats.reading import Reading, finite, read_one
from ilr_check.stats.robust import Summary, summarise

FURTHEST = 3.0
"""If a fitted rate differs from theory by more than e^3 = 20 times, the curve does not determine a rate."""
STEPS, REFINING_STEPS = 20, 3


@dataclass(frozen=True, kw_only=True)
class RelaxationRate(Design):
    """log(rate/``rate``) is 0 up to ``margin``, for runs that relax as level + amplitude exp(-rate t).

    Data: [n_runs, n_times], one curve per run at ``times``. The exponential is fitted to the mean curve,
    because a single run may be too noisy. The level is free unless ``level`` is given. The interval comes
    from a jackknife over runs: the pseudo-value of each run, n fit - (n - 1) fit without it, is treated as
    its own number. Noise within a run may be correlated in any way. Rivals expect a log-ratio, such as log 2
    for twice the rate.
    """

    rate: float
    times: tuple[float, ...]
    level: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.theory != 0 or self.rate <= 0:
            raise ValueError(
                "the estimand is log(rate/predicted rate), so theory must be 0 and rate must be positive"
            )
        if len(self.times) < 4 or any(b <= a for a, b in zip(self.times, self.times[1:], strict=False)):
            raise ValueError(f"times needs at least 4 growing times, got {self.times}")

    def check_data(self, data: Any) -> tuple[Array, int]:
        curves = finite("the curves", data, ndim=2)
        if curves.shape[1] != len(self.times):
            raise ValueError(f"the design has {len(self.times)} times, the data {curves.shape[1]}")
        return curves, curves.shape[0]

    def summary(self, data: Array) -> tuple[Summary, Bools]:
        """Summarise the pseudo-values of curves [..., n_runs, n_times], and return where the fit failed."""
        n = data.shape[-2]
        mean = data.mean(axis=-2)
        whole = self.fit(mean, np.zeros(mean.shape[:-1]), STEPS)
        without = (n * mean[..., None, :] - data) / (n - 1)
        parts = self.fit(without, np.broadcast_to(whole[..., None], without.shape[:-1]), REFINING_STEPS)
        lost = ~((np.abs(whole) < FURTHEST) & (np.abs(parts) < FURTHEST).all(axis=-1))
        pseudo = n * whole[..., None] - (n - 1) * parts
        return summarise([np.where(lost[..., None], 0.0, pseudo)], [1.0]), lost

    def read(self, summary: tuple[Summary, Bools], rates: Rates) -> Reading:
        values, lost = summary
        interval = values.interval(rates.false_pass, of_all_runs=True)
        reading = read_one(values, interval, values.interval(rates.false_fail / 2), self.margin)
        lost_all = bool(np.all(lost))
        return reading._replace(
            estimate=np.where(lost, np.nan, reading.estimate),
            error=np.where(lost, np.inf, reading.error),
            low=np.where(lost, -np.inf, reading.low),
            high=np.where(lost, np.inf, reading.high),
            fail_low=np.where(lost, -np.inf, reading.fail_low),
            fail_high=np.where(lost, np.inf, reading.fail_high),
            inside=np.asarray(reading.inside & ~lost),
            outside=np.asarray(reading.outside & ~lost),
            notes=("the curves do not determine a rate within a factor of 20 of the predicted one",)
            if lost_all
            else (),
        )

    def fit(self, curves: Array, start: Array, steps: int) -> Array:
        """Return log(rate/theory) by least squares for curves [..., n_times]."""
        return fitted_rate(curves, self.times, self.rate, level=self.level, start=start, steps=steps)


def fitted_rate(
    curves: Array,
    times: npt.ArrayLike,
    rate: float,
    *,
    level: float | None,
    start: npt.ArrayLike = 0.0,
    steps: int = STEPS,
) -> Array:
    """Return log(fitted rate / ``rate``) of level + amplitude exp(-rate t) for curves [..., n_times].

    It uses variable projection (Kaufman 1975): level and amplitude are linear and solved for at each step, so
    the Gauss-Newton iteration acts on the log-rate alone. The level is free if it is ``None``. ``start`` is
    where the iteration begins; the result stays within a factor e^3 of ``rate``.
    """
    at = np.asarray(times, float)
    y = curves - (curves.mean(axis=-1, keepdims=True) if level is None else level)
    log_rate = np.broadcast_to(np.asarray(start, float), curves.shape[:-1]).copy()
    for _ in range(steps):
        now = rate * np.exp(log_rate)
        decay = np.exp(-now[..., None] * at)
        slope = -now[..., None] * at * decay
        if level is None:
            decay = decay - decay.mean(axis=-1, keepdims=True)
            slope = slope - slope.mean(axis=-1, keepdims=True)
        size = _dot(decay, decay)
        amplitude = _dot(decay, y) / size
        along = slope - (_dot(slope, decay) / size)[..., None] * decay
        residual = y - amplitude[..., None] * decay
        with np.errstate(divide="ignore", invalid="ignore"):
            step = _dot(residual, along) / (amplitude * _dot(along, along))
        log_rate = np.clip(log_rate + np.clip(np.nan_to_num(step), -0.5, 0.5), -FURTHEST, FURTHEST)
    return log_rate


def _dot(a: Array, b: Array) -> Array:
    return np.asarray(np.einsum("...t,...t->...", a, b))
