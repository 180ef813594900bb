"""Sequential looks: runs are added in planned steps, and the error rates are spent over them.

Why a union bound and not a group-sequential (Lan-DeMets) boundary: the latter needs the joint law of the
statistics over the looks, multivariate normal with a known variance. Here intervals are Student, skewness
corrected, trimmed or permutation based, at levels where a joint normal law is the least trustworthy part.
Rates that add up to the promise keep it for any statistic and any dependence, by Boole's inequality. The cost
is small where it matters: half of 3e-5 instead of all of it moves a normal quantile from 4.17 to 4.33, 4 %.

Why geometric: each look gets half of what the next one gets, so that the last look, which must carry the hard
cases, keeps more than half of the rate; a real defect is clear at any rate.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from ilr_check.stats.budget import FLOOR
from ilr_check.stats.verdicts import Decision

if TYPE_CHECKING:
    from ilr_check.stats.design import Design


class Rates(NamedTuple):
    """The error rates of one look."""

    false_fail: float
    false_pass: float


def spend(rate: float, looks: int, *, floor: float = 0.0) -> tuple[float, ...]:
    """Return shares of ``rate`` for each look, geometric with ratio 2; they add up to ``rate``.

    A look whose share would be below ``floor`` gets the floor while the rate lasts, and the first looks get
    nothing once it does not: they can then end in ``holds`` but not in ``violated``.
    """
    if looks < 1:
        raise ValueError(f"at least one look is needed, got {looks}")
    able = looks if floor == 0 else max(1, min(looks, int(rate / floor * (1 + 1e-9))))
    weights = [2.0**k / (2.0**able - 1) for k in range(able)]
    raised = [max(floor, rate * weight) for weight in weights]
    spare = max(0.0, rate - floor * able)
    excess = sum(raised) - floor * able
    alphas = [floor + (alpha - floor) * (spare / excess if excess > 0 else 1.0) for alpha in raised]
    if able == 1:
        alphas = [rate]
    return (0.0,) * (looks - able) + tuple(alphas)


def rates_of_look(false_fail: float, false_pass: float, looks: int, look: int) -> Rates:
    """Return what look number ``look`` (from 0) of ``looks`` may spend."""
    return Rates(spend(false_fail, looks, floor=FLOOR)[look], spend(false_pass, looks)[look])


@dataclass(frozen=True, kw_only=True)
class Examination:
    """The outcome of a sequential examination and what it saved.

    ``fixed_runs`` is what a design with a single look and the same promise would need at the planned standard
    deviation (the last look where none was planned); ``saved`` the share of those runs that was not needed.
    """

    decision: Decision
    decisions: tuple[Decision, ...]
    runs_used: int
    fixed_runs: int

    @property
    def looks_used(self) -> int:
        """How many looks were taken."""
        return len(self.decisions)

    @property
    def saved(self) -> float:
        """The share of the fixed design's runs that was saved; negative if more were used."""
        return 1.0 - self.runs_used / self.fixed_runs


def examine(design: Design, draw: Callable[[int], Any]) -> Examination:
    """Take the design's looks in turn and stop at the first verdict that is not inconclusive.

    ``draw(n)`` returns the data of the first ``n`` runs (of each group, where the design has groups); it is
    called with growing ``n``, so it may keep what it has and add the rest. It is not called at all where the
    design, as planned, is too weak for its promise: that is ``inconclusive`` before any run is trained.
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
