"""NovoGrad (Ginsburg et al. 2019): gradients over the norm of their tensor, and decay beside them."""

from __future__ import annotations

import numpy as np

from ilr_check.optim.contracts.adam import MOMENTS
from ilr_check.optim.contracts.contract import (
    DECOUPLED_WORDS,
    Contract,
    Decay,
    Hyper,
    Mutation,
    Name,
    Number,
    State,
)
from ilr_check.optim.symmetry import Symmetry


def update(g: Number, w: Number, s: State, h: Hyper, t: int) -> Number:
    """Return -lr m with m <- b1 m + g / (sqrt(v) + eps) + wd w, where v averages the squared norm of g.

    Both start at their first value. ``grad_averaging`` gives what enters m the weight 1 - b1 after that. With
    decoupled decay the weights lose lr wd of themselves instead.
    """
    squares = (g * g).sum()
    s["v"] = v = squares if "v" not in s else h["beta2"] * s["v"] + (1.0 - h["beta2"]) * squares
    root = np.sqrt(v + h["eps"]) if h.get("eps_place") == "inside" else np.sqrt(v) + h["eps"]
    entering, beside = g / root, 0.0 * w
    if h["decoupled_weight_decay"]:
        beside = h["lr"] * h["weight_decay"] * w
    else:
        entering = entering + h["weight_decay"] * w
    if "m" in s:
        share = 1.0 - h["beta1"] if h["grad_averaging"] else 1.0
        s["m"] = h["beta1"] * s["m"] + share * entering
    else:
        s["m"] = (1.0 - h["beta1"]) * entering if h.get("buffer_start") == "zero" else entering
    return -h["lr"] * s["m"] - beside


NOVOGRAD = Contract(
    name="novograd",
    title="NovoGrad: decay beside the normalised gradient",
    source="Ginsburg et al. 2019 (arXiv 1905.11286), algorithm 1",
    update=update,
    names={
        **{key: MOMENTS[key] for key in ("lr", "weight_decay", "eps")},
        "beta1": Name(default=0.95, names=("betas.0", "beta1", "b1")),
        "beta2": Name(default=0.98, names=("betas.1", "beta2", "b2")),
        "grad_averaging": Name(default=False, names=("grad_averaging",)),
        "decoupled_weight_decay": Name(default=False, names=DECOUPLED_WORDS),
    },
    decay=Decay(where="own"),
    degree=0.0,
    symmetry=Symmetry(arguments={"lr": 1, "weight_decay": -1, "eps": -1}),
    momentum="sum of normalised gradients, m' = beta1*m + g/(|g| + eps)",
    settings=({}, {"beta1": 0.7, "beta2": 0.6, "eps": 1e-2}, {"grad_averaging": True}),
    mutations=(
        Mutation(sentence="grad_averaging has no effect", hyper={"grad_averaging": False}),
        Mutation(
            sentence="gradients are averaged although grad_averaging is off", hyper={"grad_averaging": True}
        ),
        Mutation(sentence="the average starts at zero", hyper={"buffer_start": "zero"}),
        Mutation(sentence="eps stands inside the root", hyper={"eps_place": "inside"}),
        Mutation(sentence="eps has no effect", hyper={"eps": 0.0}),
        Mutation(sentence="weight decay has no effect", hyper={"weight_decay": 0.0}),
    ),
    variations={"buffer_start": ("the first gradient", "zero"), "eps_place": ("outside", "inside")},
    mixes_entries=True,
    several=True,
)
CONTRACTS = (NOVOGRAD,)
