"""Steps divided by accumulated squares (RMSprop, Adagrad, Adadelta), and Rprop, which uses signs only."""

from __future__ import annotations

import numpy as np

from ilr_check.optim.contracts.contract import (
    COUPLED,
    NO_DECAY,
    Contract,
    Hyper,
    Mutation,
    Name,
    Number,
    State,
)
from ilr_check.optim.symmetry import Symmetry

LR = Name(default=1e-2, names=("lr", "learning_rate"))
WEIGHT_DECAY = Name(default=0.0, names=("weight_decay", "wd"))


def rmsprop(g: Number, w: Number, s: State, h: Hyper, t: int) -> Number:
    """Return -lr g / (sqrt(v) + eps) with v <- alpha v + (1 - alpha) g^2.

    If ``centered``, the squared mean gradient is subtracted from v. With momentum the step is -lr b, where
    b <- momentum b + g / (sqrt(v) + eps).
    """
    alpha, zero = h["alpha"], 0.0 * g
    s["v"] = v = alpha * s.get("v", zero) + (1.0 - alpha) * (g * g)
    if h["centered"]:
        s["mean"] = mean = alpha * s.get("mean", zero) + (1.0 - alpha) * g
        v = v - mean * mean
    inside = h.get("eps_place", "outside") == "inside"
    step = g / (np.sqrt(v + h["eps"]) if inside else np.sqrt(v) + h["eps"])
    if h["momentum"]:
        place = h["lr"] if h.get("lr_place", "outside") == "inside" else 1.0
        s["buffer"] = step = h["momentum"] * s.get("buffer", zero) + place * step
        if h.get("lr_place", "outside") == "inside":
            return -step
    return -h["lr"] * step


def adagrad(g: Number, w: Number, s: State, h: Hyper, t: int) -> Number:
    """Return -lr / (1 + (t - 1) lr_decay) g / (sqrt(sum) + eps) with sum <- sum + g^2."""
    total = s.get("sum", h["initial_accumulator_value"] + 0.0 * g) + g * g
    s["sum"] = total
    rate = h["lr"] / (1.0 + (t - 1.0) * h["lr_decay"])
    inside = h.get("eps_place", "outside") == "inside"
    return -rate * g / (np.sqrt(total + h["eps"]) if inside else np.sqrt(total) + h["eps"])


def adadelta(g: Number, w: Number, s: State, h: Hyper, t: int) -> Number:
    """Return -lr d with d = sqrt(acc + eps) / sqrt(v + eps) g and the running means v of g^2 and acc of
    d^2."""
    rho, eps, zero = h["rho"], h["eps"], 0.0 * g
    s["v"] = rho * s.get("v", zero) + (1.0 - rho) * (g * g)
    old = s.get("acc", zero)
    d = np.sqrt(old + eps) / np.sqrt(s["v"] + eps) * g
    s["acc"] = rho * old + (1.0 - rho) * (d * d)
    return -h["lr"] * d


def rprop(g: Number, w: Number, s: State, h: Hyper, t: int) -> Number:
    """Return -sign(g) times a step size that each entry has of its own.

    Two successive gradients of the same sign multiply the size by etaplus, and a change of sign multiplies it
    by etaminus. lr is only the first size. An entry whose gradient changed its sign does not move in that
    step.
    """
    zero = 0.0 * g
    agree = np.sign(np.sign(g) * np.sign(s.get("previous", zero)))
    same, turned = agree > 0, agree < 0
    factor = same * h["etaplus"] + turned * h["etaminus"] + ~(same | turned) * 1.0
    size = factor * s.get("size", h["lr"] + zero)
    s["size"] = np.minimum(np.maximum(size, h["step_min"] + zero), h["step_max"] + zero)
    kept = ~turned * g
    s["previous"] = kept
    return -np.sign(kept) * s["size"]


