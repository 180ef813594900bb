"""Derive a command's exit code from its verdicts."""

from __future__ import annotations

from collections.abc import Iterable

from ilr_check.evidence.records import Record

HOLDS, VIOLATED, COULD_NOT_RUN, INCONCLUSIVE, INTERRUPTED = 0, 1, 2, 3, 130


def exit_code(records: Iterable[Record], *, allow_inconclusive: bool = False) -> int:
    """0 all hold, 1 a violation or an unexpected pass, 2 an error or nothing run, 3 something inconclusive.

    Precedence 1, 2, 3, 0. Records that do not count (the raw form) and skipped ones take no part, but a run
    in which nothing was judged at all is a 2.
    """
    words = {record.verdict for record in records if record.counts and record.verdict != "skipped"}
    if words & {"violated", "unexpected_pass"}:
        return VIOLATED
    if "error" in words or not words:
        return COULD_NOT_RUN
    if "inconclusive" in words and not allow_inconclusive:
        return INCONCLUSIVE
    return HOLDS
