"""Derive a command's exit code from its verdicts."""

from __future__ import annotations

from collections.abc import Iterable

from ilr_check.evidence.records import Record

HOLDS, VIOLATED, COULD_NOT_RUN, INCONCLUSIVE, INTERRUPTED = 0, 1, 2, 3, 130


def exit_code(records: Iterable[Record], *, allow_inconclusive: bool = False) -> int:
    """Return the exit code of a run.

    It is 1 for a violation or an unexpected pass, else 2 for an error, else 3 if something is inconclusive,
    and 0 if everything holds. Skipped records and records that do not count (the raw form) are ignored. If no
    record is left, the code is 2.
    """
    words = {record.verdict for record in records if record.counts and record.verdict != "skipped"}
    if words & {"violated", "unexpected_pass"}:
        return VIOLATED
    if "error" in words or not words:
        return COULD_NOT_RUN
    if "inconclusive" in words and not allow_inconclusive:
        return INCONCLUSIVE
    return HOLDS
