"""Interval plots as percentages on one axis: measured interval, margin, theory and rivals, row by row.

The page positions plain boxes with these percentages, so that the plots need no script, follow the colour
scheme and print.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ilr_check.evidence import Record
from ilr_check.reporting import numbers, ticks

MIN_CORE = 0.12
"""Share of the axis that the decision (margin, theory, measured) has to fill; rivals that would squeeze it
below this are named at the edge instead."""
CORE_SHARE = 0.6
"""The decision gets this share of the axis once rivals are moved to the edge."""
LOG_SPAN = 8.0
"""The axis is logarithmic if the ratio between the outermost values is at least this."""
SMALLEST = 1 / numbers.LARGEST


@dataclass(frozen=True)
class Span:
    """A horizontal bar, in percent of the axis; the flags say that an end lies beyond it."""

    left: float
    width: float
    cut_left: bool = False
    cut_right: bool = False


@dataclass(frozen=True)
class RivalMark:
    """A rival's expectation on the axis, or named at its ``edge`` ("left" or "right")."""

    name: str
    text: str
    excluded: bool
    left: float | None
    edge: str = ""


@dataclass(frozen=True)
class Row:
    """One record on the axis; ``beyond`` says on which side the measured number lies off it."""

    record: Record
    margin: Span | None
    measured: Span | None
    point: float | None
    beyond: str
    theory: float | None
    rivals: tuple[RivalMark, ...]


@dataclass(frozen=True)
class Tick:
    """A labelled place on the axis."""

    left: float
    text: str


@dataclass(frozen=True)
class Panel:
    """Rows that share one axis: one quantity, on every subject and group, its forms side by side."""

    quantity: str
    rows: tuple[Row, ...]
    ticks: tuple[Tick, ...]
    log: bool


@dataclass(frozen=True)
class Axis:
    """A scale maps numbers to percent."""

    low: float
    high: float
    log: bool = False

    def place(self, value: float) -> float:
        """Return percent from the left; below 0 or above 100 for numbers outside the axis."""
        if self.log:
            if value <= 0:
                return -math.inf
            start = math.log(self.low)
            return 100 * (math.log(value) - start) / (math.log(self.high) - start)
        return 100 * (value - self.low) / (self.high - self.low)

    def span(self, low: float | None, high: float | None) -> Span | None:
        """Return the visible part of ``[low, high]``; an end that is ``None`` lies beyond the axis."""
        if low is None and high is None:
            return None
        left = self.place(low) if low is not None and not math.isnan(low) else -math.inf
        right = self.place(high) if high is not None and not math.isnan(high) else math.inf
        start, end = min(max(left, 0.0), 100.0), min(max(right, 0.0), 100.0)
        return Span(round(start, 3), round(max(end - start, 0.0), 3), left < -1e-9, right > 100 + 1e-9)


def panels(records: Iterable[Record]) -> tuple[Panel, ...]:
    """Return one panel per quantity of the statistical records that have something to draw.

    Residuals in units of a rounding bound are left to the table: there is nothing to see on their axis.
    """
    grouped: dict[str, list[Record]] = {}
    for record in records:
        rounding = record.form in ("exact", "identity") and record.margin.low == 0
        if not rounding and (numbers.drawable(record.measured.value) or _ends(record)):
            grouped.setdefault(record.quantity, []).append(record)
    return tuple(_panel(quantity, rows) for quantity, rows in grouped.items())


def strip(record: Record) -> Row | None:
    """Return a record on its own axis, half of which is its margin; ``None`` without a margin.

    An exact claim measures a residual: its margin starts at 0 and takes three quarters instead.
    """
    low, high = record.margin.low, record.margin.high
    if record.kind == "exact" and low in (None, 0.0) and numbers.drawable(high) and high > SMALLEST:
        return _row(record, Axis(0.0, high * 4 / 3)) if numbers.drawable(record.measured.value) else None
    if not (numbers.drawable(low) and numbers.drawable(high) and numbers.drawable(record.measured.value)):
        return None
    if high - low <= SMALLEST:
        return None
    return _row(record, Axis(low - (high - low) / 2, high + (high - low) / 2))


