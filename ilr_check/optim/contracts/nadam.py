"""Adam's relatives: NAdam (Dozat 2016), RAdam (Liu et al. 2020), Adamax (Kingma, Ba 2015, section 7.1)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ilr_check.optim.contracts.adam import (
    ADAM,
    MOMENTS,
    MUTATIONS,
    denominator,
    moments,
    power,
    scalars_in_single,
    with_scalars,
)
from ilr_check.optim.contracts.contract import DECOUPLED_WORDS, Hyper, Mutation, Name, Number, State
from ilr_check.optim.contracts.running import ROUNDINGS, Tracked, error_of, kept_in_single, plain
from ilr_check.optim.symmetry import Symmetry

DECOUPLED_ON_REQUEST = Name(default=False, names=DECOUPLED_WORDS)
"""Its own default counts, because an argument of the constructor says so."""


def nadam(g: Number, w: Number, s: State, h: Hyper, t: int) -> Number:
    """Return Adam's step with a mix of g and m in place of m, and products of mu_t in place of b1^t.

    mu_t = b1 (1 - 0.96^(t psi) / 2), where psi is ``momentum_decay``. Some implementations have mu_t = b1.
    """
    h = with_scalars(h)
    m, v = moments(g, s, h)
    mu, coming = (h["beta1"] * (1.0 - 0.5 * 0.96 ** (k * h["momentum_decay"])) for k in (t, t + 1))
    if h.get("momentum_schedule", "growing") == "constant":
        mu = coming = h["beta1"]
    if scalars_in_single(h):
        # The exponent, the power, the bracket and the product round once each.
        mu, coming = kept_in_single(mu, 4.0), kept_in_single(coming, 4.0)
    # torch keeps the product in float32 unless the default dtype is float64.
    product = kept_in_single(s.get("product", 1.0) * mu)
    s["product"] = product
    mixed = (1.0 - mu) / (1.0 - product) * g + coming / (1.0 - product * coming) * m
    return -h["lr"] * mixed / denominator(v, h, 1.0 - power(h, "beta2", t))


def radam(g: Number, w: Number, s: State, h: Hyper, t: int) -> Number:
    """Return -lr m^ while rho_t <= 5, and then -lr rect_t m^ sqrt(1 - b2^t) / (sqrt(v) + eps)."""
    h = with_scalars(h)
    m, v = moments(g, s, h)
    b2t = power(h, "beta2", t)
    limit = 2.0 / (1.0 - h["beta2"]) - 1.0
    rho = limit - 2.0 * t * b2t / (1.0 - b2t)
    corrected = m / (1.0 - power(h, "beta1", t))
    threshold = h.get("rho_threshold", 5.0)
    if ROUNDINGS * error_of(rho) >= np.abs(plain(rho) - threshold) and isinstance(m, Tracked):
        # Rounding decides on which side of the threshold this step is, so the step has no bound.
        return Tracked(plain(m), m.unit, np.full_like(plain(m), np.inf))
    if rho <= threshold:
        phase = h.get("first_phase", "momentum")
        return {"momentum": -h["lr"] * corrected, "none": 0.0 * corrected, "pause": None}[phase]
    rectified = (rho - 4.0) * (rho - 2.0) * limit / ((limit - 4.0) * (limit - 2.0) * rho)
    if h.get("rectification", True):
        corrected = corrected * np.sqrt(rectified)
    if h.get("eps_place", "before correction") == "outside":
        return -h["lr"] * corrected / (np.sqrt(v / (1.0 - b2t)) + h["eps"])
    return -h["lr"] * corrected * np.sqrt(1.0 - b2t) / (np.sqrt(v) + h["eps"])


def adamax(g: Number, w: Number, s: State, h: Hyper, t: int) -> Number:
    """Return -lr / (1 - b1^t) m / u with u <- max(b2 u, |g| + eps)."""
    h, zero = with_scalars(h), 0.0 * g
    m = h["beta1"] * s.get("m", zero) + (1.0 - h["beta1"]) * g
    kept = h["beta2"] * s.get("u", zero)
    outside = h.get("eps_place", "in the maximum") == "outside"
    u = np.maximum(kept, np.abs(g)) if outside else np.maximum(kept, np.abs(g) + h["eps"])
    s["m"], s["u"] = m, u
    corrected = 1.0 - power(h, "beta1", t) if h.get("bias_correction", "both") == "both" else 1.0
    return -h["lr"] / corrected * m / (u + h["eps"] if outside else u)


NADAM = replace(
    ADAM,
    name="nadam",
    title="NAdam with L2 decay in the gradient",
    source="Dozat 2016 (ICLR workshop), as torch.optim.NAdam",
    update=nadam,
    names={
        **MOMENTS,
        "lr": Name(default=2e-3, names=("lr", "learning_rate")),
        "momentum_decay": Name(default=4e-3, names=("momentum_decay", "schedule_decay", "psi")),
        "decoupled_weight_decay": DECOUPLED_ON_REQUEST,
    },
    settings=({}, {"beta1": 0.7, "beta2": 0.95, "eps": 1e-2}, {"decoupled_weight_decay": True}),
    mutations=(
        *(m for m in MUTATIONS if not {"amsgrad", "bias_correction"} & set(m.hyper)),
        Mutation(sentence="the momentum schedule has no effect", hyper={"momentum_decay": 0.0}),
    ),
    variations={"eps_place": ADAM.variations["eps_place"], "momentum_schedule": ("growing", "constant")},
    float32_state=True,
)
RADAM = replace(
    ADAM,
    name="radam",
    title="RAdam with L2 decay in the gradient",
    source="Liu et al. 2020 (arXiv 1908.03265), algorithm 2, as torch.optim.RAdam",
    update=radam,
    degree=None,
    names={**MOMENTS, "decoupled_weight_decay": DECOUPLED_ON_REQUEST},
    settings=({}, {"beta1": 0.7, "beta2": 0.95, "eps": 1e-2}, {"decoupled_weight_decay": True}),
    symmetry=Symmetry(
        arguments={"lr": 1, "weight_decay": -2, "eps": -1}, first_phase={"lr": 2, "weight_decay": -2}
    ),
    mutations=(
        *(m for m in MUTATIONS if m.shift),
        Mutation(sentence="the variance is not rectified", hyper={"rectification": False}),
        Mutation(sentence="the first steps, where rho_t <= 5, do not move", hyper={"first_phase": "none"}),
        Mutation(
            sentence="the first steps, where rho_t <= 5, neither move nor decay",
            hyper={"first_phase": "pause"},
        ),
        Mutation(sentence="the threshold on rho_t is 4, expected 5", hyper={"rho_threshold": 4.0}),
        Mutation(sentence="eps is added after the bias correction", hyper={"eps_place": "outside"}),
        Mutation(sentence="eps has no effect", hyper={"eps": 0.0}),
    ),
    variations={
        "first_phase": ("momentum", "none", "pause"),
        "rho_threshold": (5.0, 4.0),
        "eps_place": ("before correction", "outside"),
    },
)
ADAMAX = replace(
    ADAM,
    name="adamax",
    title="Adamax with L2 decay in the gradient",
    source="Kingma, Ba 2015 (arXiv 1412.6980), algorithm 2, with torch's eps inside the maximum",
    update=adamax,
    names={**MOMENTS, "lr": Name(default=2e-3, names=("lr", "learning_rate"))},
    settings=({}, {"beta1": 0.7, "beta2": 0.95, "eps": 1e-2}),
    mutations=(
        *(m for m in MUTATIONS if m.shift),
        Mutation(sentence="there is no bias correction", hyper={"bias_correction": "neither"}),
        Mutation(sentence="eps stands outside of the maximum", hyper={"eps_place": "outside"}),
        Mutation(sentence="eps has no effect", hyper={"eps": 0.0}),
    ),
    variations={"eps_place": ("in the maximum", "outside"), "bias_correction": ("both", "neither")},
)
CONTRACTS = (NADAM, RADAM, ADAMAX)
