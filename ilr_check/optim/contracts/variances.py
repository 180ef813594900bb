"""Adam with another variance or another average: AdaBelief, Yogi, diffGrad, LaProp, StableAdamW."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ilr_check.optim.contracts.adam import (
    ADAM,
    ADDED,
    ADDITIONS,
    MOMENTS,
    corrections,
    denominator,
    moments,
)
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
from ilr_check.optim.contracts.running import plain
from ilr_check.optim.symmetry import Symmetry

PLAIN = {key: name for key, name in MOMENTS.items() if key not in ("capturable", "differentiable")}
DECOUPLED = Name(default=False, names=DECOUPLED_WORDS)
SHIFTS = (
    Mutation(sentence="bias correction is off by one step: step t is corrected as if it were t+1", shift=1),
    Mutation(sentence="bias correction is off by one step: step t is corrected as if it were t-1", shift=-1),
)
NO_EPS = Mutation(sentence="eps has no effect", hyper={"eps": 0.0})
UNCORRECTED = Mutation(sentence="there is no bias correction", hyper={"bias_correction": "neither"})
EPS_PLACES = (
    Mutation(sentence="eps stands inside the root", hyper={"eps_place": "inside"}),
    Mutation(sentence="eps is added before the bias correction", hyper={"eps_place": "before correction"}),
    ADDED,
)
PLACES = {"eps_place": ("outside", "inside", "before correction"), "added_to_variance": ADDITIONS}


def adabelief(g: Number, w: Number, s: State, h: Hyper, t: int) -> Number:
    """Return Adam's step with v <- b2 v + (1 - b2) (g - m)^2 + eps, where m is the new average."""
    zero = 0.0 * g
    s["m"] = m = h["beta1"] * s.get("m", zero) + (1.0 - h["beta1"]) * g
    off = g if h.get("variance_of") == "the gradient" else g - m
    added = h["eps"] if h.get("eps_in_variance", "added") == "added" else 0.0
    s["v"] = v = h["beta2"] * s.get("v", zero) + (1.0 - h["beta2"]) * (off * off) + added
    first, second = corrections(h, t)
    return -h["lr"] * (m / first) / denominator(v, h, second)


def yogi(g: Number, w: Number, s: State, h: Hyper, t: int) -> Number:
    """Return Adam's step with v <- v - (1 - b2) sign(v - g^2) g^2; both moments start at a small number."""
    start = h["initial_accumulator"] + 0.0 * g
    s["m"] = m = h["beta1"] * s.get("m", start) + (1.0 - h["beta1"]) * g
    v, squares = s.get("v", start), g * g
    s["v"] = v = v - (1.0 - h["beta2"]) * np.sign(v - squares) * squares
    first, second = corrections(h, t)
    return -h["lr"] * (m / first) / denominator(v, h, second)


def diffgrad(g: Number, w: Number, s: State, h: Hyper, t: int) -> Number:
    """Return Adam's step times 1 / (1 + exp(-|g - the gradient before|)), entry by entry."""
    m, v = moments(g, s, h)
    change = np.abs(g - s.get("before", 0.0 * g))
    s["before"] = g
    friction = 1.0 if h.get("friction") == "none" else 1.0 / (1.0 + np.exp(-change))
    first, second = corrections(h, t)
    return -h["lr"] * friction * (m / first) / denominator(v, h, second)


def laprop(g: Number, w: Number, s: State, h: Hyper, t: int) -> Number:
    """Return -m / c with m <- b1 m + (1 - b1) lr g / (sqrt(v^) + eps); c is lr, averaged as m is, over lr."""
    zero = 0.0 * g
    s["v"] = v = h["beta2"] * s.get("v", zero) + (1.0 - h["beta2"]) * (g * g)
    scaled = g / denominator(v, h, corrections(h, t)[1])
    s["m"] = m = h["beta1"] * s.get("m", zero) + (1.0 - h["beta1"]) * h["lr"] * scaled
    s["rate"] = rate = h["beta1"] * s.get("rate", 0.0) + (1.0 - h["beta1"]) * h["lr"]
    if float(plain(h["lr"])) == 0.0 or h.get("bias_correction", "both") != "both":
        return -m
    return -m * (h["lr"] / rate)


def stable_adamw(g: Number, w: Number, s: State, h: Hyper, t: int) -> Number:
    """Return AdamW's step with lr / max(1, rms) for lr, where rms^2 is the mean of g^2 / max(v^, eps^2)."""
    m, v = moments(g, s, h)
    first, second = corrections(h, t)
    ratio = (g * g) / np.maximum(v / second, h["eps"] * h["eps"])
    rms = np.sqrt(ratio.mean()) if plain(g).size else 1.0
    lr = h["lr"] if h.get("clipped") == "never" else h["lr"] / np.maximum(1.0, rms)
    decay = h["lr"] if h.get("decay_by") == "lr" else lr
    return -decay * h["weight_decay"] * w - lr * (m / first) / denominator(v, h, second)


