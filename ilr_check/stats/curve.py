"""Equivalence of a whole curve with its prediction, by a simultaneous band and not a pointwise one.

The band is max-|t|: each point has its own Student interval, and all have the same critical value c. For n
runs of a Gaussian curve, T(s) along the curve is a Student field, and

    P(max |T| > c) <= 2 P(t > c) + (kappa/pi) (1 + c^2/df)^(-(df - 1)/2),        df = n - 1.

This is the probability at one end plus the expected number of crossings (Rice's formula for Student fields:
Worsley 1994, Adv. Appl. Prob. 26, 13). kappa is the length of the path of the standardised curve on the unit
sphere. If great circles join the measured points, it is the sum of arccos |corr| of neighbours, and the bound
holds for the points. c is the smaller of this critical value and Bonferroni's. So it is right at any rate,
including deep tails, and it becomes smaller for smooth curves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ilr_check.stats.design import Design
from ilr_check.stats.intervals import Array, student_quantile, student_tail
from ilr_check.stats.looks import Rates
from ilr_check.stats.reading import Reading, finite, outside_band, read_points
from ilr_check.stats.robust import Summary, summarise
from ilr_check.stats.unlike import MARGINS, unlike
from ilr_check.stats.verdicts import Rival


@dataclass(frozen=True, kw_only=True)
class CurveEquivalence(Design):
    """The mean deviation of a curve from its prediction lies within the margin at every point.

    Data: [n_runs, points] of deviations from theory, such as log(measured) - log(predicted). ``margins``
    gives one (low, high) per point if the margin is not the same everywhere. A rival is its curve of
    deviations from theory; it is excluded if it leaves the band somewhere. ``nuisance="level"`` first
    subtracts the mean over the points from each run and each rival, so that only the shape is judged. The
    claim is violated if the band of the false-fail rate lies outside the margin at some point.
    """

    points: int
    margins: tuple[tuple[float, float], ...] = ()
    nuisance: Literal["none", "level"] = "none"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.theory != 0:
            raise ValueError("a curve is judged by its deviations from theory, whose theory value is 0")
        if self.points < 2:
            raise ValueError(f"a curve has at least 2 points, got {self.points}; for one use MeanEquivalence")
        if self.margins and len(self.margins) != self.points:
            raise ValueError(
                f"margins needs one pair per point: {len(self.margins)} for {self.points} points"
            )
        if any(not low < 0 < high for low, high in self.margins):
            raise ValueError("each of margins must contain 0, the deviation of theory from itself")
        for rival in self.rivals:
            if np.shape(rival.expected) != (self.points,):
                raise ValueError(
                    f"rival {rival.name!r} needs {self.points} points, got {np.shape(rival.expected)}"
                )

    def check_data(self, data: Any) -> tuple[Array, int]:
        sample = finite("the curves", data, ndim=2)
        if sample.shape[1] != self.points:
            raise ValueError(f"the design has {self.points} points, the data {sample.shape[1]}")
        return sample, sample.shape[0]

    def summary(self, data: Array) -> tuple[Summary, Array, int]:
        """Return summaries of the points, path lengths and the number of runs of [..., n_runs, points]."""
        curves = np.ascontiguousarray(np.moveaxis(self._shape(data), -1, -2))
        return summarise([curves], [1.0]), path_length(curves)[..., None, None], curves.shape[-1]

    def read(self, summary: tuple[Summary, Array, int], rates: Rates) -> Reading:
        """Return both bands, reported at the point that is worst placed in its margin."""
        points, length, n = summary

        def band(tail: float, *, of_all_runs: bool = False) -> tuple[Array, Array]:
            tails = simultaneous_tail(2 * tail, n - 1, self.points, length)
            low, high = points.interval(tails, of_all_runs=of_all_runs)
            return low[..., 0], high[..., 0]

        return read_points(
            points.plain.estimate[..., 0],
            points.plain.error[..., 0],
            band(rates.false_pass, of_all_runs=True),
            band(rates.false_fail / 2),
            self.bounds(),
            points.caution.max(axis=-1),
            what="point",
        )

    def runs_apart(self, data: Array) -> npt.NDArray[np.intp]:
        bottom, top = self.bounds()
        return unlike(self._shape(data), MARGINS * bottom, MARGINS * top)

    def bounds(self) -> tuple[Array, Array]:
        """Return the lower and upper margin of each point."""
        pairs = np.array(self.margins or (self.margin,) * self.points)
        return pairs[:, 0], pairs[:, 1]

    def room(self) -> tuple[float, float]:
        """Return the smallest distances from theory to the ends of the margin, over the points."""
        bottom, top = self.bounds()
        return float(-bottom.max()), float(top.min())

    def comparisons(self) -> int:
        """Return the number of points. Planning uses Bonferroni, and the band itself is not wider."""
        return self.points

    def rival_distance(self, rival: Rival) -> float:
        """Return the largest deviation of ``rival`` from theory over the points."""
        return float(np.max(np.abs(self._shape(np.asarray(rival.expected, float)))))

    def margins_away(self, rival: Rival) -> float:
        """Return the distance of ``rival`` in margins, at the point where it is largest."""
        curve = self._shape(np.asarray(rival.expected, float))
        bottom, top = self.bounds()
        return float(np.max(np.maximum(curve / top, curve / bottom)))

    def excludes(self, rival: Rival, reading: Reading) -> bool:
        """Return whether ``rival`` leaves the band somewhere."""
        return outside_band(self._shape(np.asarray(rival.expected, float)), reading.band)

    def _shape(self, curves: Array) -> Array:
        return curves - curves.mean(axis=-1, keepdims=True) if self.nuisance == "level" else curves


def path_length(curves: Array) -> Array:
    """Return sum arccos |corr| over neighbouring points of curves [..., points, n_runs]."""
    centred = curves - curves.mean(axis=-1, keepdims=True)
    norm = np.sqrt((centred * centred).sum(axis=-1))
    products = (centred[..., 1:, :] * centred[..., :-1, :]).sum(axis=-1)
    scale = norm[..., 1:] * norm[..., :-1]
    correlation = np.divide(products, scale, out=np.zeros_like(products), where=scale > 0)
    return np.asarray(np.arccos(np.minimum(np.abs(correlation), 1.0)).sum(axis=-1))


def simultaneous_tail(level: float, degrees_of_freedom: int, points: int, length: Array) -> Array:
    """Return the tail on either side of each point such that P(max |T| > c) <= ``level``.

    The bound in the docstring of this module gives the path length as a function of c in closed form. It is
    tabulated between the critical values of one point and of ``points`` independent ones, and inverted.
    """
    if level <= 0:
        return np.zeros_like(length)
    one = float(student_quantile(level / 2, degrees_of_freedom))
    all_points = float(student_quantile(level / (2 * points), degrees_of_freedom))
    c = np.linspace(one, all_points, 512)
    crossings = (1 + c * c / degrees_of_freedom) ** (-(degrees_of_freedom - 1) / 2) / np.pi
    reach = np.maximum(level - 2 * student_tail(c, degrees_of_freedom), 0.0) / crossings
    return student_tail(np.interp(length, reach, c), degrees_of_freedom)
