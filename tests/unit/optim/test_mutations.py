"""Every mutation takes other steps than the reference implementation, so none explains a correct
optimizer."""

from functools import lru_cache

import numpy as np
import pytest
import torch

from ilr_check.gate.reference.trajectory import probing_gradients
from ilr_check.optim.contracts import contracts
from ilr_check.optim.contracts.reference import NO_MUTATION, ReferenceImplementation
from ilr_check.optim.mutations.decays import decay_mutations
from ilr_check.optim.mutations.families import FAMILY_MUTATIONS
from ilr_check.optim.mutations.rounding import BFLOAT16, FLOAT32, rounded
from ilr_check.optim.mutations.steps import gradient_mutations

LRS = (0.3, 0.3, 0.11, 0.017, 0.17, 0.05)
SHAPES = ((5,), (3, 4))
MISSES = {
    f"{name}: {mutation.sentence}": (contracts()[name], mutation)
    for name, mutations in FAMILY_MUTATIONS.items()
    for mutation in mutations
}
MISSES |= {
    f"{name}: {mutation.sentence}": (contracts()[name], mutation)
    for name in ("sgd", "sgdw", "adamw")
    for mutation in (*decay_mutations(contracts()[name]), *gradient_mutations())
}


@lru_cache
def paths(name: str, mutated: bool) -> tuple[tuple[float, ...], ...]:
    """Final weights under every setting of the contract, with or without the mutation."""
    contract, mutation = MISSES[name]
    ends = []
    for setting in contract.settings:
        rng = np.random.default_rng(5)
        starts = [rng.normal(size=shape) for shape in SHAPES]
        gradients = probing_gradients(contract, rng, SHAPES, len(LRS))
        hyper = {k: n.default for k, n in contract.names.items()} | {"weight_decay": 0.2, "lr": LRS[0]}
        book = ReferenceImplementation(
            contract, starts, hyper | dict(setting), mutation=mutation if mutated else NO_MUTATION
        )
        for lr, row in zip(LRS, gradients, strict=True):
            book.step(row, lr=lr)
        ends.append(tuple(float(x) for w in book.weights for x in np.ravel(w)))
    return tuple(ends)


@pytest.mark.parametrize("name", MISSES)
def test_a_mutation_is_not_the_reference(name: str) -> None:
    assert paths(name, mutated=True) != paths(name, mutated=False)


@pytest.mark.parametrize(("bits", "dtype"), [(BFLOAT16, torch.bfloat16), (FLOAT32, torch.float32)])
def test_rounding_is_that_of_the_dtype(bits: int, dtype: torch.dtype) -> None:
    values = torch.randn(500, dtype=torch.float64, generator=torch.Generator().manual_seed(3)).exp()
    assert np.array_equal(rounded(values.numpy(), bits), values.to(dtype).double().numpy())
