"""A sequential examination: take the interim analyses in turn, and stop at the first that decides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ilr_check.stats.design import Design
from ilr_check.stats.verdicts import Decision


@dataclass(frozen=True, kw_only=True)
class Examination:
    """The outcome of a sequential examination, and the runs that it saved.

    ``fixed_runs`` is the number of runs that a design with one look and the same promise needs at the planned
    standard deviation, or the last look if no standard deviation was planned.
    """

    decision: Decision
    decisions: tuple[Decision, ...]
    runs_used: int
    fixed_runs: int

    @property
    def looks_used(self) -> int:
        """The number of looks that were taken."""
        return len(self.decisions)

    @property
    def saved(self) -> float:
        """The fraction of the fixed design's runs that was saved. It is negative if more runs were used."""
        return 1.0 - self.runs_used / self.fixed_runs


def examine(design: Design, draw: Callable[[int], Any]) -> Examination:
    """Take the design's looks in turn and stop at the first verdict that is not inconclusive.

    ``draw(n)`` returns the data of the first ``n`` runs (of each group, if the design has groups). It is
    called with growing ``n``, so it may keep what it has and add the rest. It is not called at all if the
    design, as planned, is too weak for its promise. The verdict is then ``inconclusive`` before any run is
    trained.
    """
    weak = design.weakness()
    if weak is not None:
        decision = design.undecided(weak)
        return Examination(decision=decision, decisions=(decision,), runs_used=0, fixed_runs=design.looks[-1])
    decisions: list[Decision] = []
    used = 0
    for look, runs in enumerate(design.looks):
        decisions.append(design.decide(draw(runs), look=look))
        used = runs
        if decisions[-1].verdict != "inconclusive":
            break
    return Examination(
        decision=decisions[-1],
        decisions=tuple(decisions),
        runs_used=used,
        fixed_runs=design.fixed_runs() or design.looks[-1],
    )