RMSPROP = Contract(
    name="rmsprop",
    title="RMSprop with L2 decay in the gradient",
    source="Hinton, lecture 6e; torch.optim.RMSprop, eps outside of the root and lr outside of the buffer",
    update=rmsprop,
    names={
        "lr": LR,
        "weight_decay": WEIGHT_DECAY,
        "alpha": Name(default=0.99, names=("alpha", "rho", "decay_rate", "beta", "beta2", "decay")),
        "eps": Name(default=1e-8, names=("eps", "epsilon")),
        "momentum": Name(default=0.0, names=("momentum", "mu")),
        "centered": Name(default=False, names=("centered",)),
    },
    decay=COUPLED,
    degree=0.0,
    symmetry=Symmetry(arguments={"lr": 1, "weight_decay": -2, "eps": -1}),
    momentum="buffer of normalised gradients, b' = momentum*b + g/(sqrt(v)+eps)",
    settings=({}, {"momentum": 0.9}, {"centered": True, "momentum": 0.8}, {"alpha": 0.9, "eps": 1e-2}),
    mutations=(
        Mutation(sentence="eps stands inside the root, sqrt(v + eps)", hyper={"eps_place": "inside"}),
        Mutation(sentence="eps has no effect", hyper={"eps": 0.0}),
        Mutation(sentence="lr is inside the momentum buffer", hyper={"lr_place": "inside"}),
        Mutation(sentence="momentum has no effect", hyper={"momentum": 0.0}),
        Mutation(sentence="centered has no effect", hyper={"centered": False}),
        Mutation(
            sentence="the mean gradient is subtracted although centered is off", hyper={"centered": True}
        ),
    ),
    variations={"eps_place": ("outside", "inside"), "lr_place": ("outside", "inside")},
)
ADAGRAD = Contract(
    name="adagrad",
    title="Adagrad with L2 decay in the gradient",
    source="Duchi, Hazan, Singer 2011, as torch.optim.Adagrad",
    update=adagrad,
    names={
        "lr": LR,
        "weight_decay": WEIGHT_DECAY,
        "eps": Name(default=1e-10, names=("eps", "epsilon")),
        "lr_decay": Name(default=0.0, names=("lr_decay",)),
        "initial_accumulator_value": Name(default=0.0, names=("initial_accumulator_value",)),
    },
    decay=COUPLED,
    degree=0.0,
    symmetry=Symmetry(arguments={"lr": 1, "weight_decay": -2, "eps": -1, "initial_accumulator_value": -2}),
    momentum="none",
    settings=({}, {"lr_decay": 0.1, "initial_accumulator_value": 0.5, "eps": 1e-2}),
    mutations=(
        Mutation(sentence="eps stands inside the root, sqrt(sum + eps)", hyper={"eps_place": "inside"}),
        Mutation(sentence="eps has no effect", hyper={"eps": 0.0}),
        Mutation(sentence="lr_decay has no effect", hyper={"lr_decay": 0.0}),
        Mutation(sentence="lr_decay counts from the wrong step: t for t-1", shift=1),
        Mutation(
            sentence="initial_accumulator_value has no effect", hyper={"initial_accumulator_value": 0.0}
        ),
    ),
    variations={"eps_place": ("outside", "inside")},
)
ADADELTA = Contract(
    name="adadelta",
    title="Adadelta with L2 decay in the gradient",
    source="Zeiler 2012 (arXiv 1212.5701), algorithm 1, times lr",
    update=adadelta,
    names={
        "lr": Name(default=1.0, names=("lr", "learning_rate")),
        "weight_decay": WEIGHT_DECAY,
        "rho": Name(default=0.9, names=("rho", "alpha", "decay_rate")),
        "eps": Name(default=1e-6, names=("eps", "epsilon")),
    },
    decay=COUPLED,
    degree=None,
    symmetry=Symmetry(arguments={"lr": 2, "weight_decay": -2, "eps": -2}),
    momentum="none",
    settings=({}, {"rho": 0.7, "eps": 1e-2}),
    mutations=(Mutation(sentence="eps has no effect", hyper={"eps": 0.0}),),
)
RPROP = Contract(
    name="rprop",
    title="Rprop",
    source="Riedmiller, Braun 1993, as torch.optim.Rprop (an entry rests for a step after a change of sign)",
    update=rprop,
    names={
        "lr": LR,
        "etaminus": Name(default=0.5, names=("etas.0", "etaminus")),
        "etaplus": Name(default=1.2, names=("etas.1", "etaplus")),
        "step_min": Name(default=1e-6, names=("step_sizes.0",)),
        "step_max": Name(default=50.0, names=("step_sizes.1",)),
    },
    decay=NO_DECAY,
    degree=0.0,
    symmetry=Symmetry(arguments={"lr": 1, "step_min": 1, "step_max": 1}),
    momentum="a step size of its own for each entry",
    exceptions={"zero-lr": "lr is its first step size only; later ones grow and shrink by themselves"},
    settings=({}, {"etaminus": 0.4, "etaplus": 1.5}),
    mutations=(
        Mutation(sentence="etaplus has no effect", hyper={"etaplus": 1.0}),
        Mutation(sentence="etaminus has no effect", hyper={"etaminus": 1.0}),
    ),
)
CONTRACTS = (RMSPROP, ADAGRAD, ADADELTA, RPROP)
