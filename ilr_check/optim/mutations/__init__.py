"""Near-misses of textbook steps: what people get wrong, each with the sentence that says so.

A walk that leaves its textbook and follows a near-miss through all its steps, within rounding, is explained
by it. Those that only change a hyper-parameter stand in the contracts; here are those that are another step.
"""

from __future__ import annotations

from collections.abc import Iterator

from ilr_check.optim.contracts.contract import Contract, Mutation
from ilr_check.optim.mutations.decays import decay_mutations
from ilr_check.optim.mutations.families import FAMILY_MUTATIONS
from ilr_check.optim.mutations.steps import gradient_mutations, step_mutations


def mutations_of(contract: Contract) -> Iterator[Mutation]:
    """Every near-miss of this contract that is another step, the likeliest first."""
    yield from FAMILY_MUTATIONS.get(contract.name, ())
    yield from decay_mutations(contract)
    yield from gradient_mutations()
    yield from step_mutations(contract)


__all__ = ["mutations_of"]
