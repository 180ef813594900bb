"""AdEMAMix (Pagliardini et al. 2024): AdamW with a second, much slower average of gradients."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from ilr_check.optim.contracts.adam import ADAMW, MOMENTS, MUTATIONS, corrections, denominator, moments
from ilr_check.optim.contracts.contract import DECOUPLED_WORDS, Hyper, Mutation, Name, Number, State
from ilr_check.optim.contracts.running import ROUNDINGS, Tracked, plain


def update(g: Number, w: Number, s: State, h: Hyper, t: int) -> Number:
    """Return -lr (m^ + alpha slow) / (sqrt(v^) + eps) with slow <- b3 slow + (1 - b3) g, from zero.

    During a warm-up of T steps alpha grows linearly from 0, and b3 from b1 (``warmed``).
    """
    m, v = moments(g, s, h)
    first, second = corrections(h, t)
    alpha, beta = h["alpha"], h["beta3"]
    if h["alpha_warmup"]:
        alpha = min(t / h["alpha_warmup"], 1.0) * alpha
    if h["beta3_warmup"]:
        beta = warmed(h["beta1"], beta, min(t / h["beta3_warmup"], 1.0))
    s["slow"] = slow = beta * s.get("slow", 0.0 * g) + (1.0 - beta) * g
    if h.get("slow_average") == "corrected":
        slow = slow / (1.0 - beta**t)
    if h.get("alpha_on") == "both averages":
        return -h["lr"] * alpha * (m / first + slow) / denominator(v, h, second)
    return -h["lr"] * (m / first + alpha * slow) / denominator(v, h, second)


def warmed(start: Number, end: Number, share: float) -> Number:
    """Return b3 after this share of its warm-up: exp(ln b1 ln b3 / ((1 - share) ln b3 + share ln b1)).

    So the time in which the average loses half of a gradient grows linearly.
    """
    low, high = math.log(float(plain(start))), math.log(float(plain(end)))
    found = math.exp(low * high / ((1.0 - share) * high + share * low))
    # Logarithms, products and the exponential round eight times, and so does each way of writing them.
    error = ROUNDINGS * 2.0**-53
    return Tracked(found, end.unit, error) if isinstance(end, Tracked) else np.asarray(found)


ADEMAMIX = replace(
    ADAMW,
    name="ademamix",
    title="AdEMAMix: decay by 1 - lr*wd before the step",
    source="Pagliardini et al. 2024 (arXiv 2409.03137), algorithm 1, with torch's lr*wd",
    update=update,
    names={
        **{key: MOMENTS[key] for key in ("lr", "weight_decay", "beta1", "beta2", "eps")},
        "beta3": Name(default=0.9999, names=("betas.2", "beta3", "b3")),
        "decoupled_weight_decay": Name(default=True, names=DECOUPLED_WORDS),
        "alpha": Name(default=2.0, names=("alpha",)),
        "alpha_warmup": Name(default=None, names=("alpha_warmup", "t_alpha", "t_alpha_beta3")),
        "beta3_warmup": Name(default=None, names=("beta3_warmup", "t_beta3", "t_alpha_beta3")),
    },
    momentum="two exponential averages of gradients from zero; the fast one is corrected for its bias",
    settings=({}, {"beta1": 0.7, "beta2": 0.95, "beta3": 0.99, "eps": 1e-2, "alpha": 5.0}),
    mutations=(
        *(m for m in MUTATIONS if "amsgrad" not in m.hyper),
        Mutation(sentence="the slow average is left out (alpha acts as 0)", hyper={"alpha": 0.0}),
        Mutation(sentence="the slow average is corrected for its bias", hyper={"slow_average": "corrected"}),
        Mutation(
            sentence="alpha multiplies both averages, expected the slow one",
            hyper={"alpha_on": "both averages"},
        ),
    ),
    variations={**ADAMW.variations, "slow_average": ("not corrected", "corrected")},
)
CONTRACTS = (ADEMAMIX,)