ADABELIEF = replace(
    ADAM,
    name="adabelief",
    title="AdaBelief with L2 decay in the gradient",
    source="Zhuang et al. 2020 (arXiv 2010.07468), algorithm 2",
    update=adabelief,
    names={
        **PLAIN,
        "eps": Name(default=1e-16, names=("eps", "epsilon")),
        "decoupled_weight_decay": DECOUPLED,
    },
    symmetry=None,  # one eps is added to squares of the gradient and to their root
    settings=({}, {"beta1": 0.7, "beta2": 0.95, "eps": 1e-2}, {"decoupled_weight_decay": True}),
    mutations=(
        *SHIFTS,
        UNCORRECTED,
        Mutation(
            sentence="eps is not added to the variance, only to its root",
            hyper={"eps_in_variance": "left out"},
        ),
        Mutation(
            sentence="the variance is that of the gradient, expected of its distance from the average",
            hyper={"variance_of": "the gradient"},
        ),
        *EPS_PLACES,
        NO_EPS,
    ),
    variations={**PLACES, "eps_in_variance": ("added", "left out")},
    several=True,  # with rectification as RAdam has it
)
YOGI = replace(
    ADABELIEF,
    name="yogi",
    title="Yogi with L2 decay in the gradient",
    source="Zaheer et al. 2018 (NeurIPS), algorithm 2, with the bias corrections of Adam",
    update=yogi,
    names={
        **ADABELIEF.names,
        "lr": Name(default=1e-2, names=("lr", "learning_rate")),
        "eps": Name(default=1e-3, names=("eps", "epsilon")),
        "initial_accumulator": Name(default=1e-6, names=("initial_accumulator",)),
    },
    degree=None,
    mutations=(*SHIFTS, UNCORRECTED, *EPS_PLACES, NO_EPS),
    variations=PLACES,
)
DIFFGRAD = replace(
    ADABELIEF,
    name="diffgrad",
    title="diffGrad with L2 decay in the gradient",
    source="Dubey et al. 2019 (arXiv 1909.11015)",
    update=diffgrad,
    names={**ADABELIEF.names, "eps": MOMENTS["eps"]},
    degree=None,
    mutations=(
        *SHIFTS,
        UNCORRECTED,
        Mutation(sentence="the friction of changing gradients is left out", hyper={"friction": "none"}),
        *EPS_PLACES,
        NO_EPS,
    ),
    variations=PLACES,
)
STABLE_ADAMW = Contract(
    name="stableadamw",
    title="StableAdamW: AdamW whose lr is divided by the size of its update",
    source="Wortsman et al. 2023 (arXiv 2304.13013), algorithm 2",
    update=stable_adamw,
    names={**PLAIN, "beta2": Name(default=0.99, names=("betas.1", "beta2", "b2"))},
    decay=Decay(where="own"),
    degree=0.0,
    symmetry=Symmetry(arguments={"lr": 1, "weight_decay": -1, "eps": -1}),
    momentum="exponential average of gradients from zero, corrected for its bias",
    bias_correction=True,
    settings=({}, {"beta1": 0.7, "beta2": 0.95, "eps": 1e-2}),
    mutations=(
        *SHIFTS,
        UNCORRECTED,
        Mutation(sentence="lr is not divided by the size of the update", hyper={"clipped": "never"}),
        Mutation(sentence="weight decay is lr*wd with the undivided lr", hyper={"decay_by": "lr"}),
        Mutation(sentence="weight decay has no effect", hyper={"weight_decay": 0.0}),
        *EPS_PLACES,
        NO_EPS,
    ),
    variations={**PLACES, "decay_by": ("the divided lr", "lr")},
    mixes_entries=True,
)
LAPROP = replace(
    ADABELIEF,
    name="laprop",
    title="LaProp: decay by 1 - lr*wd after the step",
    source="Ziyin, Wang, Ueda 2020 (arXiv 2002.04839), algorithm 1, with lr inside of the average",
    update=laprop,
    names={
        **PLAIN,
        "lr": Name(default=4e-4, names=("lr", "learning_rate")),
        "eps": Name(default=1e-15, names=("eps", "epsilon")),
    },
    decay=Decay(where="after"),
    settings=({}, {"beta1": 0.7, "beta2": 0.95, "eps": 1e-2}),
    mutations=(UNCORRECTED, *EPS_PLACES, NO_EPS),
    variations=PLACES,
    exceptions={"zero-lr:still, in the middle": "lr is inside of the average, which goes on at lr = 0"},
)
CONTRACTS = (ADABELIEF, YOGI, DIFFGRAD, STABLE_ADAMW, LAPROP)
