"""Schedule-free SGD (Defazio et al. 2024): the weights lie between a fast sequence and its average."""

from __future__ import annotations

import numpy as np

from ilr_check.optim.contracts.contract import COUPLED, Contract, Hyper, Mutation, Name, Number, State
from ilr_check.optim.contracts.running import plain
from ilr_check.optim.symmetry import Symmetry


def update(g: Number, w: Number, s: State, h: Hyper, t: int) -> Number:
    """Return the change of y: y <- (1 - c) y + c z + lr (mu (1 - c) - 1) g, and then z <- z - lr g.

    The weights are y = (1 - mu) z + mu x, where x is the weighted average of all z. The newest z has the
    weight c, which is lr^2 over the sum of lr^2 of all steps so far. The released package uses the largest lr
    so far in place of lr. It keeps this number in its groups as ``lr_max``.
    """
    lr, mu = h["lr"], h["momentum"]
    weighed = lr if h.get("lr_max") is None else np.maximum(s.get("largest", 0.0 * lr), lr)
    z = s.get("z", w)
    s["largest"], s["sum"] = weighed, s.get("sum", 0.0) + weighed * weighed
    share = weighed * weighed / s["sum"] if float(plain(s["sum"])) > 0 else 0.0
    s["z"] = z - lr * g
    reach = h.get("reach", 1.0)
    return share * (z - w) + reach * lr * (mu * (1.0 - share) - 1.0) * g


SCHEDULE_FREE = Contract(
    name="schedulefree",
    title="Schedule-free SGD with L2 decay in the gradient",
    source="Defazio et al. 2024 (arXiv 2405.15682), in the mode for training",
    update=update,
    names={
        "lr": Name(default=1.0, names=("lr", "learning_rate")),
        "weight_decay": Name(default=0.0, names=("weight_decay", "wd")),
        "momentum": Name(default=0.9, names=("momentum", "beta")),
        "lr_max": Name(default=None, names=("lr_max",)),
    },
    decay=COUPLED,
    degree=1.0,
    symmetry=Symmetry(arguments={"lr": 2, "weight_decay": -2}),
    momentum="an interpolation between the fast sequence and its average",
    settings=({}, {"momentum": 0.6}),
    mutations=(
        Mutation(sentence="the average is left out: momentum acts as 0", hyper={"momentum": 0.0}),
        Mutation(sentence="the gradient moves the weights twice as far", hyper={"reach": 2.0}),
    ),
)
CONTRACTS = (SCHEDULE_FREE,)
