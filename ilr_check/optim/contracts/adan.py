"""Adan (Xie et al. 2022): momentum of the gradients and, beside it, of their differences."""

from __future__ import annotations

from ilr_check.optim.contracts.adam import MOMENTS, denominator
from ilr_check.optim.contracts.contract import Contract, Decay, Hyper, Mutation, Name, Number, State
from ilr_check.optim.symmetry import Symmetry


def update(g: Number, w: Number, s: State, h: Hyper, t: int) -> Number:
    """Return -lr (m^ + b2 d^) / (sqrt(n^) + eps), after which the weights are divided by 1 + lr wd.

    m averages the gradients, d their differences, and n the squares of g + b2 (g - the gradient before). With
    ``no_prox`` the weights are multiplied by 1 - lr wd instead. The paper writes 1 - beta for each beta here.
    An implementation may keep the first gradient for the first difference alone.
    """
    of_new = h.get("betas_are") == "shares of the new gradient"
    b1, b2, b3 = (1.0 - h[name] if of_new else h[name] for name in ("beta1", "beta2", "beta3"))
    zero, apart = 0.0 * g, g - s.get("before", g)
    pull = h["lr"] * h["weight_decay"]
    if t == 1 and h.get("first_gradient") == "kept":
        s["before"] = g
        return -pull * w if h["no_prox"] else w / (1.0 + pull) - w
    looked = g if h.get("squares_of") == "the gradient" else g + b2 * apart
    s["before"] = g
    s["m"] = b1 * s.get("m", zero) + (1.0 - b1) * g
    s["d"] = b2 * s.get("d", zero) + (1.0 - b2) * apart
    s["n"] = b3 * s.get("n", zero) + (1.0 - b3) * (looked * looked)
    corrected = h.get("bias_correction", "both") == "both"
    first, second, third = (1.0 - b**t if corrected else 1.0 for b in (b1, b2, b3))
    weight = {"beta2": b2, "1": 1.0, "0": 0.0}[h.get("differences_by", "beta2")]
    moved = -h["lr"] * (s["m"] / first + weight * (s["d"] / second)) / denominator(s["n"], h, third)
    return moved - pull * w if h["no_prox"] else (w + moved) / (1.0 + pull) - w


ADAN = Contract(
    name="adan",
    title="Adan: the weights are divided by 1 + lr*wd after the step",
    source="Xie et al. 2022 (arXiv 2208.06677), algorithm 1, with the bias corrections of the authors' code",
    update=update,
    names={
        **{key: MOMENTS[key] for key in ("lr", "weight_decay", "eps")},
        "beta1": Name(default=0.98, names=("betas.0", "beta1", "b1")),
        "beta2": Name(default=0.92, names=("betas.1", "beta2", "b2")),
        "beta3": Name(default=0.99, names=("betas.2", "beta3", "b3")),
        "no_prox": Name(default=False, names=("no_prox", "weight_decouple")),
    },
    decay=Decay(where="own"),
    degree=0.0,
    symmetry=Symmetry(arguments={"lr": 1, "weight_decay": -1, "eps": -1}),
    momentum="exponential averages of the gradients and of their differences, corrected for their bias",
    bias_correction=True,
    settings=({}, {"beta1": 0.7, "beta2": 0.6, "beta3": 0.95, "eps": 1e-2}, {"no_prox": True}),
    mutations=(
        Mutation(
            sentence="each beta is the share of the new gradient, as the paper writes it",
            hyper={"betas_are": "shares of the new gradient"},
        ),
        Mutation(
            sentence="the first gradient is kept for the first difference and moves nothing",
            hyper={"first_gradient": "kept"},
        ),
        Mutation(sentence="there is no bias correction", hyper={"bias_correction": "neither"}),
        Mutation(sentence="eps stands inside the root", hyper={"eps_place": "inside"}),
        Mutation(
            sentence="eps is added before the bias correction", hyper={"eps_place": "before correction"}
        ),
        Mutation(sentence="eps has no effect", hyper={"eps": 0.0}),
        Mutation(
            sentence="the average of differences is not multiplied by beta2", hyper={"differences_by": "1"}
        ),
        Mutation(sentence="the average of differences is left out", hyper={"differences_by": "0"}),
        Mutation(
            sentence="the average of squares reads the gradient alone, without its change",
            hyper={"squares_of": "the gradient"},
        ),
        Mutation(sentence="weight decay has no effect", hyper={"weight_decay": 0.0}),
        Mutation(sentence="the weights are multiplied by 1 - lr*wd before the step", hyper={"no_prox": True}),
    ),
    variations={
        "betas_are": ("shares of the old average", "shares of the new gradient"),
        "first_gradient": ("counts", "kept"),
        "bias_correction": ("both", "neither"),
        "eps_place": ("outside", "inside", "before correction"),
        "no_prox": (False, True),
    },
)
CONTRACTS = (ADAN,)
