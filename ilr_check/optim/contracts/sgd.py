"""SGD with momentum in the form of ``torch.optim.SGD``, and SGD with decoupled decay."""

from __future__ import annotations

from dataclasses import replace

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
from ilr_check.optim.symmetry import Symmetry


def update(g: Number, w: Number, s: State, h: Hyper, t: int) -> Number:
    """Return -lr b', or -lr (g + mu b') with Nesterov, with b' = mu b + (1 - dampening) g.

    The first buffer is the first gradient. ``momentum_form`` "ema" replaces 1 - dampening by 1 - mu.
    ``buffer_start`` "zero" dampens the first gradient too. ``lr_place`` "inside" multiplies the gradient by
    lr before it enters the buffer (Sutskever).
    """
    lr, mu = h["lr"], h["momentum"]
    if not mu:
        return -lr * g
    taken = 1.0 - mu if h.get("momentum_form", "classic") == "ema" else 1.0 - h["dampening"]
    inside = h.get("lr_place", "outside") == "inside"
    kept = lr * g if inside else g
    old = s.get("buffer")
    if old is None:
        dampened = h.get("buffer_start", "gradient") == "zero"
        s["buffer"] = taken * kept if dampened else kept
    else:
        s["buffer"] = mu * old + taken * kept
    step = kept + mu * s["buffer"] if h["nesterov"] else s["buffer"]
    return -step if inside else -lr * step


MUTATIONS = (
    Mutation(sentence="momentum buffer starts at (1-dampening)*g", hyper={"buffer_start": "zero"}),
    Mutation(sentence="the momentum buffer averages, (1-momentum)*g", hyper={"momentum_form": "ema"}),
    Mutation(
        sentence="the momentum buffer averages, (1-momentum)*g, and starts from zero",
        hyper={"momentum_form": "ema", "buffer_start": "zero"},
    ),
    Mutation(
        sentence="lr is inside the momentum buffer, so that old gradients keep their old lr",
        hyper={"lr_place": "inside"},
    ),
    Mutation(sentence="Nesterov's look-ahead is taken although nesterov is off", hyper={"nesterov": True}),
    Mutation(sentence="nesterov has no effect", hyper={"nesterov": False}),
    Mutation(sentence="dampening has no effect", hyper={"dampening": 0.0}),
    Mutation(sentence="momentum has no effect", hyper={"momentum": 0.0}),
)

SGD = Contract(
    name="sgd",
    title="SGD with L2 decay in the gradient",
    source="torch.optim.SGD; Sutskever, Martens, Dahl, Hinton 2013 with lr outside the buffer",
    update=update,
    names={
        "lr": Name(default=1e-3, names=("lr", "learning_rate")),
        "weight_decay": Name(default=0.0, names=("weight_decay", "wd", "l2")),
        "momentum": Name(default=0.0, names=("momentum", "mu", "beta")),
        "dampening": Name(default=0.0, names=("dampening",)),
        "nesterov": Name(default=False, names=("nesterov",)),
    },
    decay=COUPLED,
    degree=1.0,
    symmetry=Symmetry(arguments={"lr": 2, "weight_decay": -2}),
    momentum="b' = momentum*b + (1-dampening)*g, starting at the first gradient",
    settings=(
        {},
        {"momentum": 0.9},
        {"momentum": 0.8, "dampening": 0.25},
        {"momentum": 0.9, "nesterov": True},
    ),
    mutations=MUTATIONS,
    variations={
        "momentum_form": ("classic", "ema"),
        "buffer_start": ("gradient", "zero"),
        "lr_place": ("outside", "inside"),
    },
)

SGDW = replace(
    SGD,
    name="sgdw",
    title="SGD with decay by 1 - lr*wd before the step",
    source="Loshchilov, Hutter 2019 (arXiv 1711.05101), algorithm 1, with torch's lr*wd",
    decay=DECOUPLED,
)
CONTRACTS = (SGD, SGDW)
