"""Choose round numbers on an axis."""

from __future__ import annotations

import math

MAX_SETTINGS = 8
"""This many marks have room for their text on a narrow screen."""


def settings(values: list[float]) -> list[float]:
    """Return the values themselves where they are a few whole numbers, such as batch sizes; else nothing."""
    found = sorted(set(values))
    return found if len(found) <= MAX_SETTINGS and all(value == int(value) for value in found) else []


def numbered(values: list[float]) -> bool:
    """Return whether the values are 1, 2, 3 and so on: they number settings."""
    found = sorted(set(values))
    return 1 < len(found) <= 12 and found == [float(i) for i in range(1, len(found) + 1)]


def decades(low: float, high: float) -> list[float]:
    """1-2-5 over a few decades, else whole powers: Plotly's own lone digits need decoding.

    Where fewer than three of them lie in the range, round numbers in even steps: an axis needs more than one.
    """
    span = math.log10(high) - math.log10(low)
    whole = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 2)
    steps = (1, 2, 5) if span < 3 else (1,)
    every = max(1, math.ceil(span / 8))
    marks = [float(f"{f}e{d}") for d in whole if d % every == 0 for f in steps]
    if low < high and sum(low <= mark <= high for mark in marks) < 3:
        return round_numbers(low, high, log=True)
    return marks


def power(value: float) -> str:
    """Return a tick of a log axis as text: plain near 1, else a power of ten."""
    exponent = math.floor(math.log10(value) + 1e-9)
    if -3 <= exponent <= 4:
        return f"{value:g}"
    factor = f"{value / 10.0**exponent:.3g}"
    raised = str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return ("" if factor == "1" else f"{factor}·") + f"10{raised}"


def round_numbers(low: float, high: float, *, log: bool) -> list[float]:
    """Return three to seven round numbers in the range: 1-2-5 steps, or 1-2-5 times powers on a log axis."""
    if log:
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        for factors in ((1,), (1, 3), (1, 2, 5)):
            values = [float(f"{f}e{d}") for d in decades for f in factors]
            values = [v for v in values if low <= v <= high]
            if len(values) >= 3:
                break
        values = values[:: max(1, math.ceil(len(values) / 7))]
    if not log or len(values) < 3:
        # The next round step is at most twice as large, so it is at most a third of the range: 3 to 7 marks.
        raw = (high - low) / 6
        power = 10.0 ** math.floor(math.log10(raw))
        step = next(f * power for f in (1, 2, 2.5, 5, 10) if f * power >= raw * 0.999)
        first = math.ceil(low / step)
        values = [float(f"{n * step:.10g}") for n in range(first, math.floor(high / step) + 1)]
    return values
