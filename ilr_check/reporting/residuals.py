"""Draw the exact claims: a row a claim, its worst residual and its rivals in units of the bound."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ilr_check.evidence import ClaimText, Record
from ilr_check.reporting import numbers
from ilr_check.reporting.intervals import Axis, Tick
from ilr_check.reporting.parts import ClaimPart

SMALLEST = 1e-6
"""The left edge; smaller residuals, exact zeros too, are practically zero in units of a bound."""
LARGEST = 1e20
"""The largest right edge; a residual that is not a number lies there too."""


@dataclass(frozen=True)
class Refutation:
    """The largest residual of a rival theory, and whether it excludes the rival."""

    name: str
    text: str
    left: float
    excluded: bool


@dataclass(frozen=True)
class ResidualRow:
    """One claim: the place of its worst residual, in percent of the axis, and its rivals."""

    text: ClaimText
    verdict: str
    left: float
    worst: str
    examples: int
    rivals: tuple[Refutation, ...]


@dataclass(frozen=True)
class ResidualChart:
    """All exact claims of a run on one logarithmic axis, the rounding bound at ``bound`` percent."""

    rows: tuple[ResidualRow, ...]
    ticks: tuple[Tick, ...]
    bound: float


def chart(parts: Iterable[ClaimPart]) -> ResidualChart | None:
    """Return the chart of the exact claims that were judged; ``None`` where there is none."""
    judged = [(part, _judged(part.records)) for part in parts if part.text.kind == "exact"]
    judged = [(part, records) for part, records in judged if records]
    if not judged:
        return None
    sizes = [size for _, records in judged for size in _sizes(records)]
    high = 10.0 ** math.ceil(math.log10(max([100.0, *sizes])) + 0.5)
    axis = Axis(SMALLEST, high, log=True)
    rows = tuple(_row(part, records, axis) for part, records in judged)
    # Five labels fit on a phone.
    stride = -(-round(math.log10(high / SMALLEST)) // 5)
    powers = range(round(math.log10(SMALLEST)), round(math.log10(high)) + 1)
    marks = tuple(Tick(round(axis.place(10.0**k), 3), _power(k)) for k in powers if k % stride == 0)
    return ResidualChart(rows, marks, round(axis.place(1.0), 3))


def _judged(records: Sequence[Record]) -> list[Record]:
    return [r for r in records if r.form == "exact" and r.verdict not in ("skipped", "error")]


def _sizes(records: Sequence[Record]) -> list[float]:
    found = [r.measured.value for r in records]
    found += [rival.expected for r in records for rival in r.rivals]
    return [min(abs(size), LARGEST) for size in found if numbers.drawable(size)]


def _row(part: ClaimPart, records: Sequence[Record], axis: Axis) -> ResidualRow:
    values = [r.measured.value for r in records]
    worst = max((math.inf if v is None else v for v in values), default=0.0)
    names = dict.fromkeys(rival.name for r in records for rival in r.rivals)
    return ResidualRow(
        text=part.text,
        verdict=part.verdict,
        left=_place(axis, worst),
        worst="not a number" if math.isinf(worst) else numbers.number(worst),
        examples=sum(r.n_runs for r in records),
        rivals=tuple(_refutation(name, records, axis) for name in names),
    )


def _refutation(name: str, records: Sequence[Record], axis: Axis) -> Refutation:
    found = [rival for r in records for rival in r.rivals if rival.name == name]
    # A rival that is excluded without a number has a residual that is not finite.
    sizes = [math.inf if r.expected is None and r.excluded else r.expected or 0.0 for r in found]
    size = max(sizes)
    text = "infinite" if math.isinf(size) else numbers.number(size)
    return Refutation(name, text, _place(axis, size), any(r.excluded for r in found))


def _place(axis: Axis, size: float) -> float:
    return round(axis.place(min(max(abs(size), axis.low), axis.high)), 3)


def _power(k: int) -> str:
    return "1" if k == 0 else "10" + str(k).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
