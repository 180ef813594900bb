"""Draws numbers within bounds, and reports bounds that make no sense."""

from __future__ import annotations

import math
from collections.abc import Sequence

from hypothesis import strategies as st


def integers(low: int, high: int, *, with_largest: bool) -> st.SearchStrategy[int]:
    """Draw within the range, where Hypothesis prefers its lower end. ``with_largest`` draws the largest
    often."""
    if not with_largest:
        return st.integers(low, high)
    # `integers | just` would not do: `just` needs no decision, so failures would shrink to it.
    return st.tuples(st.booleans(), st.integers(low, high)).map(lambda pair: high if pair[0] else pair[1])


def log_uniform(low: float, high: float) -> st.SearchStrategy[float]:
    """Draw numbers over all decades of the range, with three digits. They shrink towards 1.

    The decade is drawn separately, because one number for the whole exponent would be near 0 nine times out
    of ten.
    """
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high)) - 1
    parts = st.tuples(st.integers(first, max(first, last)), st.integers(0, 99))
    return parts.map(lambda p: min(max(float(f"{10 ** (p[0] + p[1] / 100):.3g}"), low), high))


def thousandths(low: float, high: float) -> st.SearchStrategy[float]:
    """Draw whole thousandths, spread evenly. ``st.floats`` would prefer the ends."""
    return st.integers(math.ceil(1000 * low), math.floor(1000 * high)).map(lambda n: n / 1000)


def bounds(name: str, low: int, high: int, largest: int) -> None:
    if not 1 <= low <= high <= largest:
        raise ValueError(f"{name} from {low!r} to {high!r}: need 1 <= min <= max <= {largest}")


def known(name: str, values: Sequence[str], known: Sequence[str]) -> None:
    unknown = [v for v in values if v not in known]
    if unknown or not values:
        raise ValueError(f"{name}={tuple(values)!r}: must be some of {', '.join(known)}")
