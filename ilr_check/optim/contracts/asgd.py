"""Averaged SGD (Polyak, Juditsky 1992) in the form of ``torch.optim.ASGD``."""

from __future__ import annotations

from ilr_check.optim.contracts.contract import COUPLED, Contract, Hyper, Mutation, Name, Number, State
from ilr_check.optim.contracts.running import kept_in_single
from ilr_check.optim.symmetry import Symmetry


def update(g: Number, w: Number, s: State, h: Hyper, t: int) -> Number:
    """Return -eta (lambd w + g) with eta_1 = lr and eta_{t+1} = lr_t / (1 + lambd lr_t t)^alpha.

    So a step uses the lr of the step before. With ``eta_of`` "this step" it uses its own lr. torch keeps eta
    in float32 unless the default dtype is float64. The averaged weights, which torch keeps as well, are not
    judged.
    """
    lr, lambd = h["lr"], h["lambd"]
    if h.get("eta_of", "the step before") == "this step":
        eta = kept_in_single(lr / (1.0 + lambd * lr * (t - 1)) ** h["alpha"])
    else:
        eta = s.get("eta", kept_in_single(lr))
    s["eta"] = kept_in_single(lr / (1.0 + lambd * lr * t) ** h["alpha"])
    return -eta * (lambd * w) - eta * g


ASGD = Contract(
    name="asgd",
    title="Averaged SGD with L2 decay in the gradient",
    source="Polyak, Juditsky 1992, as torch.optim.ASGD",
    update=update,
    names={
        "lr": Name(default=1e-2, names=("lr", "learning_rate")),
        "weight_decay": Name(default=0.0, names=("weight_decay", "wd")),
        "lambd": Name(default=1e-4, names=("lambd",)),
        "alpha": Name(default=0.75, names=("alpha",)),
    },
    decay=COUPLED,
    degree=1.0,
    symmetry=Symmetry(arguments={"lr": 2, "weight_decay": -2, "lambd": -2}),
    momentum="none",
    settings=({}, {"lambd": 0.05, "alpha": 0.5}),
    mutations=(
        Mutation(sentence="lambd has no effect", hyper={"lambd": 0.0}),
        Mutation(sentence="eta follows the lr of this step", hyper={"eta_of": "this step"}),
    ),
    variations={"eta_of": ("the step before", "this step")},
    exceptions={
        "decay-schedule": "torch computes eta at the end of a step, so that a changed lr acts one step late",
        "zero-lr": "torch computes eta at the end of a step, so that a changed lr acts one step late",
    },
    float32_state=True,
)
CONTRACTS = (ASGD,)
