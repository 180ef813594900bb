"""SparseAdam is Adam for sparse gradients. Entries that a gradient does not name do not change."""

from __future__ import annotations

from typing import Any

import numpy as np

from ilr_check.optim.contracts.adam import MOMENTS, corrections, denominator
from ilr_check.optim.contracts.contract import NO_DECAY, Contract, Hyper, Mutation, Number, State
from ilr_check.optim.contracts.running import plain
from ilr_check.optim.symmetry import Symmetry

DENSE = "the law uses dense gradients, and the family accepts only sparse ones"


def update(g: Number, w: Number, s: State, h: Hyper, t: int) -> Number:
    """Return Adam's step, with eps before the bias correction, for the entries that g names.

    The moments and weights of all other entries do not change.
    """
    named: Any = np.ones_like(plain(g)) if h.get("entries") == "all" else (plain(g) != 0.0).astype(float)
    zero = 0.0 * g
    m, v = s.get("m", zero), s.get("v", zero)
    m = m + named * ((1.0 - h["beta1"]) * (g - m))
    v = v + named * ((1.0 - h["beta2"]) * (g * g - v))
    s["m"], s["v"] = m, v
    first, second = corrections(h, t)
    place = {"eps_place": "before correction"}
    return named * (-h["lr"] * (m / first) / denominator(v, {**h, **place}, second))


SPARSE_ADAM = Contract(
    name="sparseadam",
    title="Adam for sparse gradients; entries without a gradient do not change",
    source="torch.optim.SparseAdam, after Kingma, Ba 2015 with eps before the correction of v",
    update=update,
    names={key: name for key, name in MOMENTS.items() if key != "weight_decay"},
    decay=NO_DECAY,
    degree=0.0,
    symmetry=Symmetry(arguments={"lr": 1, "eps": -1}),
    momentum="exponential average of gradients from zero; an entry counts only the steps that name it",
    bias_correction=True,
    settings=({}, {"beta1": 0.7, "beta2": 0.95, "eps": 1e-2}),
    mutations=(
        Mutation(
            sentence="entries without a gradient move too, as in a dense Adam", hyper={"entries": "all"}
        ),
        Mutation(sentence="there is no bias correction", hyper={"bias_correction": "neither"}),
        Mutation(
            sentence="bias correction is off by one step: step t is corrected as if it were t+1", shift=1
        ),
    ),
    exceptions=dict.fromkeys(("closure", "gradients-kept"), DENSE),
    sparse=True,
)
CONTRACTS = (SPARSE_ADAM,)
