"""Draws values from a strategy before any search."""

from __future__ import annotations

from typing import TypeVar

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

T = TypeVar("T")


def drawn(strategy: st.SearchStrategy[T], n: int, seed_value: int) -> list[T]:
    """Return ``n`` values of a strategy. They depend on ``seed_value`` and the version of Hypothesis alone.

    It is meant for statistical claims. A search selects what it returns, so the subjects of statistical
    claims are drawn before it. Call it outside ``@given``. Raises ``ValueError`` if the strategy has fewer
    than ``n`` different values.
    """
    values: list[T] = []

    @seed(seed_value)
    @settings(
        max_examples=n,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        derandomize=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(value: T) -> None:
        values.append(value)

    collect()
    if len(values) < n:
        raise ValueError(f"n={n}: {strategy} gave only {len(values)} different values; use a smaller n")
    return values[:n]
