"""Print what changed between two runs: a sentence, then a block for each change."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ilr_check.evidence import Record
from ilr_check.reporting import numbers, verdicts
from ilr_check.reporting.changes import Changes, Pair
from ilr_check.reporting.escaping import one_line

MAX_SHOWN = 40
"""This many changes are printed; the report has the rest."""


def lines(found: Changes) -> Iterator[str]:
    """Yield the lines of the comparison, the worst change first."""
    yield found.sentence
    for pair in found.changed[:MAX_SHOWN]:
        yield from _block(pair)
    if (left := len(found.changed) - MAX_SHOWN) > 0:
        yield f"and {left} more; `ilr-check report RUN --against RUN` shows all of them"


def _block(pair: Pair) -> Iterator[str]:
    before, after = pair.before, pair.after
    words = verdicts.words(after.verdict)
    if pair.verdict_changed:
        words = f"{verdicts.words(before.verdict)} -> {words}"
    yield ""
    yield one_line(f"{after.claim}: {words} ({verdicts.place(after)})")
    yield one_line(f"  {after.quantity or 'measured'}")
    yield f"  before {numbers.measured(before.measured)}, now {numbers.measured(after.measured)}"
    yield f"  margin {numbers.margin(after.margin)}; moved by {numbers.number(pair.moved, 2)} margins"


def as_json(found: Changes) -> dict[str, Any]:
    """Return the comparison as one object."""
    return {
        "same": not found.changed and not found.new and not found.gone,
        "worse": found.worse,
        "difference": found.sentence,
        "changed": [
            {
                "claim": pair.after.claim,
                "place": verdicts.place(pair.after),
                "quantity": pair.after.quantity,
                "verdict": [pair.before.verdict, pair.after.verdict],
                "measured": [pair.before.measured.value, pair.after.measured.value],
                "moved": pair.moved,
                "ids": [pair.before.id, pair.after.id],
            }
            for pair in found.changed
        ],
        "new": list(map(_name, found.new)),
        "gone": list(map(_name, found.gone)),
    }


def _name(record: Record) -> str:
    return f"{record.claim}, {verdicts.place(record)}, {record.quantity}"
