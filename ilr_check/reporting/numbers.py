"""Format numbers for people: as many digits as the interval supports, and words for NaN."""

from __future__ import annotations

import math
import re
from typing import TypeGuard

from ilr_check.evidence import Margin, Measured

NONE = "–"


LARGEST = 1e150
"""Above this the arithmetic of axes overflows."""


def drawable(value: float | None) -> TypeGuard[float]:
    """Return whether a number can be drawn: not NaN, not infinite, not absurdly large."""
    return value is not None and abs(value) < LARGEST


def number(value: float | None, digits: int = 4) -> str:
    """Format ``digits`` significant digits; a dash for ``None``, words for NaN and infinity."""
    if value is None:
        return NONE
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if value == int(value) and abs(value) < 1e6:
        return str(int(value))
    text = f"{value:.{digits}g}"
    return re.sub(r"e([+-])0*(\d+)$", lambda m: f"e{m[1].replace('+', '')}{m[2]}", text)


def measured(result: Measured) -> str:
    """Return ``0.3181 [0.3102, 0.3262]``, with digits that show the interval's width."""
    digits = _digits(result.value, result.low, result.high)
    if result.low is None and result.high is None:
        return number(result.value, digits)
    return f"{number(result.value, digits)} {_bracket(result.low, result.high, digits)}"


def margin(limits: Margin) -> str:
    """Return ``[0.30, 0.34]``, a one-sided bound as ``at most 1``, or a dash for no bound."""
    if limits.low is None and limits.high is None:
        return NONE
    if limits.low is None:
        return f"at most {number(limits.high)}"
    if limits.high is None:
        return f"at least {number(limits.low)}"
    return _bracket(limits.low, limits.high, _digits(None, limits.low, limits.high))


def rate(value: float | None) -> str:
    """Format an error rate: ``0.1 %``, ``1e-05``, or ``0``."""
    if value is None or not math.isfinite(value) or value == 0:
        return number(value)
    return f"{100 * value:.3g} %" if value >= 1e-4 else number(value, 2)


def duration(seconds: float) -> str:
    """Return ``0.4 s``, ``42 s``, ``3 min 05 s``, ``2 h 03 min``."""
    if not math.isfinite(seconds):
        return NONE
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def _bracket(low: float | None, high: float | None, digits: int) -> str:
    return f"[{number(low, digits)}, {number(high, digits)}]"


def _digits(value: float | None, low: float | None, high: float | None) -> int:
    """Return two digits more than needed to distinguish the ends, between 3 and 8."""
    if not (drawable(low) and drawable(high)) or high <= low:
        return 4
    size = max(abs(low), abs(high), abs(value) if drawable(value) else 0.0)
    return min(8, max(3, math.ceil(math.log10(size) - math.log10(high - low)) + 2))
