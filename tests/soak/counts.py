"""The counts of one part of the soak: how often something was tried, and each failure."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Count:
    """One part: the number of tries, the ``failures``, and the reason if it was ``skipped``."""

    what: str
    tried: int = 0
    failures: list[str] = field(default_factory=list)
    seen: dict[str, int] = field(default_factory=dict)
    """How often each outcome was seen, such as an exit code."""
    skipped: str = ""

    def saw(self, outcome: str) -> None:
        """Count one outcome."""
        self.seen[outcome] = self.seen.get(outcome, 0) + 1

    def demand(self, fine: bool, told: str) -> None:
        """Record a failure if something went wrong."""
        if not fine:
            self.failures.append(told[:400])
