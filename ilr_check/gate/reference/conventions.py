"""Find the documented conventions of a family that a target follows, where it follows several at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

import numpy as np

from ilr_check.gate.reference.trajectory import deviation, probing_gradients, record_trajectory
from ilr_check.gate.subject import Subject
from ilr_check.gate.words.explanation import CONVENTIONS, INSTEAD_OF
from ilr_check.optim.contracts.contract import Contract, Mutation

LRS = (0.3, 0.11, 0.17, 0.05, 0.09)
"""The rates of the steps; the last one has a gradient of zeros."""
WEIGHT_DECAY = 0.12
SHAPES = ((3, 4), (5,), (4, 3))
SIZES = (1.0, 1.0, 8.0)
"""The last tensor has a norm above 10, at which a LAMB may bound it."""
DECAYS = ("coupled", "decoupled", "after")
MOST = 1500
"""No family has more combinations of conventions than this."""


def conventions_of(subject: Subject) -> Mapping[str, Any]:
    """Return the fewest conventions under which the family takes the measured steps; empty for none.

    One convention alone is found by the mutation that explains a step. Released optimizers may follow more:
    a LAMB that bounds the norm of the weights and corrects the first moment alone.
    """
    contract = subject.contract
    if contract is None or contract.matrices_only or not subject.can_vary("lr"):
        return {}
    rng = np.random.default_rng(13)
    starts = [size * rng.normal(size=shape) for size, shape in zip(SIZES, SHAPES, strict=True)]
    gradients = probing_gradients(contract, rng, SHAPES, len(LRS) - 1)
    gradients.append([np.zeros(shape) for shape in SHAPES])
    schedule = [{"lr": lr} for lr in LRS] if subject.can_schedule("lr") else None
    decay = {"weight_decay": WEIGHT_DECAY} if subject.can_vary("weight_decay") else {}
    trajectories = [
        record_trajectory(subject, starts, gradients, schedule=schedule, **{**setting, "lr": LRS[0], **decay})
        for setting in subject.settings
    ]
    for combined in _combinations(contract, subject.declared):
        mutation = Mutation(sentence="several conventions", hyper=combined)
        with np.errstate(all="ignore"):
            if all(deviation(trajectory, contract, mutation).ratio <= 1.0 for trajectory in trajectories):
                return combined
    return {}


def _combinations(contract: Contract, declared: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield combinations of two or more conventions, those with the fewest first."""
    choices = {
        key: values
        for key, values in contract.variations.items()
        if key in CONVENTIONS and key not in declared and key not in INSTEAD_OF
    }
    if contract.decay.where != "none" and "decay" not in declared:
        choices["decay"] = (None, *DECAYS)
    found = []
    for values in product(*choices.values()):
        combined = {
            key: value
            for (key, known), value in zip(choices.items(), values, strict=True)
            if value != known[0]
        }
        if len(combined) > 1:
            found.append(combined)
    yield from sorted(found, key=len)[:MOST]
