"""One error budget for all verdicts of one invocation.

The chance that any of them is falsely ``violated`` is at most the sum of their chances (Boole's inequality),
whatever the dependence between them; so shares that add up to ``total`` keep the promise of the whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

FLOOR = 1e-5
"""The smallest false-fail share of one decision. Below it no calibration of feasible size (2e5 replicates)
says anything about the tail that the share speaks of, so the promise could not be checked."""


TOTAL = 1e-3
"""The false-fail rate that one invocation spends, as long as its decisions are few enough for the floor."""


def total_for(decisions: int) -> float:
    """Return the smallest total, from 1e-3 on, that leaves the floor to each of so many decisions.

    A profile that judges hundreds of populations promises less for all of them together: 100 share 1e-3,
    200 share 2e-3. The alternative, a smaller share each, would be a promise that nobody has measured.
    """
    return max(TOTAL, FLOOR * decisions)


@dataclass(kw_only=True)
class ErrorBudget:
    """Shares out the false-fail rate ``total``, and ``inconclusive``, over the planned decisions.

    ``inconclusive`` is the chance that any verdict stays open though the theory is exact. Whatever is planned
    and then skipped is not handed on: the plan was made before the data, and stays.
    """

    total: float = TOTAL
    inconclusive: float = 1e-2
    planned: dict[str, float] = field(default_factory=dict)
    spent: dict[str, float] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    def plan(self, names: Sequence[str], *, weights: Mapping[str, float] | None = None) -> dict[str, float]:
        """Return the false-fail share of each decision, equal or in proportion to ``weights``.

        Raises:
            ValueError: on repeated names, a second plan, a weight that is not positive, or a share below
            1e-5.
        """
        if self.planned:
            raise ValueError(
                "this budget is planned already; an invocation has one plan, made before its data"
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
                f"the share of {smallest!r} would be {alphas[smallest]:.2g}, below the floor of {FLOOR:g}: "
                f"with equal weights {self.total:g} is enough for {int(self.total / FLOOR * (1 + 1e-9))} "
                f"decisions, and {len(names)} are planned; plan fewer, or give a larger total"
            )
        self.planned = alphas
        return dict(alphas)

    def patience(self, name: str) -> float:
        """Return the share of ``inconclusive`` that the planned decision ``name`` may use."""
        return self.inconclusive * self.planned[name] / self.total

    def spend(self, name: str) -> float:
        """Record that ``name`` is decided now and return its share; each is decided once."""
        if name in self.spent or name in self.skipped:
            raise ValueError(f"{name!r} is decided or skipped already; each planned decision is taken once")
        self.spent[name] = self.planned[name]
        return self.spent[name]

    def skip(self, name: str, reason: str) -> None:
        """Record that ``name`` will not be decided, and why."""
        if name in self.spent or name not in self.planned:
            raise ValueError(f"{name!r} is decided already or was never planned")
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
