"""Steps that the newest gradient may turn or stop: Grams (Cao et al. 2024), cautious AdamW and Lion."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ilr_check.optim.contracts import adam, signs
from ilr_check.optim.contracts.contract import Hyper, Mutation, Number, State, Update
from ilr_check.optim.contracts.running import ROUNDINGS, Tracked, error_of, plain


def grams(g: Number, w: Number, s: State, h: Hyper, t: int) -> Number:
    """Return -lr sign(g) |m^ / (sqrt(v^) + eps)|: the size is Adam's and the sign that of the gradient."""
    m, v = adam.moments(g, s, h)
    first, second = adam.corrections(h, t)
    size = np.abs(m / first / adam.denominator(v, h, second))
    return -h["lr"] * np.sign(m if h.get("sign_of") == "the average" else g) * size


def masked(update: Update) -> Update:
    """Return the steps of a family where they go down the newest gradient; other entries stand still.

    What is left is multiplied by n / (k + 1), where k of the n entries are left.
    """

    def cautious(g: Number, w: Number, s: State, h: Hyper, t: int) -> Number:
        step = update(g, w, s, h, t)
        values, downhill = plain(step), 1.0 if h.get("mask") == "uphill" else -1.0
        agree = np.asarray(downhill * np.sign(values) * np.sign(plain(g)) > 0, dtype=np.float64)
        unsure = (np.abs(values) <= ROUNDINGS * error_of(step)) & (values != 0) & (plain(g) != 0)
        if isinstance(step, Tracked) and unsure.any():
            # Rounding decides which entries are masked, so the step has no bound.
            return Tracked(values * agree, step.unit, np.full_like(values, np.inf))
        scale, entries = h.get("mask_scale", "n/(k+1)"), float(max(plain(g).size, 1))
        if scale == "n/(k+1)":
            agree = agree * (entries / (agree.sum() + 1.0))
        elif scale == "n/k":
            # The authors' code divides by the mean of the mask, which is at least 1/1000 there.
            agree = agree / np.maximum(agree.mean(), 1e-3)
        return step if h.get("mask") == "off" else step * agree

    return cautious


SCALES = ("n/(k+1)", "n/k", "none")
MASKED = (
    Mutation(sentence="the mask is divided by its mean: n/k", hyper={"mask_scale": "n/k"}),
    Mutation(sentence="the mask is not scaled up for what it takes away", hyper={"mask_scale": "none"}),
    Mutation(sentence="no entry is masked", hyper={"mask": "off"}),
    Mutation(sentence="the mask keeps the entries that go against the gradient", hyper={"mask": "uphill"}),
)
GRAMS = replace(
    adam.ADAMW,
    name="grams",
    title="Grams: decay by 1 - lr*wd before the step",
    source="Cao et al. 2024 (arXiv 2412.17107)",
    update=grams,
    names={key: name for key, name in adam.MOMENTS.items() if key not in ("capturable", "differentiable")},
    settings=({}, {"beta1": 0.7, "beta2": 0.95, "eps": 1e-2}),
    mutations=(
        *(m for m in adam.MUTATIONS if "amsgrad" not in m.hyper),
        Mutation(
            sentence="the sign is that of the average, expected that of the gradient",
            hyper={"sign_of": "the average"},
        ),
    ),
)
CAUTIOUS_ADAMW = replace(
    GRAMS,
    name="cadamw",
    title="Cautious AdamW: decay by 1 - lr*wd before the step",
    source="Liang et al. 2024 (arXiv 2411.16085), the mask for AdamW's step",
    update=masked(adam.update),
    mutations=(*MASKED, *(m for m in adam.MUTATIONS if "amsgrad" not in m.hyper)),
    variations={**adam.ADAMW.variations, "mask_scale": SCALES},
    mixes_entries=True,
)
CAUTIOUS_LION = replace(
    signs.LION,
    name="clion",
    title="Cautious Lion: decay by 1 - lr*wd before the step",
    source="Liang et al. 2024 (arXiv 2411.16085), the mask for Lion's step",
    update=masked(signs.lion),
    mutations=(*MASKED, *signs.LION.mutations),
    variations={**signs.LION.variations, "mask_scale": SCALES},
    mixes_entries=True,
)
CONTRACTS = (GRAMS, CAUTIOUS_ADAMW, CAUTIOUS_LION)
