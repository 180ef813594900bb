"""Every near-miss is another step than the textbook's, so that no right optimizer is explained by one."""

from functools import lru_cache

import numpy as np
import pytest
import torch

from ilr_check.gate.walk import probing_gradients
from ilr_check.optim.contracts import contracts
from ilr_check.optim.contracts.textbook import NO_SLIP, Textbook
from ilr_check.optim.near_misses.decays import decay_misses
from ilr_check.optim.near_misses.families import FAMILY_MISSES
from ilr_check.optim.near_misses.rounding import BFLOAT16, FLOAT32, rounded
from ilr_check.optim.near_misses.steps import gradient_misses

LRS = (0.3, 0.3, 0.11, 0.017, 0.17, 0.05)
SHAPES = ((5,), (3, 4))
MISSES = {
    f"{name}: {slip.sentence}": (contracts()[name], slip)
    for name, slips in FAMILY_MISSES.items()
    for slip in slips
}
MISSES |= {
    f"{name}: {slip.sentence}": (contracts()[name], slip)
    for name in ("sgd", "sgdw", "adamw")
    for slip in (*decay_misses(contracts()[name]), *gradient_misses())
}


@lru_cache
def paths(name: str, slipped: bool) -> tuple[tuple[float, ...], ...]:
    """Final weights under every setting of the contract, with or without the slip."""
    contract, slip = MISSES[name]
    ends = []
    for setting in contract.settings:
        rng = np.random.default_rng(5)
        starts = [rng.normal(size=shape) for shape in SHAPES]
        gradients = probing_gradients(contract, rng, SHAPES, len(LRS))
        hyper = {k: n.default for k, n in contract.names.items()} | {"weight_decay": 0.2, "lr": LRS[0]}
        book = Textbook(contract, starts, hyper | dict(setting), slip=slip if slipped else NO_SLIP)
        for lr, row in zip(LRS, gradients, strict=True):
            book.step(row, lr=lr)
        ends.append(tuple(float(x) for w in book.weights for x in np.ravel(w)))
    return tuple(ends)


@pytest.mark.parametrize("name", MISSES)
def test_a_near_miss_is_no_textbook(name: str) -> None:
    assert paths(name, slipped=True) != paths(name, slipped=False)


@pytest.mark.parametrize(("bits", "dtype"), [(BFLOAT16, torch.bfloat16), (FLOAT32, torch.float32)])
def test_rounding_is_that_of_the_dtype(bits: int, dtype: torch.dtype) -> None:
    values = torch.randn(500, dtype=torch.float64, generator=torch.Generator().manual_seed(3)).exp()
    assert np.array_equal(rounded(values.numpy(), bits), values.to(dtype).double().numpy())
