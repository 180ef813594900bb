"""One error budget for all verdicts of one invocation.

The probability that any verdict is falsely ``violated`` is at most the sum of their probabilities (Boole's
inequality), whatever the dependence between them is. So alphas that add up to ``total`` keep the promise of
the whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

FLOOR = 1e-5
"""The smallest alpha of one decision. Below it no calibration of feasible size (2e5 replicates) can measure
the tail, so the promise could not be checked."""


TOTAL = 1e-3
"""The false-fail rate that one invocation spends, as long as the number of decisions leaves each its
floor."""


def total_for(decisions: int) -> float:
    """Return the smallest total, at least 1e-3, that leaves the floor to each of this many decisions.

    A profile that judges hundreds of populations promises less for all of them together: 100 decisions share
    1e-3, and 200 share 2e-3. The alternative, a smaller alpha each, would be a promise that nobody has
    measured.
    """
    return max(TOTAL, FLOOR * decisions)


FALSE_PASS = 1e-2
"""P(holds) that one decision may have while the truth lies outside its margin."""

FALSE_HOLDS_A_CLAIM = 1e-2
"""How many false ``holds`` a run may expect for each of its statistical claims, if all of them are wrong."""


def false_pass_of(claims: int, decisions: int) -> float:
    """Return the false-pass rate of each decision of a run.

    The expected number of false ``holds`` is at most its sum over the decisions, so it stays below
    ``FALSE_HOLDS_A_CLAIM`` times the number of claims, however many decisions each of them takes.
    """
    return min(FALSE_PASS, FALSE_HOLDS_A_CLAIM * claims / decisions) if decisions else FALSE_PASS


@dataclass(kw_only=True)
class ErrorBudget:
    """Splits the false-fail rate ``total``, and ``inconclusive``, over the planned decisions.

    ``inconclusive`` is the probability that any verdict stays inconclusive although the theory is exact. The
    alpha of a decision that is skipped is not given to others, because the plan was made before the data and
    stays.
    """

    total: float = TOTAL
    inconclusive: float = 1e-2
    planned: dict[str, float] = field(default_factory=dict)
    spent: dict[str, float] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    def plan(self, names: Sequence[str], *, weights: Mapping[str, float] | None = None) -> dict[str, float]:
        """Return the alpha of each decision, equal or in proportion to ``weights``.

        Raises ``ValueError`` for repeated names, a second plan, a weight that is not positive, or an alpha
        below 1e-5.
        """
        if self.planned:
            raise ValueError(
                "this budget already has a plan; an invocation has one plan, made before its data"
            )
        if len(set(names)) != len(names) or not names:
            raise ValueError(f"names must be distinct and at least one, got {list(names)}")
        weight = {name: 1.0 if weights is None else float(weights[name]) for name in names}
        if min(weight.values()) <= 0:
            raise ValueError(f"weights must be positive, got {weight}")
        alphas = {name: self.total * weight[name] / sum(weight.values()) for name in names}
        smallest = min(alphas, key=alphas.__getitem__)
        if alphas[smallest] < FLOOR * (1 - 1e-9):
            raise ValueError(
                f"the alpha of {smallest!r} would be {alphas[smallest]:.2g}, below the floor of {FLOOR:g}: "
                f"with equal weights {self.total:g} is enough for {int(self.total / FLOOR * (1 + 1e-9))} "
                f"decisions, and {len(names)} are planned; plan fewer decisions, or give a larger total"
            )
        self.planned = alphas
        return dict(alphas)

    def patience(self, name: str) -> float:
        """Return the part of ``inconclusive`` that the planned decision ``name`` may use."""
        return self.inconclusive * self.planned[name] / self.total

    def spend(self, name: str) -> float:
        """Record that ``name`` is decided now and return its alpha. Each decision is taken once."""
        if name in self.spent or name in self.skipped:
            raise ValueError(f"{name!r} is already decided or skipped; each planned decision is taken once")
        self.spent[name] = self.planned[name]
        return self.spent[name]

    def skip(self, name: str, reason: str) -> None:
        """Record that ``name`` will not be decided, and why."""
        if name in self.spent or name not in self.planned:
            raise ValueError(f"{name!r} is already decided or was never planned")
        self.skipped[name] = reason

    def as_dict(self) -> dict[str, Any]:
        """Return the budget as plain data for the manifest."""
        return {
            "total": self.total,
            "inconclusive": self.inconclusive,
            "floor": FLOOR,
            "planned": dict(self.planned),
            "spent": dict(self.spent),
            "skipped": dict(self.skipped),
            "spent_total": sum(self.spent.values()),
        }
