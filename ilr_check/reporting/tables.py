"""The numbers behind a figure as tables of a few rows; the file of the figure has all of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ilr_check.reporting import numbers
from ilr_check.reporting.histograms import Array
from ilr_check.reporting.prepared import Mark, Prepared

MOST_ROWS = 24


@dataclass(frozen=True)
class Table:
    """One table: the names of its columns, its rows as text, and how many rows the drawing has."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    total: int


def tables(prepared: Prepared) -> tuple[Table, ...]:
    """Return one table for all series that share their places on the x axis."""
    grouped: dict[bytes, list[Mark]] = {}
    for _, mark in prepared.legend:
        grouped.setdefault(mark.x.tobytes(), []).append(mark)
    return tuple(_table(prepared.figure.x_label, marks) for marks in grouped.values())


def _table(x_label: str, marks: list[Mark]) -> Table:
    x = marks[0].x
    columns: list[tuple[str, Array]] = [(x_label, x)]
    for mark in marks:
        if np.isfinite(mark.y).any():
            columns.append((mark.name, mark.y))
        for end, values in (("from", mark.low), ("to", mark.high)):
            if np.isfinite(values).any():
                columns.append((f"{mark.name}, {end}", values))
    keep = np.unique(np.linspace(0, len(x) - 1, min(len(x), MOST_ROWS)).round().astype(int))
    rows = tuple(tuple(numbers.number(float(values[i])) for _, values in columns) for i in keep)
    return Table(tuple(name for name, _ in columns), rows, len(x))
