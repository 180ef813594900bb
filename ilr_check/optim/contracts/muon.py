"""Muon (Jordan et al. 2024): the momentum's singular values are pushed towards 1 by Newton-Schulz."""

from __future__ import annotations

import math

import numpy as np

from ilr_check.optim.contracts.contract import DECOUPLED, Contract, Hyper, Mutation, Name, Number, State
from ilr_check.optim.contracts.running import ROUNDINGS, Array, Tracked, plain
from ilr_check.optim.symmetry import Symmetry

HALF = 2.0**-8
"""The unit roundoff of bfloat16, in which torch runs Newton-Schulz."""


def update(g: Number, w: Number, s: State, h: Hyper, t: int) -> Number:
    """Return -lr c(shape) NS(m) with m <- mu m + (1 - mu) g.

    With Nesterov's momentum, (1 - mu) g + mu m replaces m. NS is ``orthogonalised``.
    """
    mu = h["momentum"]
    s["m"] = m = mu * s.get("m", 0.0 * g) + (1.0 - mu) * g
    direction = (1.0 - mu) * g + mu * m if h["nesterov"] else m
    rows, columns = plain(g).shape
    scale = math.sqrt(max(1.0, rows / columns))
    if h.get("adjust_lr_fn") == "match_rms_adamw":
        scale = 0.2 * math.sqrt(max(rows, columns))
    elif h.get("adjust_lr_fn") == "none":
        scale = 1.0
    return -h["lr"] * scale * orthogonalised(direction, h)


def orthogonalised(x: Number, h: Hyper) -> Number:
    """Return x / ||x|| after p(s) = a s + b s^3 + c s^5 was applied ``ns_steps`` times to its singular
    values.

    The bound holds for a direction with at most one entry in each row and column. Every entry of a product of
    such matrices has one term, so that p acts on each entry by itself. In bfloat16 an entry has four
    roundings at the start (the cast, two in the norm, the division), and each iteration rounds s^2, b s^2 + c
    s^4 and the result once:
        e' = |p'(s)| e + u (|b| s^3 + 2 |c| s^5 + |b s^3 + c s^5| + |p(s)|).
    """
    values, eps = plain(x), plain_eps(h)
    norm = float(np.linalg.norm(values))
    # torch divides by max(norm, eps), Jordan's original by norm + eps; the contract accepts both.
    scaled, share = values / max(norm, eps), max(norm, eps) / (norm + eps)
    lonely = np.count_nonzero(values, axis=0).max() <= 1 and np.count_nonzero(values, axis=1).max() <= 1
    if lonely:
        found, error = _either(scaled, share, h)
    else:
        left, singular, right = np.linalg.svd(scaled, full_matrices=False)
        pushed, room = _either(singular, share, h)
        # The error of the decomposition is a few roundings of a matrix of norm 1.
        found, error = (left * pushed) @ right, (np.abs(left) * room) @ np.abs(right) + 2.0**-45
    if not isinstance(x, Tracked):
        return found
    # The analysis above counts every rounding, so the error is divided by the usual allowance ROUNDINGS. That
    # many roundings of bfloat16 instead of one would hide the step.
    return Tracked(found, x.unit, error / ROUNDINGS, x.tiny)


def _either(s: Array, share: float, h: Hyper) -> tuple[Array, Array]:
    """Return the image of s, with a bound that reaches the image of ``share`` times s."""
    found, error = _iterated(s, h)
    other, room = _iterated(share * s, h)
    return found, np.maximum(error, np.abs(found - other) + room)


def _iterated(s: Array, h: Hyper) -> tuple[Array, Array]:
    """Return p applied ``ns_steps`` times to numbers with four roundings, and the bound on the result."""
    a, b, c = h["ns_coefficients"]
    error = 4.0 * HALF * np.abs(s)
    for _ in range(int(h["ns_steps"])):
        cubed, fifth = np.abs(s) ** 3, np.abs(s) ** 5
        result = a * s + b * s**3 + c * s**5
        local = abs(b) * cubed + 2 * abs(c) * fifth + np.abs(b * s**3 + c * s**5) + np.abs(result)
        error = np.abs(a + 3 * b * s**2 + 5 * c * s**4) * error + HALF * local
        s = result
    return s, error


def plain_eps(h: Hyper) -> float:
    """Return eps as a number."""
    return float(plain(h["eps"]))


MUON = Contract(
    name="muon",
    title="Muon: decay by 1 - lr*wd before the step",
    source="Jordan et al. 2024 (kellerjordan.github.io/posts/muon), as torch.optim.Muon",
    update=update,
    names={
        "lr": Name(default=1e-3, names=("lr", "learning_rate")),
        "weight_decay": Name(default=0.1, names=("weight_decay", "wd")),
        "momentum": Name(default=0.95, names=("momentum", "mu", "beta")),
        "nesterov": Name(default=True, names=("nesterov",)),
        "eps": Name(default=1e-7, names=("eps",)),
        "ns_steps": Name(default=5, names=("ns_steps", "nsteps")),
        "ns_coefficients": Name(default=(3.4445, -4.775, 2.0315), names=("ns_coefficients",)),
        "adjust_lr_fn": Name(default=None, names=("adjust_lr_fn",)),
    },
    decay=DECOUPLED,
    degree=0.0,
    symmetry=Symmetry(arguments={"lr": 1, "weight_decay": -1, "eps": -1}),
    momentum="exponential average from zero, with Nesterov's mix",
    settings=({}, {"nesterov": False, "momentum": 0.8}, {"adjust_lr_fn": "match_rms_adamw"}),
    mutations=(
        Mutation(sentence="the step is not adjusted to the shape", hyper={"adjust_lr_fn": "none"}),
        Mutation(
            sentence="the step is adjusted by 0.2*sqrt(max(shape))", hyper={"adjust_lr_fn": "match_rms_adamw"}
        ),
        Mutation(sentence="adjust_lr_fn has no effect", hyper={"adjust_lr_fn": None}),
    ),
    matrices_only=True,
    mixes_entries=True,
    gradients="one a row and column",
)
CONTRACTS = (MUON,)
