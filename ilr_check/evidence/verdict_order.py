"""Order verdicts from worst to best, for reports, roll-ups and exit codes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from ilr_check.evidence.records import VerdictWord

WORST_FIRST = (
    "violated",
    "unexpected_pass",
    "error",
    "inconclusive",
    "not run",
    "expected_failure",
    "holds",
    "skipped",
)
"""The precedence of the exit codes 1, 2, 3 and 0, refined to verdict words."""

FAILED = ("violated", "unexpected_pass", "error", "inconclusive")
"""Verdicts that somebody has to act on."""


def rank(verdict: str) -> int:
    """Return the place of a verdict in ``WORST_FIRST``; an unknown word comes before all of them."""
    return WORST_FIRST.index(verdict) if verdict in WORST_FIRST else -1


def worst(verdicts: Iterable[VerdictWord]) -> VerdictWord | Literal["not run"]:
    """Return the worst of some verdicts, and ``not run`` where there is none."""
    found: Iterable[VerdictWord | Literal["not run"]] = verdicts
    return min(found, key=rank, default="not run")
