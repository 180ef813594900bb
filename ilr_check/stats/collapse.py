"""Collapse of a response on one variable: the lack of fit of a common curve, judged as an equivalence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ilr_check.stats.design import Design
from ilr_check.stats.intervals import Array
from ilr_check.stats.looks import Rates
from ilr_check.stats.power import welch_degrees_of_freedom
from ilr_check.stats.reading import Reading, finite, outside_band, read_points
from ilr_check.stats.robust import Summary, summarise
from ilr_check.stats.verdicts import Rival


@dataclass(frozen=True, kw_only=True)
class CollapseOnOne(Design):
    """The mean response is one smooth function of ``x`` for all groups, up to ``margin`` in every cell.

    ``x`` and ``groups`` name the cells: the value of the one variable (such as log(lr*wd)), and what else
    differed (such as lr). The common curve is the polynomial of ``degree`` through the cell means. The
    estimand is the deviation of each cell from it. This lack of fit may come from the group or from a curve
    that is not a polynomial, so the margin must allow for the latter. The deviations are fixed linear
    contrasts of cell means, with Welch intervals that hold for all cells at once (Bonferroni). Unlike an F
    test, this names the cell, needs no equal variances, and can show that there is no deviation. Data: one
    group of runs per cell. A rival gives the response that it expects in each cell, up to a polynomial in x.
    """

    x: tuple[float, ...]
    groups: tuple[str, ...]
    degree: int = 2

    min_runs = 16

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.theory != 0:
            raise ValueError("the estimand is a deviation from the common curve, whose theory value is 0")
        if len(self.x) != len(self.groups) or len(set(self.groups)) < 2:
            raise ValueError("x and groups name the cells, one entry each, with at least two groups")
        if not 0 <= self.degree <= len(set(self.x)) - 1 or len(self.x) < self.degree + 3:
            raise ValueError(
                f"degree {self.degree} leaves too little to judge with {len(self.x)} cells at "
                f"{len(set(self.x))} values of x"
            )
        for rival in self.rivals:
            if np.shape(rival.expected) != (len(self.x),):
                raise ValueError(f"rival {rival.name!r} needs one response per cell, {len(self.x)} numbers")

    def residual_contrasts(self) -> Array:
        """Return R = 1 - H [n_cells, n_cells], which maps cell means to deviations from the common curve."""
        x = np.asarray(self.x)
        scaled = (x - x.mean()) / np.ptp(x)
        basis, _ = np.linalg.qr(np.vander(scaled, self.degree + 1))
        return np.asarray(np.eye(x.size) - basis @ basis.T)

    def check_data(self, data: Any) -> tuple[list[Array], int]:
        if len(data) != len(self.x):
            raise ValueError(f"the design has {len(self.x)} cells, the data {len(data)}")
        cells = [
            finite(f"cell x={x:g}, {group}", y, ndim=1)
            for x, group, y in zip(self.x, self.groups, data, strict=True)
        ]
        return cells, min(cell.size for cell in cells)

    def summary(self, data: Sequence[Array]) -> Summary:
        """Summarise cells [..., n] for their deviations from the common curve."""
        return summarise(data, self.residual_contrasts())

    def read(self, summary: Summary, rates: Rates) -> Reading:
        """Return both intervals of all deviations, reported at the cell that is worst placed in the
        margin."""
        cells = len(self.x)
        bounds = np.full(cells, self.margin[0]), np.full(cells, self.margin[1])
        return read_points(
            summary.plain.estimate,
            summary.plain.error,
            summary.interval(rates.false_pass / cells, of_all_runs=True),
            summary.interval(rates.false_fail / 2 / cells),
            bounds,
            summary.caution,
            what="cell",
        )

    def margins_away(self, rival: Rival) -> float:
        """Return the distance of ``rival`` in margins, in the cell where it is largest."""
        gaps = self._deviation(rival)
        return float(np.max(np.maximum(gaps / self.margin[1], gaps / self.margin[0])))

    def standard_error(self, sd: float, runs: int) -> float:
        """Return the largest standard error of a deviation with equal ``sd`` in all cells."""
        return sd * float(np.sqrt(np.max(np.sum(self.residual_contrasts() ** 2, axis=1)) / runs))

    def degrees_of_freedom(self, runs: int) -> float:
        """Return the smallest of Welch's degrees of freedom with equal standard deviations."""
        return welch_degrees_of_freedom(self.residual_contrasts(), runs)

    def comparisons(self) -> int:
        return len(self.x)

    def rival_distance(self, rival: Rival) -> float:
        """Return the largest deviation of ``rival`` from a common curve."""
        return float(np.max(np.abs(self._deviation(rival))))

    def excludes(self, rival: Rival, reading: Reading) -> bool:
        """Return whether ``rival`` leaves the intervals in some cell."""
        return outside_band(self._deviation(rival), reading.band)

    def _deviation(self, rival: Rival) -> Array:
        return np.asarray(self.residual_contrasts() @ np.asarray(rival.expected, float))
