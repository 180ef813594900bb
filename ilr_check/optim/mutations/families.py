"""Mutations that apply to a single family of optimizers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ilr_check.optim.contracts.accumulators import adadelta, adagrad, rprop
from ilr_check.optim.contracts.adam import corrections, denominator, moments
from ilr_check.optim.contracts.cautious import masked
from ilr_check.optim.contracts.contract import Hyper, Mutation, Number, State
from ilr_check.optim.contracts.layerwise import norm
from ilr_check.optim.contracts.running import plain
from ilr_check.optim.mutations.moments import ADAM_MISSES, ADAMAX_MISSES, NADAM_MISSES, swapped
from ilr_check.optim.mutations.rounding import BFLOAT16, FLOAT32, rounded


def _heavy_ball(bits: int) -> Mutation:
    def update(g: Number, w: Number, s: State, h: Hyper, t: int) -> Number:
        old = s.get("buffer")
        s["buffer"] = buffer = rounded(
            g if old is None else h["momentum"] * old + (1 - h["dampening"]) * g, bits
        )
        return -h["lr"] * (g + h["momentum"] * buffer if h["nesterov"] else buffer)

    dtype = {BFLOAT16: "bfloat16", FLOAT32: "float32"}[bits]
    return Mutation(sentence=f"the momentum buffer is kept in {dtype}", update=update)


def _nesterov(power: int) -> Mutation:
    """Return the mutation with g + mu^k b in place of g + mu b."""

    def update(g: Number, w: Number, s: State, h: Hyper, t: int) -> Number:
        old = s.get("buffer")
        s["buffer"] = buffer = g if old is None else h["momentum"] * old + (1 - h["dampening"]) * g
        return -h["lr"] * (g + h["momentum"] ** power * buffer if h["nesterov"] else buffer)

    return Mutation(
        sentence=f"nesterov looks ahead by momentum^{power}*buffer, expected momentum*buffer",
        update=update,
    )


def _forgetful(g: Number, w: Number, s: State, h: Hyper, t: int) -> Number:
    lr = float(plain(h["lr"]))
    old = s.get("buffer") if s.get("lr") == lr else None
    s["lr"] = lr
    s["buffer"] = buffer = g if old is None else h["momentum"] * old + (1 - h["dampening"]) * g
    return -h["lr"] * (g + h["momentum"] * buffer if h["nesterov"] else buffer)


SGD_MISSES = (
    Mutation(sentence="the momentum buffer is reset whenever lr changes", update=_forgetful),
    _nesterov(2),
    _nesterov(0),
    _heavy_ball(BFLOAT16),
    _heavy_ball(FLOAT32),
)


def _lion(form: str) -> Mutation:
    sentences = {
        "order": "the momentum is updated before the sign is taken, expected after it",
        "soft": "a soft sign, c/(|c| + 1e-8), replaces the sign",
    }

    def update(g: Number, w: Number, s: State, h: Hyper, t: int) -> Number:
        m = s.get("m", 0.0 * g)
        s["m"] = new = h["beta2"] * m + (1.0 - h["beta2"]) * g
        mixed = h["beta1"] * (new if form == "order" else m) + (1.0 - h["beta1"]) * g
        return -h["lr"] * (mixed / (np.abs(mixed) + 1e-8) if form == "soft" else np.sign(mixed))

    return Mutation(sentence=sentences[form], update=update)


def _masked(mutation: Mutation) -> Mutation:
    """Return a mutation of Lion for its cautious variant."""
    return mutation if mutation.update is None else replace(mutation, update=masked(mutation.update))


def _sign_first(g: Number, w: Number, s: State, h: Hyper, t: int) -> Number:
    g = np.sign(g)
    if h["momentum"]:
        s["m"] = g = h["momentum"] * s.get("m", 0.0 * g) + (1.0 - h["momentum"]) * g
    return -h["lr"] * g


def _sign_by_size(g: Number, w: Number, s: State, h: Hyper, t: int) -> Number:
    m = g
    if h["momentum"]:
        s["m"] = m = h["momentum"] * s.get("m", 0.0 * g) + (1.0 - h["momentum"]) * g
    return -h["lr"] * np.abs(g).mean() * np.sign(m)


SWAPPED = Mutation(sentence="beta1 and beta2 are swapped", change=swapped("beta1", "beta2"))
LION_MISSES = (
    SWAPPED,
    _lion("order"),
    _lion("soft"),
)
SIGN_MISSES = (
    Mutation(sentence="the sign is taken before the average, expected of the average", update=_sign_first),
    Mutation(
        sentence="the sign is multiplied by the mean size of the gradient, so the step has degree 1",
        update=_sign_by_size,
    ),
)


def _adagrad_forgets(g: Number, w: Number, s: State, h: Hyper, t: int) -> Number:
    if "sum" in s:
        s["sum"] = 0.999 * s["sum"]
    return adagrad(g, w, s, h, t)


def _adagrad_plain_sum(g: Number, w: Number, s: State, h: Hyper, t: int) -> Number:
    """Return a step that includes decay while the sum of squares does not. ``g`` is without decay."""
    adagrad(g, w, s, h, t)
    rate = h["lr"] / (1.0 + (t - 1.0) * h["lr_decay"])
    return -rate * (g + h["weight_decay"] * w) / (np.sqrt(s["sum"]) + h["eps"])


def _adadelta_by_lr(g: Number, w: Number, s: State, h: Hyper, t: int) -> Number:
    old = s.get("acc", 0.0 * g)
    step = adadelta(g, w, s, h, t)
    s["acc"] = h["rho"] * old + (1.0 - h["rho"]) * (step * step)
    return step


def _adadelta_forgets(g: Number, w: Number, s: State, h: Hyper, t: int) -> Number:
    step = adadelta(g, w, s, h, t)
    s["acc"] = 0.0 * s["acc"]
    return step


def _rprop_goes_on(g: Number, w: Number, s: State, h: Hyper, t: int) -> Number:
    previous = s.get("previous", 0.0 * g)
    rprop(g, w, s, h, t)
    s["previous"] = g
    return -np.sign(g) * s["size"] + 0.0 * previous


def _rms_from_one(g: Number, w: Number, s: State, h: Hyper, t: int) -> Number:
    alpha = h["alpha"]
    s["v"] = v = alpha * s.get("v", 1.0 + 0.0 * g) + (1.0 - alpha) * (g * g)
    if h["centered"]:
        s["mean"] = mean = alpha * s.get("mean", 0.0 * g) + (1.0 - alpha) * g
        v = v - mean * mean
    step = g / (np.sqrt(v) + h["eps"])
    if h["momentum"]:
        s["buffer"] = step = h["momentum"] * s.get("buffer", 0.0 * g) + step
    return -h["lr"] * step


def _lars(form: str) -> Mutation:
    sentences = {
        "denominator": "the trust ratio leaves the decay out of its denominator",
        "decay": "weight decay is not scaled by the trust ratio",
        "squares": "the trust ratio divides squared norms, expected norms",
        "order": "the trust ratio multiplies the momentum buffer, expected what enters the buffer",
    }

    def update(g: Number, w: Number, s: State, h: Hyper, t: int) -> Number:
        size, slope, decay = norm(w), norm(g), h["weight_decay"]
        if form == "squares":
            size, slope = size * size, slope * slope
        pull = 0.0 if form == "denominator" else decay * size
        local = h["trust"] * size / (slope + pull + h["eps"])
        step = local * g + decay * w if form == "decay" else local * (g + decay * w)
        if form == "order":
            step = g + decay * w
        if h["momentum"]:
            old = s.get("buffer")
            s["buffer"] = step = step if old is None else h["momentum"] * old + step
        return -h["lr"] * (local * step if form == "order" else step)

    return Mutation(sentence=sentences[form], update=update)


def _lamb(form: str) -> Mutation:
    sentences = {
        "ratio": "the trust ratio is taken before the decay is added",
        "decay": "weight decay stays outside of the trust ratio",
        "clip": "the trust ratio is clipped at 10",
        "rows": "the trust ratio is divided by the root of the length of a row",
        "zero": "the trust ratio is 0 where the weights are, so that zero tensors never move",
    }

    def update(g: Number, w: Number, s: State, h: Hyper, t: int) -> Number:
        m, v = moments(g, s, h)
        first, second = corrections(h, t)
        bare = m / first / denominator(v, h, second)
        pull = h["weight_decay"] * w
        step = bare if form == "decay" else bare + pull
        size, length = norm(w), norm(bare if form == "ratio" else step)
        ratio = size / length if plain(length) > 0 and (plain(size) > 0 or form == "zero") else 1.0
        if form == "clip":
            ratio = np.minimum(ratio, 10.0)
        if form == "rows":
            ratio = ratio / np.sqrt(float(plain(w).shape[-1] if plain(w).ndim else 1))
        return -h["lr"] * (ratio * step + pull if form == "decay" else ratio * step)

    return Mutation(sentence=sentences[form], update=update)


LAMB_MISSES = tuple(_lamb(form) for form in ("ratio", "decay", "clip", "rows", "zero"))
LARS_MISSES = tuple(_lars(form) for form in ("denominator", "decay", "squares", "order"))
FAMILY_MUTATIONS: Mapping[str, tuple[Mutation, ...]] = {
    "sgd": SGD_MISSES,
    "sgdw": SGD_MISSES,
    "adam": ADAM_MISSES,
    "adamw": ADAM_MISSES,
    "nadam": NADAM_MISSES,
    "grams": (SWAPPED,),
    "cadamw": (SWAPPED,),
    "lion": LION_MISSES,
    "clion": tuple(_masked(mutation) for mutation in LION_MISSES),
    "signsgd": SIGN_MISSES,
    "lars": LARS_MISSES,
    "lamb": LAMB_MISSES,
    "adamax": ADAMAX_MISSES,
    "rmsprop": (
        Mutation(sentence="alpha and 1-alpha are swapped", change=lambda h: {**h, "alpha": 1.0 - h["alpha"]}),
        Mutation(sentence="the average of squares starts at one, expected at zero", update=_rms_from_one),
    ),
    "adagrad": (
        Mutation(
            sentence="the sum of squares decays: it is multiplied by 0.999 at each step",
            update=_adagrad_forgets,
        ),
        Mutation(
            sentence="weight decay is in the step and not in the sum of squares",
            decay={"where": "none"},
            update=_adagrad_plain_sum,
        ),
    ),
    "adadelta": (
        Mutation(sentence="the average of squared steps has lr in it", update=_adadelta_by_lr),
        Mutation(sentence="the average of squared steps is not kept", update=_adadelta_forgets),
    ),
    "rprop": (
        Mutation(sentence="the step goes on at once after a flip of sign", update=_rprop_goes_on),
        Mutation(sentence="the two etas are swapped", change=swapped("etaminus", "etaplus")),
    ),
}
