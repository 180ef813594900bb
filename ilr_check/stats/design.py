"""The design of a judgement: what is estimated, what theory says, what may be missed and how often.

Every design offers the triad: ``decide`` judges data; ``smallest_detectable`` says what the design can see;
``runs_needed`` what it would take to see something smaller. ``weakness`` checks the promise before any data.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np

from ilr_check.stats import robust
from ilr_check.stats.looks import Rates, rates_of_look
from ilr_check.stats.planning import fewest_runs, weakness_of
from ilr_check.stats.power import needed_shift
from ilr_check.stats.reading import Reading
from ilr_check.stats.verdicts import Decision, Rival, RivalResult, confirmation_only, word

TOLERATED_LOSS = 1.0 / 8.0
"""The share of the planned runs that may be missing (diverged, interrupted) before nothing is decided."""


@dataclass(frozen=True, kw_only=True)
class Design:
    """Fields common to all designs.

    ``margin`` is the range of the estimand within which the claim counts as true; it contains ``theory``.
    ``margin_reason`` is its derivation in words. ``false_fail`` is the share of the error budget (P(violated)
    while the truth is within the margin), ``false_pass`` the bound on P(holds) while it is outside, and
    ``inconclusive`` what is tolerated of P(inconclusive) while theory is exact. ``looks`` are cumulative run
    counts (per group where there are groups). ``sd`` is the planned run-to-run standard deviation and
    ``must_detect`` a deviation from theory that has to be found violated with probability 0.95; with these
    two the design is checked before the data.
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
    """Fewest runs (per group) for the intervals of this design."""

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
            raise ValueError("a margin is derived, not chosen: say in margin_reason where it comes from")

    # What a design has to say about itself ------------------------------------------------------------------

    def summary(self, data: Any) -> Any:
        """Return what the data say whatever the rates; data may have leading replicate axes."""
        raise NotImplementedError

    def read(self, summary: Any, rates: Rates) -> Reading:
        """Return both intervals at these rates, and where they lie; no verdict."""
        raise NotImplementedError

    def check_data(self, data: Any) -> tuple[Any, int]:
        """Return validated data and the number of runs in the smallest group."""
        raise NotImplementedError

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

    def excludes(self, rival: Rival, reading: Reading) -> bool:
        """Return whether the interval that decides ``holds`` excludes ``rival``."""
        expected = float(np.asarray(rival.expected))
        return not float(reading.low) <= expected <= float(reading.high)

    def rival_distance(self, rival: Rival) -> float:
        """Return the distance of ``rival`` from theory, at the point where it is largest."""
        return float(np.max(np.abs(np.asarray(rival.expected) - self.theory)))

    # The triad ----------------------------------------------------------------------------------------------

    def rates(self, look: int) -> Rates:
        """Return what look number ``look`` (from 0) may spend."""
        return rates_of_look(self.false_fail, self.false_pass, len(self.looks), look)

    def decide(self, data: Any, *, look: int | None = None) -> Decision:
        """Judge ``data``; ``look`` counts from 0 and is the last one if not given.

        Raises:
            SearchError: inside a Hypothesis search.
            ValueError: on data of the wrong shape or that are not finite; drop diverged runs first, and say
            so.
        """
        confirmation_only(f"a verdict on {self.estimand!r}")
        index = len(self.looks) - 1 if look is None else range(len(self.looks))[look]
        sample, runs = self.check_data(data)
        reading = self.read(self.summary(sample), self.rates(index))
        weak = self.weakness() or self._shortfall(runs, self.looks[index])
        rivals = tuple(
            RivalResult(
                name=rival.name,
                expected=rival.expected if isinstance(rival.expected, float | int) else None,
                excluded=self.excludes(rival, reading),
            )
            for rival in self.rivals
        )
        notes = [*reading.notes]
        if weak is not None:
            notes.insert(0, weak)
        note = robust.NOTES[int(np.max(reading.caution))]
        if note:
            notes.append(note)
        if runs != self.looks[index]:
            notes.append(f"{runs} runs, {self.looks[index]} planned at this look")
        if self.false_fail > 0 and self.rates(index).false_fail == 0:
            notes.append("this look has no share of the false-fail rate: it can end in holds only")
        low, high = self.margin if reading.margin is None else reading.margin
        error = float(np.max(reading.error))
        if not error > 0:
            weak = "nothing to decide on: the runs do not differ at all, so they are not independent draws"
            notes.insert(0, weak)
        return Decision(
            verdict=word(
                inside=bool(reading.inside), outside=bool(reading.outside), rivals=rivals, weakness=weak
            ),
            estimand=self.estimand,
            estimate=float(reading.estimate),
            low=float(reading.low),
            high=float(reading.high),
            fail_low=float(reading.fail_low),
            fail_high=float(reading.fail_high),
            expected=self.theory if reading.expected is None else reading.expected,
            margin_low=low,
            margin_high=high,
            margin_reason=self.margin_reason,
            detectable=self._detectable(
                error, self.degrees_of_freedom(runs), self.rates(index), reading.room
            ),
            false_fail=self.false_fail,
            false_pass=self.false_pass,
            rivals=rivals,
            n_runs=runs,
            look=index,
            notes=tuple(notes),
            band=reading.band,
        )

    def smallest_detectable(self, *, sd: float | None = None) -> float:
        """Return the smallest deviation found ``violated`` with probability 0.95 by the last look."""
        runs = self.looks[-1]
        error = self.standard_error(self._planned(sd), runs)
        return self._detectable(error, self.degrees_of_freedom(runs), self.rates(len(self.looks) - 1))

    def runs_needed(self, *, discrepancy: float, sd: float | None = None) -> int:
        """Return the fewest runs of a last look that detects ``discrepancy`` and is not too weak otherwise.

        Raises:
            ValueError: if ``discrepancy`` lies within the margin, where nothing is to be detected.
        """
        if discrepancy <= max(self.room()):
            raise ValueError(
                f"a deviation of {discrepancy:g} lies within the margin, which reaches {max(self.room()):g} "
                "from theory: no number of runs finds it violated"
            )
        spread = self._planned(sd)

        def enough(runs: int) -> bool:
            design = self._with_last_look(runs)
            return design.smallest_detectable(sd=spread) <= discrepancy and design.weakness(sd=spread) is None

        return fewest_runs(enough, self.min_runs, what=f"{discrepancy:g} at sd {spread:g}")

    def undecided(self, reason: str) -> Decision:
        """Return the decision that none is taken: inconclusive, on no runs, with the reason."""
        low, high = self.margin
        return Decision(
            verdict="inconclusive",
            estimand=self.estimand,
            estimate=math.nan,
            low=math.nan,
            high=math.nan,
            fail_low=math.nan,
            fail_high=math.nan,
            detectable=math.nan,
            expected=self.theory,
            margin_low=low if math.isfinite(low) else None,
            margin_high=high if math.isfinite(high) else None,
            margin_reason=self.margin_reason,
            false_fail=self.false_fail,
            false_pass=self.false_pass,
            rivals=tuple(RivalResult(name=r.name, expected=None, excluded=False) for r in self.rivals),
            n_runs=0,
            look=0,
            notes=(reason,),
        )

    def weakness(self, *, sd: float | None = None) -> str | None:
        """Say in one sentence why this design can not keep its promise; ``None`` if it can."""
        return weakness_of(self, self.sd if sd is None else sd)

    def fixed_runs(self) -> int | None:
        """Return the runs of a single-look design with the same promise; ``None`` without ``sd``."""
        if self.sd is None or self.weakness() is not None:
            return None
        wanted = self.smallest_detectable()

        def enough(runs: int) -> bool:
            design = replace(self, looks=(runs,))
            return design.weakness() is None and design.smallest_detectable() <= wanted

        return fewest_runs(enough, self.min_runs, what="the same promise")

    # Shared pieces ------------------------------------------------------------------------------------------

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
                "give sd=, the run-to-run standard deviation: this design was planned without one"
            )
        return spread

    def _with_last_look(self, runs: int) -> Self:
        return replace(self, looks=(*(look for look in self.looks[:-1] if look < runs), runs))

    def _shortfall(self, runs: int, planned: int) -> str | None:
        if runs < planned * (1 - TOLERATED_LOSS):
            return f"too weak: {runs} runs of {planned} planned; at most one in eight may be missing"
        return None
