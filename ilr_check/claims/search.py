"""The search: Hypothesis as a library, deterministic, silent, shrinking."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

Example = TypeVar("Example")


def search(
    strategy: SearchStrategy[Example],
    attempt: Callable[[Example], None],
    *,
    examples: int,
    seed: int,
    target: Callable[[], float] | None = None,
    shrink: bool = True,
) -> Example | None:
    """Call ``attempt`` on generated examples; the smallest that raises ``AssertionError``, or ``None``.

    Without ``shrink`` it is the first one, which costs no time where a smaller one would tell nothing new.

    ``target``, read after each attempt, is what the search tries to make large. Any other exception is a
    defect of a claim and propagates.
    """
    import hypothesis
    from hypothesis import HealthCheck, Phase, Verbosity, given, settings

    smallest: list[Example] = []

    @hypothesis.seed(seed)
    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        print_blob=False,
        verbosity=Verbosity.quiet,
        phases=[
            Phase.generate,
            *([Phase.shrink] if shrink else []),
            *([Phase.target] if target else []),
        ],
        suppress_health_check=list(HealthCheck),
        # Two ways to fail would come as a group of exceptions, of which no example is the smallest.
        report_multiple_bugs=False,
    )
    @given(strategy)
    def run(example: Example) -> None:
        smallest[:] = [example]
        attempt(example)
        if target is not None:
            hypothesis.target(math.log10(max(target(), 1e-30)), label="log10(residual/bound)")

    try:
        run()
    except AssertionError:
        # Hypothesis replays the smallest failing example last.
        return smallest[0]
    return None
