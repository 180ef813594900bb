"""Steps by sign: Lion (Chen et al. 2023) and signSGD with momentum (Bernstein et al. 2018)."""

from __future__ import annotations

import numpy as np

from ilr_check.optim.contracts.contract import DECOUPLED, Contract, Hyper, Mutation, Name, Number, State
from ilr_check.optim.symmetry import Symmetry

RATES = {
    "lr": Name(default=1e-4, names=("lr", "learning_rate")),
    "weight_decay": Name(default=0.0, names=("weight_decay", "wd")),
}


def lion(g: Number, w: Number, s: State, h: Hyper, t: int) -> Number:
    """Return -lr sign(b1 m + (1 - b1) g), and then update m <- b2 m + (1 - b2) g."""
    m = s.get("m", 0.0 * g)
    direction = h["beta1"] * m + (1.0 - h["beta1"]) * g
    s["m"] = h["beta2"] * m + (1.0 - h["beta2"]) * g
    if h.get("sign_of", "the mix") == "the new average":
        direction = s["m"]
    return -h["lr"] * np.sign(direction)


def signsgd(g: Number, w: Number, s: State, h: Hyper, t: int) -> Number:
    """Return -lr sign(m) with m <- mu m + (1 - mu) g, which starts at zero."""
    if h["momentum"]:
        s["m"] = g = h["momentum"] * s.get("m", 0.0 * g) + (1.0 - h["momentum"]) * g
    return -h["lr"] * np.sign(g)


LION = Contract(
    name="lion",
    title="Lion: decay by 1 - lr*wd before the step",
    source="Chen et al. 2023 (arXiv 2302.06675), algorithm 2",
    update=lion,
    names={
        **RATES,
        "beta1": Name(default=0.9, names=("betas.0", "beta1", "b1")),
        "beta2": Name(default=0.99, names=("betas.1", "beta2", "b2")),
    },
    decay=DECOUPLED,
    degree=0.0,
    symmetry=Symmetry(arguments={"lr": 1, "weight_decay": -1}),
    momentum="exponential average from zero, with another weight in the step",
    settings=({}, {"beta1": 0.5, "beta2": 0.8}),
    mutations=(
        Mutation(
            sentence="the sign is taken of the new average (with beta2), expected of the mix with beta1",
            hyper={"sign_of": "the new average"},
        ),
        Mutation(sentence="the first gradient alone gives the sign (beta1 acts as 0)", hyper={"beta1": 0.0}),
    ),
    variations={"sign_of": ("the mix", "the new average")},
)
SIGNSGD = Contract(
    name="signsgd",
    title="signSGD with momentum (Signum): decay by 1 - lr*wd before the step",
    source="Bernstein et al. 2018 (arXiv 1802.04434), algorithm 2",
    update=signsgd,
    names={**RATES, "momentum": Name(default=0.0, names=("momentum", "mu", "beta"))},
    decay=DECOUPLED,
    degree=0.0,
    symmetry=Symmetry(arguments={"lr": 1, "weight_decay": -1}),
    momentum="exponential average from zero",
    settings=({}, {"momentum": 0.9}),
    mutations=(Mutation(sentence="momentum has no effect", hyper={"momentum": 0.0}),),
)
CONTRACTS = (LION, SIGNSGD)
