"""Mutations of Adam, AdamW, NAdam, LAMB and Adamax in the moments, their corrections and eps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from ilr_check.optim.contracts.adam import moments
from ilr_check.optim.contracts.contract import Hyper, Mutation, Number, State, Update
from ilr_check.optim.contracts.running import kept_in_single
from ilr_check.optim.mutations.rounding import BFLOAT16, FLOAT32, rounded

Moments = Callable[[Number, Number, State, Hyper, int], tuple[Number, Number]]
"""(g, w, state, hyper, t) -> the first and the second moment that the step reads."""
Corrections = Callable[[Hyper, int], tuple[Number, Number]]


def swapped(first: str, second: str) -> Callable[[Hyper], Hyper]:
    """Return a function that returns the hyper-parameters with two of them swapped."""
    return lambda h: {**h, first: h[second], second: h[first]}


def _plain(g: Number, w: Number, s: State, h: Hyper, t: int) -> tuple[Number, Number]:
    return moments(g, s, h)


def _usual(h: Hyper, t: int) -> tuple[Number, Number]:
    return 1.0 - h["beta1"] ** t, 1.0 - h["beta2"] ** t


def _adam(
    read: Moments = _plain,
    corrections: Corrections = _usual,
    root: Callable[[Number, Number], Number] = lambda v, second: np.sqrt(v / second),
    amsgrad: Literal["v", "corrected v", "m^2"] = "v",
) -> Update:
    """Return Adam's step with one part replaced."""

    def update(g: Number, w: Number, s: State, h: Hyper, t: int) -> Number:
        m, v = read(g, w, s, h, t)
        first, second = corrections(h, t)
        if h.get("amsgrad"):
            seen = {"v": v, "corrected v": v / second, "m^2": s["m"] * s["m"]}[amsgrad]
            s["max"] = v = np.maximum(s.get("max", seen), seen)
            if amsgrad == "corrected v":
                v = v * second
        return -h["lr"] * (m / first) / (root(v, second) + h["eps"])

    return update


def _narrow(names: tuple[str, ...], bits: int) -> Moments:
    def read(g: Number, w: Number, s: State, h: Hyper, t: int) -> tuple[Number, Number]:
        moments(g, s, h)
        for name in names:
            s[name] = rounded(s[name], bits)
        return s["m"], s["v"]

    return read


def _summed(g: Number, w: Number, s: State, h: Hyper, t: int) -> tuple[Number, Number]:
    before = s.get("m", 0.0 * g)
    _, v = moments(g, s, h)
    s["m"] = h["beta1"] * before + g
    return s["m"], v


def _belief(g: Number, w: Number, s: State, h: Hyper, t: int) -> tuple[Number, Number]:
    before = s.get("v", 0.0 * g)
    m, _ = moments(g, s, h)
    s["v"] = h["beta2"] * before + (1.0 - h["beta2"]) * ((g - m) * (g - m))
    return m, s["v"]


def _old_second(g: Number, w: Number, s: State, h: Hyper, t: int) -> tuple[Number, Number]:
    before = s.get("v", g * g)
    m, _ = moments(g, s, h)
    return m, before


def _ahead(g: Number, w: Number, s: State, h: Hyper, t: int) -> tuple[Number, Number]:
    m, v = moments(g, s, h)
    return h["beta1"] * m + (1.0 - h["beta1"]) * g, v


def _raw_second(g: Number, w: Number, s: State, h: Hyper, t: int) -> tuple[Number, Number]:
    """Return moments of which only the first includes decay. ``g`` is without decay."""
    before = s.get("v", 0.0 * g)
    m, _ = moments(g + h["weight_decay"] * w, s, h)
    s["v"] = h["beta2"] * before + (1.0 - h["beta2"]) * (g * g)
    return m, s["v"]


def _late(h: Hyper, t: int) -> tuple[Number, Number]:
    return _usual(h, max(1, t - 1))


