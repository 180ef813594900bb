"""The contract of L-BFGS, which chooses its direction from all tensors at once."""

from __future__ import annotations

from ilr_check.optim.contracts.contract import NO_DECAY, Contract, Hyper, Name, Number, State

FLAT = "it treats all tensors as one vector, so there is no reference step for a single tensor"

STEPWISE = (
    "memory",
    "textbook-step",
    "mixed-dtypes",
    "tensor-shapes",
    "low-precision",
    "bias-correction",
    "compiled-step",
)
"""The laws that compare with a reference implementation."""


def update(g: Number, w: Number, s: State, h: Hyper, t: int) -> Number:
    """Raise ``NotImplementedError``: a single tensor has no step."""
    raise NotImplementedError(FLAT)


LBFGS = Contract(
    name="lbfgs",
    title="L-BFGS with a closure",
    source="Liu, Nocedal 1989, as torch.optim.LBFGS",
    update=update,
    names={"lr": Name(default=1.0, names=("lr", "learning_rate"))},
    decay=NO_DECAY,
    degree=None,
    symmetry=None,
    momentum="pairs of steps and changes of the gradient, over all tensors",
    exceptions={
        "missing-gradient": "it treats all tensors as one vector, in which a missing gradient counts as zero",
        "closure": "its search calls the closure several times in a step",
        "gradients-kept": "the law steps without a closure, which the family needs",
        **dict.fromkeys(STEPWISE, FLAT),
    },
    closure=True,
)
CONTRACTS = (LBFGS,)
