"""What a part of the soak counted: how often something was tried, and every time that it went wrong."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

FIGURES = Path(__file__).parents[2] / "docs" / "reliability.json"


@dataclass
class Count:
    """One part: ``tried`` so often, with these ``failures``, or ``skipped`` for a reason."""

    part: str
    what: str
    tried: int = 0
    failures: list[str] = field(default_factory=list)
    seen: dict[str, int] = field(default_factory=dict)
    """How often each outcome was seen, such as an exit code."""
    skipped: str = ""
    seconds: float = 0.0

    def saw(self, outcome: str) -> None:
        """Note one outcome."""
        self.seen[outcome] = self.seen.get(outcome, 0) + 1

    def demand(self, fine: bool, told: str) -> None:
        """Note a failure unless all is well."""
        if not fine:
            self.failures.append(told[:400])


@contextmanager
def counting(part: str, what: str) -> Iterator[Count]:
    """Count one part of the soak and keep its figures beside the others."""
    count, began = Count(part, what), time.monotonic()
    yield count
    count.seconds = round(time.monotonic() - began, 1)
    kept = json.loads(FIGURES.read_text("utf-8")) if FIGURES.exists() else {}
    kept[part] = {
        "what": what,
        "tried": count.tried,
        "failures": count.failures,
        "seen": dict(sorted(count.seen.items())),
        "skipped": count.skipped,
        "seconds": count.seconds,
        "date": time.strftime("%Y-%m-%d"),
    }
    FIGURES.write_text(json.dumps(dict(sorted(kept.items())), indent=1) + "\n", "utf-8")