def _panel(quantity: str, records: Sequence[Record]) -> Panel:
    core = [value for record in records for value in _core(record)]
    rivals = [r.expected for record in records for r in record.rivals if r.expected is not None]
    axis = _axis(core or [0.0, 1.0], [value for value in rivals if numbers.drawable(value)])
    return Panel(quantity, tuple(_row(record, axis) for record in records), _ticks(axis), axis.log)


def _axis(core: list[float], rivals: list[float]) -> Axis:
    everything = core + rivals
    log = min(everything) > SMALLEST and max(everything) / min(everything) > LOG_SPAN

    def scale(value: float) -> float:
        return math.log(value) if log else value

    low, high = scale(min(core)), scale(max(core))
    extent = high - low
    if extent <= max(1e-9 * max(abs(low), abs(high)), SMALLEST):  # one value, as far as a picture can show
        extent = abs(high) if abs(high) > SMALLEST else 1.0
    # Nearest rivals first: each is added while the decision itself stays visible.
    edges = sorted((scale(value) for value in rivals), key=lambda v: max(low - v, v - high, 0.0))
    left, right = low, high
    for edge in edges:
        if extent / (max(right, edge) - min(left, edge) or extent) >= MIN_CORE:
            left, right = min(left, edge), max(right, edge)
    kept_out = any(edge < left or edge > right for edge in edges)
    pad = max(right - left, extent) * 0.08
    if kept_out and right - left <= extent:
        pad = extent * (1 / CORE_SHARE - 1) / 2
    left, right = left - pad, right + pad
    if log:
        widest = 2 * math.log(numbers.LARGEST)  # still inside the range of exp
        return Axis(math.exp(max(left, -widest)), math.exp(min(right, widest)), True)
    return Axis(left, right)


def _row(record: Record, axis: Axis) -> Row:
    measured, value = record.measured, record.measured.value
    return Row(
        record=record,
        margin=axis.span(record.margin.low, record.margin.high),
        measured=axis.span(measured.low, measured.high) if _ends(record) else None,
        point=_inside(axis, value),
        beyond=_beyond(axis, value),
        theory=_inside(axis, record.expected),
        rivals=tuple(_rival(axis, r.name, r.expected, r.excluded) for r in record.rivals),
    )


def _rival(axis: Axis, name: str, expected: float | None, excluded: bool) -> RivalMark:
    text = numbers.number(expected)
    if not numbers.drawable(expected):
        return RivalMark(name, text, excluded, None)
    place = axis.place(expected)
    if 0 <= place <= 100:
        return RivalMark(name, text, excluded, round(place, 3))
    return RivalMark(name, text, excluded, None, "left" if place < 0 else "right")


def _inside(axis: Axis, value: float | None) -> float | None:
    if not numbers.drawable(value):
        return None
    return round(min(max(axis.place(value), 0.0), 100.0), 3)


def _beyond(axis: Axis, value: float | None) -> str:
    if not numbers.drawable(value):
        return ""
    place = axis.place(value)
    return "left" if place < 0 else "right" if place > 100 else ""


def _ends(record: Record) -> bool:
    return numbers.drawable(record.measured.low) and numbers.drawable(record.measured.high)


def _core(record: Record) -> list[float]:
    found = (
        record.measured.value,
        record.measured.low,
        record.measured.high,
        record.expected,
        record.margin.low,
        record.margin.high,
    )
    return [value for value in found if numbers.drawable(value)]


def _ticks(axis: Axis) -> tuple[Tick, ...]:
    values = ticks.round_numbers(axis.low, axis.high, log=axis.log)
    return tuple(Tick(round(axis.place(value), 3), numbers.number(value)) for value in values)
