"""Measure any statement in units of its margin, so that all claims of a run share one axis."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ilr_check.evidence import Record
from ilr_check.reporting import numbers
from ilr_check.reporting.numbers import drawable

HALF = 30.0
"""The margin ends this far, in percent of the axis, from the value of the theory in the middle."""
REACH = 3.0
"""The axis shows ten to this power margins; what is farther off stands at its end."""
TAIL = 18.0


@dataclass(frozen=True)
class Yardstick:
    """The value of the theory is 0, and the ends of the margin are -1 and 1."""

    centre: float
    below: float
    above: float

    def units(self, value: float | None) -> float | None:
        """Return a number in units of the margin; ``None`` for what is no number."""
        if not drawable(value):
            return None
        distance = value - self.centre
        if distance == 0:
            return 0.0
        room = self.above if distance > 0 else self.below
        return distance / room if room > 0 else math.copysign(math.inf, distance)


def yardstick(record: Record) -> Yardstick | None:
    """Return the yardstick of a statement; ``None`` where it has no margin."""
    low, high, expected = record.margin.low, record.margin.high, record.expected
    if record.kind == "exact" and low in (None, 0.0) and drawable(high):
        return Yardstick(0.0, high, high)
    if drawable(low) and drawable(high):
        if expected == low:  # a size, which cannot be negative
            return Yardstick(low, high - low, high - low)
        inside = drawable(expected) and low < expected < high and not bound_only(record)
        centre = expected if inside and expected is not None else (low + high) / 2
        return Yardstick(centre, centre - low, high - centre)
    if drawable(high):
        room = high - expected if drawable(expected) and expected < high else _width(record, high)
        return Yardstick(high - room, room, room)
    if drawable(low):
        room = expected - low if drawable(expected) and expected > low else _width(record, low)
        return Yardstick(low + room, room, room)
    return None


def _width(record: Record, bound: float) -> float:
    """Return a scale for a bound without a value of the theory: the bound, or the width of the interval."""
    ends = record.measured.low, record.measured.high
    width = ends[1] - ends[0] if drawable(ends[0]) and drawable(ends[1]) else 0.0
    return abs(bound) or width or 1.0


def bound_only(record: Record) -> bool:
    """Return whether the statement has bounds and no value of the theory."""
    one_sided = (record.margin.low is None) != (record.margin.high is None)
    return record.agreement == "inequality" or one_sided


def agreement(record: Record) -> str:
    """Say how a statement that holds does so; older records leave it to their numbers."""
    if record.agreement or record.verdict != "holds" or record.kind == "exact":
        return record.agreement
    if bound_only(record):
        return "inequality"
    low, high, expected = record.measured.low, record.measured.high, record.expected
    if not (drawable(low) and drawable(high) and drawable(expected)) or record.form in ("exact", "identity"):
        return ""
    return "agrees" if low <= expected <= high else "deviates within the margin"


def expected(record: Record) -> str:
    """Return the value of the theory as text, or that there is none, only a bound."""
    return "a bound only" if bound_only(record) else numbers.number(record.expected)


def reach(record: Record) -> float:
    """Return the farthest end of the interval in units of the margin; infinite where nothing is known."""
    stick = yardstick(record)
    if stick is None:
        return math.inf
    found = record.measured
    ends = [stick.units(v) for v in (found.value, found.low, found.high)]
    known = [abs(end) for end in _one_sided(record, ends) if end is not None]
    return max(known, default=math.inf)


def _one_sided(record: Record, ends: list[float | None]) -> list[float | None]:
    """Forget the ends on the side that a one-sided statement does not bound."""
    if record.margin.low is None:
        return [None if end is None else max(end, 0.0) for end in ends]
    if record.margin.high is None:
        return [None if end is None else min(end, 0.0) for end in ends]
    return ends


def place(units: float) -> float:
    """Return percent from the left of the axis: even inside the margin, logarithmic beyond it."""
    size = abs(units)
    if size <= 1:
        return round(50 + HALF * units, 2)
    beyond = 1.0 if math.isinf(size) else min(math.log10(size) / REACH, 1.0)
    return round(50 + math.copysign(HALF + TAIL * beyond, units), 2)


def share(units: float) -> str:
    """Say how much of its margin a deviation takes: ``24 % of its margin`` or ``3.1 times its margin``."""
    size = abs(units)
    if math.isinf(size):
        return "infinitely many times its margin"
    if size < 0.005:
        return "less than 1 % of its margin"
    if size <= 1:
        return f"{100 * size:.0f} % of its margin"
    return f"{numbers.number(size, 2)} times its margin"
