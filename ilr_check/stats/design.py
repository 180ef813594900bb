"""The design of a judgement: what is estimated, what theory predicts, and which errors may occur how often.

Every design has three methods that belong together. ``decide`` judges data, ``smallest_detectable`` says what
the design can detect, and ``runs_needed`` says how many runs a smaller deviation needs. ``weakness`` checks
the promise before there are any data.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ilr_check.stats import robust
from ilr_check.stats.looks import Rates
from ilr_check.stats.planning import Plan
from ilr_check.stats.reading import Reading
from ilr_check.stats.unlike import MARGINS
from ilr_check.stats.verdicts import Decision, Rival, RivalResult, confirmation_only, word

TOLERATED_LOSS = 1.0 / 8.0
"""The fraction of the planned runs that may be missing (diverged, interrupted) before nothing is decided."""


@dataclass(frozen=True, kw_only=True)
class Design(Plan):
    """A plan that can judge data: ``decide`` compares two intervals of the estimate with the margin."""

    # What each design defines

    def summary(self, data: Any) -> Any:
        """Return what the data say independently of the rates. Data may have leading replicate axes."""
        raise NotImplementedError

    def read(self, summary: Any, rates: Rates) -> Reading:
        """Return both intervals at these rates and where they lie. This is not yet a verdict."""
        raise NotImplementedError

    def check_data(self, data: Any) -> tuple[Any, int]:
        """Return validated data and the number of runs in the smallest group."""
        raise NotImplementedError

    def excludes(self, rival: Rival, reading: Reading) -> bool:
        """Return whether the interval that decides ``holds`` excludes ``rival``."""
        expected = float(np.asarray(rival.expected))
        return not float(reading.low) <= expected <= float(reading.high)

    def runs_apart(self, data: Any) -> npt.NDArray[np.intp]:
        """Return the runs that obey another law than the others, by ``unlike``; none where runs have no
        margin of their own."""
        return np.array([], dtype=np.intp)

    def decide(self, data: Any, *, look: int | None = None) -> Decision:
        """Judge ``data``. ``look`` is the number of the interim analysis, counted from 0; the default is the
        last one.

        Raises ``SearchError`` inside a Hypothesis search, and ``ValueError`` for data of the wrong shape or
        that are not finite. Drop diverged runs first, and report it.
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
        case = int(np.max(reading.caution))
        if robust.NOTES[case]:
            far = robust.far_runs(sample) if case == robust.OUTLIERS else ""
            notes.append(f"{robust.NOTES[case]}{far}")
        if runs != self.looks[index]:
            notes.append(f"{runs} runs, {self.looks[index]} planned at this interim analysis")
        if self.false_fail > 0 and self.rates(index).false_fail == 0:
            notes.append("this interim analysis has a false-fail rate of 0, so it cannot end in violated")
        apart = () if bool(reading.outside) else self.runs_apart(sample)
        if len(apart):
            notes.insert(
                0,
                f"{len(apart)} of {runs} runs are unlike the others and deviate by more than {MARGINS:g} "
                f"margins: {', '.join(map(str, apart))}; a mean over all runs does not speak of them",
            )
        low, high = self.margin if reading.margin is None else reading.margin
        error = float(np.max(reading.error))
        if not error > 0:
            weak = "no decision: the runs do not differ at all, so they are not independent draws"
            notes.insert(0, weak)
        return Decision(
            verdict=word(
                inside=bool(reading.inside) and not len(apart),
                outside=bool(reading.outside),
                rivals=rivals,
                weakness=weak,
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

    def undecided(self, reason: str) -> Decision:
        """Return the decision without a judgement: inconclusive, with no runs and with the reason."""
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

    def _shortfall(self, runs: int, planned: int) -> str | None:
        if runs < planned * (1 - TOLERATED_LOSS):
            return f"too weak: {runs} runs of {planned} planned; at most one in eight may be missing"
        return None
