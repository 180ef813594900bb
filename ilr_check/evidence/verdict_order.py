"""Orders verdicts from worst to best, for reports, summaries and exit codes."""

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
"""Verdicts from worst to best, in agreement with the precedence 1, 2, 3, 0 of the exit codes."""

FAILED = ("violated", "unexpected_pass", "error", "inconclusive")
"""Verdicts that need an action by the user."""


def rank(verdict: str) -> int:
    """Return the place of a verdict in ``WORST_FIRST``. An unknown word comes before all of them."""
    return WORST_FIRST.index(verdict) if verdict in WORST_FIRST else -1


def worst(verdicts: Iterable[VerdictWord]) -> VerdictWord | Literal["not run"]:
    """Return the worst of some verdicts, or ``not run`` if there are none."""
    found: Iterable[VerdictWord | Literal["not run"]] = verdicts
    return min(found, key=rank, default="not run")
