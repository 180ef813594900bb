"""MADGRAD (Defazio, Jelassi 2021): dual averaging with a cube root, and momentum by averaging."""

from __future__ import annotations

import numpy as np

from ilr_check.optim.contracts.contract import (
    COUPLED,
    DECOUPLED_WORDS,
    Contract,
    Hyper,
    Mutation,
    Name,
    Number,
    State,
)
from ilr_check.optim.contracts.running import plain


def update(g: Number, w: Number, s: State, h: Hyper, t: int) -> Number:
    """Return (1 - momentum) (z - w) with z = w_1 - total / (cbrt(v) + eps).

    total and v are the sums of c g and of c g^2, where c = (lr + eps) sqrt(t). The paper has lr alone; the
    authors' code adds eps to an lr that is not zero, and so do the packages that took it over.
    """
    start = s.setdefault("start", w)
    form = h.get("rate", "lr + eps")
    added = form == "lr + eps, always" or (form == "lr + eps" and float(plain(h["lr"])) != 0.0)
    rate = h["lr"] + h["eps"] if added else h["lr"]
    weight = rate if h.get("weights") == "constant" else rate * np.sqrt(float(t))
    s["total"] = total = s.get("total", 0.0 * g) + weight * g
    s["v"] = v = s.get("v", 0.0 * g) + weight * (g * g)
    root = np.sqrt(v) if h.get("root") == "square" else v ** (1.0 / 3.0)
    return (1.0 - h["momentum"]) * (start - total / (root + h["eps"]) - w)


MADGRAD = Contract(
    name="madgrad",
    title="MADGRAD with L2 decay in the gradient",
    source="Defazio, Jelassi 2021 (arXiv 2101.11075), algorithm 1, and github facebookresearch/madgrad",
    update=update,
    names={
        "lr": Name(default=1e-2, names=("lr", "learning_rate")),
        "weight_decay": Name(default=0.0, names=("weight_decay", "wd")),
        "momentum": Name(default=0.9, names=("momentum",)),
        "eps": Name(default=1e-6, names=("eps", "epsilon")),
        "decoupled_weight_decay": Name(default=False, names=DECOUPLED_WORDS),
    },
    decay=COUPLED,
    degree=1.0 / 3.0,
    symmetry=None,  # eps is added to a root of degree 0 and to lr of degree 2: no power fits both
    momentum="the weights are an average of themselves and of the dual average",
    settings=({}, {"momentum": 0.0}, {"momentum": 0.6, "eps": 1e-2}),
    mutations=(
        Mutation(sentence="eps is not added to lr", hyper={"rate": "lr"}),
        Mutation(sentence="eps is added to an lr of zero as well", hyper={"rate": "lr + eps, always"}),
        Mutation(sentence="the root of the sum of squares is a square root", hyper={"root": "square"}),
        Mutation(sentence="gradients have the weight lr, expected lr*sqrt(t)", hyper={"weights": "constant"}),
        Mutation(sentence="momentum has no effect", hyper={"momentum": 0.0}),
        Mutation(sentence="the weight of a gradient is off by one step: sqrt(t+1)", shift=1),
    ),
    variations={"rate": ("lr + eps", "lr + eps, always", "lr")},
    exceptions={"zero-lr:still, in the middle": "the weights go on towards the dual average, whatever lr is"},
)
CONTRACTS = (MADGRAD,)
