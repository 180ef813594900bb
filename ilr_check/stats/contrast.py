"""Equality of two means within a fraction of a control's effect."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ilr_check.stats.controlled import SIGN_SHARE, UNPOWERED, ControlledDesign
from ilr_check.stats.intervals import Array
from ilr_check.stats.looks import Rates
from ilr_check.stats.power import welch_degrees_of_freedom
from ilr_check.stats.reading import Reading
from ilr_check.stats.robust import Summary, summarise


@dataclass(frozen=True, kw_only=True)
class ContrastEquivalence(ControlledDesign):
    """|mean a - mean b| <= theta |mean control - mean of a and b|, without estimating the ratio.

    There are two linear contrasts, U = (a - b) + theta D and V = (a - b) - theta D with D = control - (a +
    b)/2. The claim is true if U and V have opposite signs, and false if they have the same sign. A Welch
    interval establishes each sign. The verdict is ``holds`` if the signs are opposite and D differs from 0
    with the sign of U, and ``violated`` if they are the same. A tenth of the false-pass rate goes to the sign
    of D. Data: three samples (a, b, control), one number per run.
    """

    def check_data(self, data: Any) -> tuple[tuple[Array, Array, Array], int]:
        return self.check_samples(data, ndim=1)

    def summary(self, data: Sequence[Array]) -> Summary:
        """Summarise samples [..., n] for the contrasts U, V and D."""
        control = np.array([-0.5, -0.5, 1.0])
        gap = np.array([1.0, -1.0, 0.0])
        theta = self.theta
        return summarise(data, np.stack([gap + theta * control, gap - theta * control, control]))

    def read(self, summary: Summary, rates: Rates) -> Reading:
        """Return both intervals of the excess |a - b| - theta |D|."""
        theta = self.theta
        low, high = _excess(*summary.interval((1 - SIGN_SHARE) * rates.false_pass, of_all_runs=True))
        fail_low, fail_high = _excess(*summary.interval(rates.false_fail / 2))
        d_low, d_high = (
            end[..., 2] for end in summary.interval(SIGN_SHARE * rates.false_pass, of_all_runs=True)
        )
        powered = (d_low > 0) | (d_high < 0)
        plain = summary.plain
        u, v, d = (plain.estimate[..., k] for k in range(3))
        alone = plain.estimate.ndim == 1
        distance = float(theta * abs(d)) if alone else 0.0
        notes = () if not alone or bool(powered) else (UNPOWERED,)
        return Reading(
            np.abs((u + v) / 2) - theta * np.abs(d),
            np.maximum(plain.error[..., 0], plain.error[..., 1]),
            low,
            high,
            fail_low,
            fail_high,
            (high < 0) & powered,
            fail_low > 0,
            summary.caution,
            notes=notes,
            expected=-distance,
            room=distance,
            margin=(None, 0.0),
        )

    def standard_error(self, sd: float, runs: int) -> float:
        """Return the standard error of either contrast with equal ``sd`` in all samples."""
        return sd * math.sqrt((2 + 1.5 * self.theta**2) / runs)

    def degrees_of_freedom(self, runs: int) -> float:
        """Return Welch's degrees of freedom with equal standard deviations."""
        return welch_degrees_of_freedom(np.array([1 - self.theta / 2, 1 + self.theta / 2, self.theta]), runs)


def _excess(low: Array, high: Array) -> tuple[Array, Array]:
    """Return the interval of |a - b| - theta |D| from those of U and V, [..., >= 2].

    |g| - |h| = max(min(u, v), min(-u, -v)) for u = g + h, v = g - h, and this is monotone in each of the two
    terms.
    """
    u_low, v_low, u_high, v_high = low[..., 0], low[..., 1], high[..., 0], high[..., 1]
    lower = np.maximum(np.minimum(u_low, v_low), np.minimum(-u_high, -v_high))
    upper = np.maximum(np.minimum(u_high, v_high), np.minimum(-u_low, -v_low))
    return lower, upper
