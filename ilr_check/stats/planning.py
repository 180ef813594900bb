"""The plan of a judgement: what is promised, whether the runs can keep it, and how many runs it takes.

All of this is asked before there are any data. ``weakness`` checks the promise, ``smallest_detectable`` says
what the plan can detect, and ``runs_needed`` says how many runs a smaller deviation needs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np

from ilr_check.stats.budget import FLOOR
from ilr_check.stats.looks import Rates, rates_of_look
from ilr_check.stats.power import chance_of_reaching, needed_shift
from ilr_check.stats.verdicts import Rival


def fewest_runs(enough: Callable[[int], bool], start: int, *, what: str) -> int:
    """Return the smallest sufficient count, at least ``start``, by doubling and bisection."""
    high = start
    while not enough(high):
        high *= 2
        if high > 10**7:
            raise ValueError(f"not even 10^7 runs are enough for {what}")
    low = high // 2
    while high - low > 1 and high > start:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return max(high, start)


NEAR = 2.0 * (1.0 + 1e-9)
"""A rival is near up to two margins; the rest is for rounding, as in (1 - 0.5) / 0.25."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a design promises before there are any data. ``Design`` adds how the data are judged.

    ``margin`` is the range of the estimand in which the claim counts as true; it contains ``theory``.
    ``margin_reason`` is its derivation in words. ``false_fail`` is the alpha of the decision: a bound of
    P(violated) while the truth is within the margin. ``false_pass`` bounds P(holds) while the truth is
    outside. ``inconclusive`` is the tolerated P(inconclusive) while theory is exact. ``looks`` are cumulative
    run counts (per group, if there are groups). ``sd`` is the planned run-to-run standard deviation, and
    ``must_detect`` is a deviation from theory that must be found violated with probability 0.95. With these
    two the plan is checked before the data. Raises ``ValueError`` for inconsistent fields.
    """

    estimand: str
    margin: tuple[float, float]
    margin_reason: str
    looks: tuple[int, ...]
    false_fail: float
    false_pass: float = 1e-2
    inconclusive: float = 1e-2
    theory: float = 0.0
    rivals: tuple[Rival, ...] = ()
    sd: float | None = None
    must_detect: float | None = None

    min_runs: ClassVar[int] = 32
    """The fewest runs (per group) for which the intervals of this design are valid."""

    def __post_init__(self) -> None:
        low, high = self.margin
        if not low < self.theory < high:
            raise ValueError(f"the margin must contain theory: {low} < {self.theory} < {high} is false")
        if not self.looks or any(a >= b for a, b in zip(self.looks, self.looks[1:], strict=False)):
            raise ValueError(f"looks must be growing cumulative run counts, got {self.looks}")
        if not 0 < self.false_fail < 0.5 or not 0 < self.false_pass <= 1e-2:
            raise ValueError(
                f"rates must be 0 < false_fail < 0.5 and 0 < false_pass <= 0.01, got {self.false_fail} and "
                f"{self.false_pass}"
            )
        if not self.margin_reason.strip():
            raise ValueError("a margin is derived and not chosen; give its derivation in margin_reason")

    def standard_error(self, sd: float, runs: int) -> float:
        """Return the standard error of the estimate from ``runs`` runs (per group)."""
        return sd / math.sqrt(runs)

    def degrees_of_freedom(self, runs: int) -> float:
        """Return the degrees of freedom of the error estimated from ``runs`` runs (per group)."""
        return runs - 1.0

    def comparisons(self) -> int:
        """Return how many points are judged at once."""
        return 1

    def room(self) -> tuple[float, float]:
        """Return the distances from theory to the lower and the upper end of the margin."""
        return self.theory - self.margin[0], self.margin[1] - self.theory

    def rival_distance(self, rival: Rival) -> float:
        """Return the distance of ``rival`` from theory, at the point where it is largest."""
        return float(np.max(np.abs(np.asarray(rival.expected) - self.theory)))

    def margins_away(self, rival: Rival) -> float:
        """Return the distance of ``rival`` from theory, in units of the margin on its side."""
        gap = float(np.asarray(rival.expected)) - self.theory
        low, high = self.margin
        return max(gap / (high - self.theory), gap / (low - self.theory))

    def is_near(self, rival: Rival) -> bool:
        """Return whether ``rival`` lies between one and two margins from theory."""
        return 1.0 < self.margins_away(rival) <= NEAR

    def rates(self, look: int) -> Rates:
        """Return the error rates allotted to interim analysis number ``look``, counted from 0."""
        return rates_of_look(self.false_fail, self.false_pass, len(self.looks), look)

    def smallest_detectable(self, *, sd: float | None = None) -> float:
        """Return the smallest deviation that is ``violated`` with probability 0.95 by the last look."""
        runs = self.looks[-1]
        error = self.standard_error(self._planned(sd), runs)
        return self._detectable(error, self.degrees_of_freedom(runs), self.rates(len(self.looks) - 1))

    def runs_needed(self, *, discrepancy: float, sd: float | None = None) -> int:
        """Return the fewest runs of a last look that detects ``discrepancy`` and is not too weak otherwise.

        Raises ``ValueError`` if ``discrepancy`` lies within the margin, where there is nothing to detect.
        """
        if discrepancy <= max(self.room()):
            raise ValueError(
                f"a deviation of {discrepancy:g} lies within the margin, which reaches {max(self.room()):g} "
                "from theory, so no number of runs finds it violated"
            )
        spread = self._planned(sd)

        def enough(runs: int) -> bool:
            design = self._with_last_look(runs)
            return design.smallest_detectable(sd=spread) <= discrepancy and design.weakness(sd=spread) is None

        return fewest_runs(enough, self.min_runs, what=f"{discrepancy:g} at sd {spread:g}")

    def weakness(self, *, sd: float | None = None) -> str | None:
        """Return one sentence that says why this design cannot keep its promise, or ``None`` if it can.

        Without ``sd``, given or planned, only the number of runs and the rate are checked. Probabilities add
        up over both ends of the margin and over the points judged at once, so they err towards more runs.
        """
        sd = self.sd if sd is None else sd
        if self.looks[0] < self.min_runs:
            return f"too weak: {self.looks[0]} runs are planned, and this design needs {self.min_runs}"
        if self.false_fail < FLOOR * (1 - 1e-9):
            return (
                f"too weak: a false-fail rate of {self.false_fail:.2g} is below {FLOOR:g}, where no "
                "interval is known to be right"
            )
        if sd is None:
            return None
        runs, last = self.looks[-1], len(self.looks) - 1
        error, degrees_of_freedom = self.standard_error(sd, runs), self.degrees_of_freedom(runs)
        tail = self.tail(self.rates(last).false_pass)
        missed = (
            sum(chance_of_reaching(room / error, tail, degrees_of_freedom) for room in self.room())
            * self.comparisons()
        )
        if missed > self.inconclusive:
            return (
                f"too weak: with {runs} runs of sd {sd:g} an exact theory stays inconclusive with "
                f"probability up to {min(missed, 1.0):.2g}, and {self.inconclusive:.2g} is allowed"
            )
        for rival in self.rivals:
            distance = self.rival_distance(rival)
            if chance_of_reaching(distance / error, tail, degrees_of_freedom) > self.inconclusive:
                return (
                    f"too weak: rival {rival.name!r} is {distance:g} from theory and {runs} runs of sd "
                    f"{sd:g} do not exclude it with probability {1 - self.inconclusive:.3g}"
                )
        if self.must_detect is not None:
            seen = self.smallest_detectable(sd=sd)
            if seen > self.must_detect:
                return (
                    f"too weak: {runs} runs of sd {sd:g} detect a deviation of {seen:.3g}, and "
                    f"{self.must_detect:g} has to be detected"
                )
        return None

    def fixed_runs(self) -> int | None:
        """Return the runs of a design with one look and the same promise, or ``None`` without ``sd``."""
        if self.sd is None or self.weakness() is not None:
            return None
        wanted = self.smallest_detectable()

        def enough(runs: int) -> bool:
            design = replace(self, looks=(runs,))
            return design.weakness() is None and design.smallest_detectable() <= wanted

        return fewest_runs(enough, self.min_runs, what="the same promise")

    def tail(self, rate: float) -> float:
        """Return the tail on either side of a simultaneous interval, by Bonferroni over the points."""
        return rate / self.comparisons()

    def _detectable(
        self, error: float, degrees_of_freedom: float, rates: Rates, room: float | None = None
    ) -> float:
        distance = max(self.room()) if room is None else room
        return distance + error * needed_shift(self.tail(rates.false_fail / 2), degrees_of_freedom)

    def _planned(self, sd: float | None) -> float:
        spread = self.sd if sd is None else sd
        if spread is None:
            raise ValueError(
                "give sd=, the run-to-run standard deviation, because this design was planned without one"
            )
        return spread

    def _with_last_look(self, runs: int) -> Self:
        return replace(self, looks=(*(look for look in self.looks[:-1] if look < runs), runs))