def _times(name: str, factor: Callable[[Hyper], Any]) -> Callable[[Hyper], Hyper]:
    return lambda h: {**h, name: factor(h) * h[name]}


ADAM_MISSES = (
    Mutation(sentence="beta1 and beta2 are swapped", change=swapped("beta1", "beta2")),
    Mutation(
        sentence="bias correction is off by one step: every step but the first is corrected as step t-1",
        update=_adam(corrections=_late),
    ),
    Mutation(
        sentence="the bias corrections are swapped: each moment is corrected by the other's beta",
        update=_adam(corrections=lambda h, t: (_usual(h, t)[1], _usual(h, t)[0])),
    ),
    Mutation(
        sentence="the bias correction of the second moment is not under the root, sqrt(v)/(1-beta2^t)",
        update=_adam(root=lambda v, second: np.sqrt(v) / second),
    ),
    Mutation(
        sentence="the step count for the bias correction is shared: it counts every tensor",
        shared_count=True,
    ),
    Mutation(sentence="eps acts as 1e-8, whatever it is set to", hyper={"eps": 1e-8}),
    Mutation(sentence="eps is multiplied by lr", change=_times("eps", lambda h: h["lr"])),
    Mutation(sentence="eps is added twice", change=_times("eps", lambda h: 2.0)),
    Mutation(sentence="the first moment is a sum, not averaged: m = beta1*m + g", update=_adam(_summed)),
    Mutation(sentence="the second moment is that of g - m (AdaBelief's variance)", update=_adam(_belief)),
    Mutation(sentence="the step divides by the second moment of the step before", update=_adam(_old_second)),
    Mutation(
        sentence="Nesterov's look-ahead is taken in the first moment", update=_adam(_ahead), technique=True
    ),
    Mutation(
        sentence="weight decay enters the first moment and not the second moment",
        decay={"where": "none"},
        update=_adam(_raw_second),
    ),
    Mutation(
        sentence="amsgrad takes the maximum of the bias-corrected second moment",
        update=_adam(amsgrad="corrected v"),
    ),
    Mutation(sentence="amsgrad takes the maximum of the squared first moment", update=_adam(amsgrad="m^2")),
    *(
        Mutation(sentence=f"{which} is kept in {dtype}", update=_adam(_narrow(names, bits)))
        for bits, dtype in ((BFLOAT16, "bfloat16"), (FLOAT32, "float32"))
        for names, which in (
            (("m",), "the first moment"),
            (("v",), "the second moment"),
            (("m", "v"), "the whole state"),
        )
    ),
)


def _forgets_the_product(g: Number, w: Number, s: State, h: Hyper, t: int) -> Number:
    m, v = moments(g, s, h)
    mu, coming = (h["beta1"] * (1.0 - 0.5 * 0.96 ** (k * h["momentum_decay"])) for k in (t, t + 1))
    product = kept_in_single(mu)
    mixed = (1.0 - mu) / (1.0 - product) * g + coming / (1.0 - product * coming) * m
    return -h["lr"] * mixed / (np.sqrt(v / (1.0 - h["beta2"] ** t)) + h["eps"])


NADAM_MISSES = (
    Mutation(
        sentence="the momentum schedule stands still at beta1: momentum_decay is ignored",
        hyper={"momentum_schedule": "constant"},
    ),
    Mutation(sentence="the product of momenta is forgotten from step to step", update=_forgets_the_product),
)


def _never_forgets(g: Number, w: Number, s: State, h: Hyper, t: int) -> Number:
    zero = 0.0 * g
    s["m"] = m = h["beta1"] * s.get("m", zero) + (1.0 - h["beta1"]) * g
    s["u"] = u = np.maximum(s.get("u", zero), np.abs(g) + h["eps"])
    return -h["lr"] / (1.0 - h["beta1"] ** t) * m / u


ADAMAX_MISSES = (
    Mutation(sentence="the maximum never decreases: it is not multiplied by beta2", update=_never_forgets),
)
