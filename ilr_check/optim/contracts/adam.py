"""Adam and AdamW (Kingma, Ba 2015; Loshchilov, Hutter 2019), with AMSGrad (Reddi, Kale, Kumar 2018)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ilr_check.optim.contracts.contract import (
    COUPLED,
    DECOUPLED,
    Contract,
    Hyper,
    Mutation,
    Name,
    Number,
    State,
)
from ilr_check.optim.contracts.running import kept_in_single
from ilr_check.optim.symmetry import Symmetry

MOMENTS = {
    "lr": Name(default=1e-3, names=("lr", "learning_rate", "alpha")),
    "weight_decay": Name(default=0.0, names=("weight_decay", "wd", "weight_decay_rate")),
    "beta1": Name(default=0.9, names=("betas.0", "beta1", "b1")),
    "beta2": Name(default=0.999, names=("betas.1", "beta2", "b2")),
    "eps": Name(default=1e-8, names=("eps", "epsilon")),
    "capturable": Name(default=False, names=("capturable",)),
    "differentiable": Name(default=False, names=("differentiable",)),
}


def scalars_in_single(h: Hyper) -> bool:
    """Return whether torch uses its float32 step count, so that the scalars of a step are float32 tensors.

    Without these switches torch takes the count as a Python number, and everything after it is float64.
    """
    return bool(h.get("capturable") or h.get("differentiable"))


def with_scalars(h: Hyper) -> Hyper:
    """Return the hyper-parameters whose lr and eps may be rounded to float32 beside such scalars."""
    if not scalars_in_single(h):
        return h
    return {**h, "lr": kept_in_single(h["lr"]), "eps": kept_in_single(h["eps"])}


def power(h: Hyper, beta: str, t: int) -> Number:
    """Return beta^t. In float32 the base is rounded once, and the power multiplies this error by t. The power
    is rounded once more.
    """
    found = h[beta] ** t
    if not scalars_in_single(h):
        return found
    return kept_in_single(found, roundings=t + 1.0)


def moments(g: Number, s: State, h: Hyper) -> tuple[Number, Number]:
    """Return m <- b1 m + (1 - b1) g and v <- b2 v + (1 - b2) g^2. Both start at zero."""
    zero = 0.0 * g
    m = h["beta1"] * s.get("m", zero) + (1.0 - h["beta1"]) * g
    v = h["beta2"] * s.get("v", zero) + (1.0 - h["beta2"]) * (g * g)
    s["m"], s["v"] = m, v
    return m, v


def denominator(v: Number, h: Hyper, correction: Number) -> Number:
    """Return sqrt(v / correction) + eps. eps may stand elsewhere, and a small number may be added to v."""
    place, eps = h.get("eps_place", "outside"), h["eps"]
    if h.get("added_to_variance"):
        v = v + h["added_to_variance"]
    if place == "inside":
        return np.sqrt(v / correction + eps)
    if place == "inside, squared":
        return np.sqrt(v / correction + eps * eps)
    if place == "before correction":
        return (np.sqrt(v) + eps) / np.sqrt(correction)
    if place == "inside, before correction":
        return np.sqrt(v + eps) / np.sqrt(correction)
    if place == "maximum":
        return np.maximum(np.sqrt(v / correction), eps + 0.0 * v)
    return np.sqrt(v / correction) + eps


def corrections(h: Hyper, t: int) -> tuple[Number, Number]:
    """Return 1 - b1^t and 1 - b2^t, or ones where bias correction is off."""
    mode = h.get("bias_correction", "both")
    first = 1.0 - power(h, "beta1", t) if mode in ("both", "first only") else 1.0
    second = 1.0 - power(h, "beta2", t) if mode in ("both", "second only") else 1.0
    return first, second


def update(g: Number, w: Number, s: State, h: Hyper, t: int) -> Number:
    """Return -lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)."""
    h = with_scalars(h)
    m, v = moments(g, s, h)
    if h.get("amsgrad"):
        v = np.maximum(s["v_max"], v) if "v_max" in s else v
        s["v_max"] = v
    first, second = corrections(h, t)
    return -h["lr"] * (m / first) / denominator(v, h, second)


MUTATIONS = (
    Mutation(
        sentence="bias correction is off by one step: step t is corrected as if it were step t+1", shift=1
    ),
    Mutation(
        sentence="bias correction is off by one step: step t is corrected as if it were step t-1", shift=-1
    ),
    Mutation(sentence="there is no bias correction", hyper={"bias_correction": "neither"}),
    Mutation(
        sentence="only the first moment is corrected for its bias", hyper={"bias_correction": "first only"}
    ),
    Mutation(
        sentence="only the second moment is corrected for its bias", hyper={"bias_correction": "second only"}
    ),
    Mutation(sentence="eps stands inside the root, sqrt(v + eps)", hyper={"eps_place": "inside"}),
    Mutation(sentence="eps stands squared inside the root", hyper={"eps_place": "inside, squared"}),
    Mutation(
        sentence="eps is added before the bias correction of v, so that early steps see a larger eps",
        hyper={"eps_place": "before correction"},
    ),
    Mutation(
        sentence="eps stands inside the root and before the bias correction of v",
        hyper={"eps_place": "inside, before correction"},
    ),
    Mutation(
        sentence="eps is a floor of the root instead of a term beside it", hyper={"eps_place": "maximum"}
    ),
    Mutation(sentence="eps has no effect", hyper={"eps": 0.0}),
    Mutation(sentence="AMSGrad's maximum is taken although amsgrad is off", hyper={"amsgrad": True}),
    Mutation(sentence="amsgrad has no effect", hyper={"amsgrad": False}),
    Mutation(sentence="the first moment is not used (beta1 acts as 0)", hyper={"beta1": 0.0}),
)

ADDED = Mutation(sentence="1e-15 is added to the variance", hyper={"added_to_variance": 1e-15})
ADDITIONS = (0.0, 1e-15)
"""pytorch_optimizer adds 1e-15 to the variances of its optimizers, beside eps."""
ADAM = Contract(
    name="adam",
    title="Adam with L2 decay in the gradient",
    source="Kingma, Ba 2015 (arXiv 1412.6980), algorithm 1",
    update=update,
    names={**MOMENTS, "amsgrad": Name(default=False, names=("amsgrad",))}
    | {
        "decoupled_weight_decay": Name(
            default=False, names=("decoupled_weight_decay", "adamw_mode"), asked=True
        )
    },
    decay=COUPLED,
    degree=0.0,
    symmetry=Symmetry(arguments={"lr": 1, "weight_decay": -2, "eps": -1}),
    momentum="exponential average of gradients from zero, corrected for its bias",
    bias_correction=True,
    settings=(
        {},
        {"amsgrad": True},
        {"beta1": 0.7, "beta2": 0.95, "eps": 1e-2},
        {"decoupled_weight_decay": True},
    ),
    mutations=(*MUTATIONS, ADDED),
    degrees={"added_to_variance": {1e-15: None}},
    variations={
        "added_to_variance": ADDITIONS,
        "eps_place": (
            "outside",
            "inside",
            "inside, squared",
            "before correction",
            "inside, before correction",
            "maximum",
        ),
        "bias_correction": ("both", "neither", "first only", "second only"),
    },
)

ADAMW = replace(
    ADAM,
    name="adamw",
    title="AdamW: decay by 1 - lr*wd before the step",
    source="Loshchilov, Hutter 2019 (arXiv 1711.05101), algorithm 2, with torch's lr*wd",
    decay=DECOUPLED,
    settings=ADAM.settings[:3],
    names={key: name for key, name in ADAM.names.items() if key != "decoupled_weight_decay"},
    symmetry=Symmetry(arguments={"lr": 1, "weight_decay": -1, "eps": -1}),
)
CONTRACTS = (ADAM, ADAMW)
