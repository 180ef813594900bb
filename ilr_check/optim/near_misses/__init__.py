"""Near-misses of textbook steps: what people get wrong, each with the sentence that says so.

A walk that leaves its textbook and follows a near-miss through all its steps, within rounding, is explained
by it. Those that only change a hyper-parameter stand in the contracts; here are those that are another step.
"""

from __future__ import annotations

from collections.abc import Iterator

from ilr_check.optim.contracts.contract import Contract, Slip
from ilr_check.optim.near_misses.decays import decay_misses
from ilr_check.optim.near_misses.families import FAMILY_MISSES
from ilr_check.optim.near_misses.steps import gradient_misses, step_misses


def near_misses(contract: Contract) -> Iterator[Slip]:
    """Every near-miss of this contract that is another step, the likeliest first."""
    yield from FAMILY_MISSES.get(contract.name, ())
    yield from decay_misses(contract)
    yield from gradient_misses()
    yield from step_misses(contract)


__all__ = ["near_misses"]
