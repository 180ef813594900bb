"""Places on the axis that all statements share: measured interval, margin and rivals, in units of the margin.

The page draws them as plain boxes at these percentages, so that they need no script, follow the colour
scheme, fit any width and print.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ilr_check.evidence import Record
from ilr_check.reporting import deviation, numbers
from ilr_check.reporting.deviation import Yardstick, place


@dataclass(frozen=True)
class Tick:
    """A labelled place on the axis."""

    left: float
    text: str


@dataclass(frozen=True)
class Span:
    """A horizontal bar, in percent of the axis."""

    left: float
    width: float


@dataclass(frozen=True)
class RivalMark:
    """A rival theory on the axis; ``near`` marks the nearest one of its side."""

    left: float
    text: str
    excluded: bool
    near: bool


@dataclass(frozen=True)
class Lane:
    """One statement on the axis; ``None`` where it has no such number."""

    point: float | None
    span: Span | None
    margin: Span
    theory: bool
    """Whether the theory says a value, which then stands in the middle."""
    rivals: tuple[RivalMark, ...]
    units: float | None


_TICKS = (-100.0, -1.0, 0.0, 1.0, 100.0)
AXIS = tuple(Tick(place(value), f"{value:+g}" if value else "0") for value in _TICKS)
"""The marks of the axis: 0 is the theory, 1 is the end of the margin."""


def lane(record: Record) -> Lane | None:
    """Return a statement on the shared axis; ``None`` where it has no margin."""
    stick = deviation.yardstick(record)
    if stick is None:
        return None
    value, low, high = (stick.units(number) for number in _numbers(record))
    span = None
    if low is not None and high is not None:
        span = Span(place(low), round(place(high) - place(low), 2))
    return Lane(
        point=None if value is None else place(value),
        span=span,
        margin=_margin(record),
        theory=not deviation.bound_only(record),
        rivals=_rivals(record, stick),
        units=value,
    )


def _numbers(record: Record) -> tuple[float | None, float | None, float | None]:
    return record.measured.value, record.measured.low, record.measured.high


def _margin(record: Record) -> Span:
    """Return the margin; a side without a bound reaches the end of the axis."""
    left = 0.0 if record.margin.low is None else place(-1.0)
    if record.margin.high is not None and record.margin.low in (None, record.expected):
        residual = record.kind == "exact" or record.margin.low is not None
        left = place(0.0) if residual else 0.0
    right = 100.0 if record.margin.high is None else place(1.0)
    return Span(left, right - left)


def _rivals(record: Record, stick: Yardstick) -> tuple[RivalMark, ...]:
    found = []
    for rival in record.rivals:
        units = stick.units(rival.expected)
        if units is not None:
            state = "refuted" if rival.excluded else "not refuted"
            far = "far off" if math.isinf(units) else f"{numbers.number(abs(units), 2)} margins away"
            found.append((units, f"rival: {rival.name}, {far}, {state}", rival.excluded))
    nearest = {
        side: min((abs(units) for units, _, _ in found if (units > 0) is side), default=None)
        for side in (False, True)
    }
    return tuple(
        RivalMark(place(units), text, excluded, abs(units) == nearest[units > 0])
        for units, text, excluded in found
    )
