"""What a part of the soak counted: how often something was tried, and every time that it went wrong."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Count:
    """One part: ``tried`` so often, with these ``failures``, or ``skipped`` for a reason."""

    what: str
    tried: int = 0
    failures: list[str] = field(default_factory=list)
    seen: dict[str, int] = field(default_factory=dict)
    """How often each outcome was seen, such as an exit code."""
    skipped: str = ""

    def saw(self, outcome: str) -> None:
        """Note one outcome."""
        self.seen[outcome] = self.seen.get(outcome, 0) + 1

    def demand(self, fine: bool, told: str) -> None:
        """Note a failure unless all is well."""
        if not fine:
            self.failures.append(told[:400])
