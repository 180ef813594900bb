"""PID (An et al. 2018): SGD with the integral and the derivative of the gradient."""

from __future__ import annotations

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
from ilr_check.optim.symmetry import Symmetry


def update(g: Number, w: Number, s: State, h: Hyper, t: int) -> Number:
    """Return -lr (g + ki i + kd d) with i <- mu i + (1 - dampening) g and d <- mu d + (1 - mu) change.

    The change is that of the gradient since the step before. Both start at zero, and the first step has no
    derivative. Without momentum the step is that of SGD.
    """
    if not h["momentum"]:
        return -h["lr"] * g
    zero, change = 0.0 * g, g - s.get("before", g)
    s["before"] = g
    s["i"] = h["momentum"] * s.get("i", zero) + (1.0 - h["dampening"]) * g
    s["d"] = h["momentum"] * s.get("d", zero) + (1.0 - h["momentum"]) * change
    return -h["lr"] * (g + h["integral"] * s["i"] + h["derivative"] * s["d"])


PID = Contract(
    name="pid",
    title="PID with L2 decay in the gradient",
    source="An et al. 2018 (CVPR), equations 14 to 16",
    update=update,
    names={
        "lr": Name(default=1e-3, names=("lr", "learning_rate")),
        "weight_decay": Name(default=0.0, names=("weight_decay", "wd")),
        "momentum": Name(default=0.0, names=("momentum",)),
        "dampening": Name(default=0.0, names=("dampening",)),
        "integral": Name(default=5.0, names=("integral",)),
        "derivative": Name(default=10.0, names=("derivative",)),
        "decoupled_weight_decay": Name(default=False, names=DECOUPLED_WORDS),
    },
    decay=COUPLED,
    degree=1.0,
    symmetry=Symmetry(arguments={"lr": 2, "weight_decay": -2}),
    momentum="a sum of gradients and an average of their differences, both from zero",
    settings=(
        {},
        {"momentum": 0.9},
        {"momentum": 0.6, "dampening": 0.3},
        {"momentum": 0.6, "integral": 2.0, "derivative": 3.0},
    ),
    mutations=(
        Mutation(sentence="the integral is left out", hyper={"integral": 0.0}),
        Mutation(sentence="the derivative is left out", hyper={"derivative": 0.0}),
        Mutation(sentence="momentum has no effect", hyper={"momentum": 0.0}),
        Mutation(sentence="dampening has no effect", hyper={"dampening": 0.0}),
    ),
    several=True,
)
CONTRACTS = (PID,)
