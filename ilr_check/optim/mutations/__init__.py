"""Mutations are common errors in the step of an optimizer. Each has a sentence that names the error.

A mutation explains a trajectory if the trajectory leaves the reference implementation and agrees with the
mutation at all its steps, within rounding. Contracts hold the mutations that only change a hyper-parameter.
This folder has the others.
"""

from __future__ import annotations

from collections.abc import Iterator

from ilr_check.optim.contracts.contract import Contract, Mutation
from ilr_check.optim.mutations.decays import decay_mutations
from ilr_check.optim.mutations.families import FAMILY_MUTATIONS
from ilr_check.optim.mutations.steps import gradient_mutations, step_mutations


def mutations_of(contract: Contract) -> Iterator[Mutation]:
    """Return every mutation of this contract that changes the step or its decay, the likeliest first."""
    yield from FAMILY_MUTATIONS.get(contract.name, ())
    yield from decay_mutations(contract)
    yield from gradient_mutations()
    yield from step_mutations(contract)


__all__ = ["mutations_of"]
