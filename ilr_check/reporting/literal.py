"""Report what becomes of the paper's statements if they are taken literally."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ilr_check.evidence import Record
from ilr_check.reporting import numbers

JUDGED = ("holds", "violated", "inconclusive")


def raw_statements(records: Iterable[Record]) -> tuple[str, bool]:
    """Return a sentence about the literal statements, and whether an interval misses what the paper says.

    The sentence is about the quantity that is farthest off; the others are counted. It is empty where no
    literal statement has an interval.
    """
    groups: dict[tuple[str, str, float], list[Record]] = {}
    for record in records:
        if record.form == "raw" and not record.counts and record.expected is not None and _known(record):
            groups.setdefault((record.claim, record.quantity, record.expected), []).append(record)
    if not groups:
        return "", False
    worst = max(groups.values(), key=lambda found: (_missed(found) > 0, max(map(_distance, found))))
    values = [r.measured.value for r in worst if r.measured.value is not None]
    ends = dict.fromkeys(numbers.number(end, 2) for end in (min(values), max(values)))
    what = worst[0].quantity or "the measured number"
    told = f"{what} is {' to '.join(ends)}, where the paper says {numbers.number(worst[0].expected, 3)}; "
    told += _count_missed([worst]) + " that value."
    others = [found for found in groups.values() if found is not worst]
    if others:
        told += f" Of the other literal statements, {_count_missed(others)} theirs."
    return told, any(map(_missed, groups.values()))


def _count_missed(groups: Sequence[Sequence[Record]]) -> str:
    total, lost = sum(map(len, groups)), sum(map(_missed, groups))
    return f"{lost} of {total} measurements miss{'es' * (lost == 1)}"


def _known(record: Record) -> bool:
    found = record.measured
    interval = numbers.drawable(found.low) and numbers.drawable(found.high)
    return numbers.drawable(found.value) and (interval or record.verdict in JUDGED)


def _missed(found: Sequence[Record]) -> int:
    """Count the statements that are violated; one without a verdict misses if its interval does."""
    return sum(r.verdict == "violated" if r.verdict in JUDGED else not _contains(r) for r in found)


def _contains(record: Record) -> bool:
    low, high, expected = record.measured.low, record.measured.high, record.expected
    return low is not None and high is not None and expected is not None and low <= expected <= high


def _distance(record: Record) -> float:
    """Return the relative distance from what the paper says."""
    value, expected = record.measured.value, record.expected
    return abs(value / expected - 1) if value is not None and expected else 0.0
