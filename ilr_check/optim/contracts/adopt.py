"""ADOPT (Taniguchi et al. 2024): Adam that divides by the second moment of the step before."""

from __future__ import annotations

import numpy as np

from ilr_check.optim.contracts.adam import MOMENTS
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

FOURTH_ROOT = "t^(1/4)"
"""The authors' bound on an entry of the normalised gradient, where t counts from 0."""


def update(g: Number, w: Number, s: State, h: Hyper, t: int) -> Number:
    """Return -lr m with m <- b1 m + (1 - b1) clip(g / max(sqrt(v), eps)), and then v <- b2 v + (1 - b2) g^2.

    The first step sets v to g^2 and moves nothing, decoupled decay included. ``clip`` bounds each entry: by a
    function of the number of steps before, by a power of that number, or not at all.
    """
    if "v" not in s:
        s["v"] = g * g
        return 0.0 * g if h.get("first_decay") == "first step" else None
    new = h["beta2"] * s["v"] + (1.0 - h["beta2"]) * (g * g)
    v = new if h.get("divides_by") == "the new moment" else s["v"]
    below = np.sqrt(v) + h["eps"] if h.get("eps_place") == "outside" else np.maximum(np.sqrt(v), h["eps"])
    scaled, clip = g / below, h["clip"]
    if clip is not None:
        power = 0.25 if isinstance(clip, str) else clip
        steps = t if h.get("clip_counts") == "this step too" else t - 1
        bound = power(steps) if callable(power) else float(steps) ** power
        scaled = np.minimum(np.maximum(scaled, -bound), bound)
    s["m"] = m = h["beta1"] * s.get("m", 0.0 * g) + (1.0 - h["beta1"]) * scaled
    s["v"] = new
    return -h["lr"] * m


ADOPT = Contract(
    name="adopt",
    title="ADOPT with L2 decay in the gradient",
    source="Taniguchi et al. 2024 (arXiv 2411.02853), algorithm 2, and github iShohei220/adopt",
    update=update,
    names={
        **{key: MOMENTS[key] for key in ("lr", "weight_decay", "beta1")},
        "beta2": Name(default=0.9999, names=("betas.1", "beta2", "b2")),
        "eps": Name(default=1e-6, names=("eps", "epsilon")),
        "clip": Name(default=None, names=("clip_lambda", "clip_exp")),
        "decoupled_weight_decay": Name(default=False, names=DECOUPLED_WORDS),
    },
    decay=COUPLED,
    degree=0.0,
    symmetry=Symmetry(arguments={"lr": 1, "weight_decay": -2, "eps": -1}),
    momentum="exponential average of normalised gradients from zero",
    settings=({}, {"beta1": 0.7, "beta2": 0.95, "eps": 1e-2}, {"decoupled_weight_decay": True}),
    mutations=(
        Mutation(sentence="the normalised gradient is not clipped", hyper={"clip": None}),
        Mutation(sentence="the normalised gradient is clipped at t^(1/4)", hyper={"clip": FOURTH_ROOT}),
        Mutation(
            sentence="the bound of the normalised gradient counts this step too",
            hyper={"clip_counts": "this step too"},
        ),
        Mutation(
            sentence="the step divides by the second moment that has the new gradient in it",
            hyper={"divides_by": "the new moment"},
        ),
        Mutation(sentence="eps is added to the root, expected a floor of it", hyper={"eps_place": "outside"}),
        Mutation(sentence="eps has no effect", hyper={"eps": 0.0}),
        Mutation(sentence="the first moment is not used (beta1 acts as 0)", hyper={"beta1": 0.0}),
    ),
    variations={
        "first_decay": ("second step", "first step"),
        "clip": (None, FOURTH_ROOT),
        "eps_place": ("maximum", "outside"),
        "clip_counts": ("steps before", "this step too"),
    },
)
CONTRACTS = (ADOPT,)
