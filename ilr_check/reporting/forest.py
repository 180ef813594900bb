"""The first figure of the report: a row for each claim, its worst statement in units of the margin."""

from __future__ import annotations

from dataclasses import dataclass

from ilr_check.evidence import Record
from ilr_check.reporting import deviation, lanes, numbers, verdicts
from ilr_check.reporting.deviation import place
from ilr_check.reporting.lanes import Lane
from ilr_check.reporting.parts import ClaimPart


@dataclass(frozen=True)
class Raw:
    """The paper's wording, taken literally, in the margins of the judged statement."""

    left: float
    text: str


@dataclass(frozen=True)
class Row:
    """One claim; without a lane it has only words."""

    part: ClaimPart
    lane: Lane | None
    raw: Raw | None
    told: str
    share: str


def row(part: ClaimPart) -> Row:
    """Return the row of a claim; a claim that was not judged has its reason."""
    record = part.deciding
    lane = lanes.lane(record) if record is not None else None
    if record is None or lane is None:
        return Row(part, None, None, _reason(part), "")
    reach = deviation.reach(record)
    lead = "its interval reaches " if lane.span is not None else ""
    return Row(
        part=part,
        lane=lane,
        raw=_raw(part),
        told=f"{record.quantity or 'measured'} = {numbers.measured(record.measured)}",
        share=lead + deviation.share(reach) if lane.units is not None else "",
    )


def _reason(part: ClaimPart) -> str:
    found = part.deciding or (part.records[0] if part.records else None)
    if found is None:
        return "planned, not finished"
    return found.message or f"{found.quantity or 'measured'} = {numbers.measured(found.measured)}"


def _raw(part: ClaimPart) -> Raw | None:
    """Return the literal statement that is farthest off."""
    found = [
        (units, raw)
        for raw in part.records
        if raw.form == "raw" and not raw.counts and (units := _units(raw, part)) is not None
    ]
    if not found:
        return None
    units, raw = max(found, key=lambda pair: abs(pair[0]))
    return Raw(
        place(units),
        f"taken literally: {raw.quantity} is {numbers.number(raw.measured.value, 3)}, where the paper says "
        f"{numbers.number(raw.expected, 3)} ({verdicts.place(raw)})",
    )


def _units(raw: Record, part: ClaimPart) -> float | None:
    """Return its deviation in margins of its own, or in those of the judged ratio on the same weights."""
    own = deviation.yardstick(raw)
    if own is not None:
        return own.units(raw.measured.value)
    value, expected = raw.measured.value, raw.expected
    if not expected or not numbers.drawable(value):
        return None
    for judged in part.records:
        same = (judged.unit, judged.group) == (raw.unit, raw.group)
        if same and judged.form == "transfer" and judged.expected == 0 and not deviation.bound_only(judged):
            stick = deviation.yardstick(judged)
            return (value / expected - 1) / stick.above if stick is not None and stick.above else None
    return None
