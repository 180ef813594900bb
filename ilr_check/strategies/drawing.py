"""Values of a strategy drawn up front, outside any search."""

from __future__ import annotations

from typing import TypeVar

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

T = TypeVar("T")


def drawn(strategy: st.SearchStrategy[T], n: int, seed_value: int) -> list[T]:
    """Return ``n`` values of a strategy, decided by ``seed_value`` and the version of Hypothesis alone.

    For statistical claims: what a search returns is selected, so their subjects are drawn up front. Call it
    outside ``@given``. Raises ``ValueError`` where the strategy has fewer than ``n`` different values.
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
        raise ValueError(f"n={n}: {strategy} gave only {len(values)} different values; ask for fewer")
    return values[:n]
