"""AdaBelief, Yogi, diffGrad, StableAdamW, LaProp, NovoGrad and PID, each from the formula of its paper."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .base import Group, Hand, State, shrink


class Adaptive(Hand):
    """Adam with L2 decay; subclasses change what ``average`` keeps as v, and how the weights ``move``."""

    eps, decoupled = 1e-8, False

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float | None = None,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ):
        options = {"eps": self.eps if eps is None else eps, "weight_decay": weight_decay}
        super().__init__(params, lr=lr, betas=betas, maximize=maximize, **options)

    def update(self, p: Tensor, g: Tensor, group: Group, state: State) -> None:
        if not state:
            state |= {"step": 0, "m": self.start(p), "v": self.start(p), "before": torch.zeros_like(p)}
        state["step"] += 1
        if not self.decoupled:
            g = g + group["weight_decay"] * p
        first, second = group["betas"]
        state["m"].lerp_(g, 1 - first)
        self.average(g, group, state)
        m = state["m"] / (1 - first ** state["step"])
        v = state["v"] / (1 - second ** state["step"])
        self.move(p, g, m / (v.sqrt() + group["eps"]), v, group, state)
        state["before"] = g.clone()

    def start(self, p: Tensor) -> Tensor:
        return torch.zeros_like(p)

    def average(self, g: Tensor, group: Group, state: State) -> None:
        state["v"].lerp_(g * g, 1 - group["betas"][1])

    def move(self, p: Tensor, g: Tensor, u: Tensor, v: Tensor, group: Group, state: State) -> None:
        p.sub_(group["lr"] * u)


class HandAdaBelief(Adaptive):
    """Zhuang et al. 2020, algorithm 2: v averages (g - m)^2 and has eps added at each step."""

    eps = 1e-16

    def average(self, g: Tensor, group: Group, state: State) -> None:
        state["v"].lerp_(self.off(g, state) ** 2, 1 - group["betas"][1]).add_(self.added(group))

    def off(self, g: Tensor, state: State) -> Tensor:
        return g - state["m"]

    def added(self, group: Group) -> float:
        return float(group["eps"])


class HandYogi(Adaptive):
    """Zaheer et al. 2018, algorithm 2: v moves by (1 - beta2) g^2 up or down."""

    eps = 1e-3

    def start(self, p: Tensor) -> Tensor:
        return torch.full_like(p, 1e-6)

    def average(self, g: Tensor, group: Group, state: State) -> None:
        state["v"].sub_((1 - group["betas"][1]) * torch.sign(state["v"] - g * g) * g * g)


class HandDiffGrad(Adaptive):
    """Dubey et al. 2019: Adam's step times the sigmoid of the change of the gradient."""

    def move(self, p: Tensor, g: Tensor, u: Tensor, v: Tensor, group: Group, state: State) -> None:
        p.sub_(group["lr"] * u * torch.sigmoid(self.change(g, state)))

    def change(self, g: Tensor, state: State) -> Tensor:
        return (state["before"] - g).abs()


class HandStableAdamW(Adaptive):
    """Wortsman et al. 2023, algorithm 2: lr over max(1, rms of g / sqrt(v)), for decay and step alike."""

    decoupled = True

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.99),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        *,
        maximize: bool = False,
    ):
        super().__init__(params, lr, betas, eps, weight_decay, maximize=maximize)

    def move(self, p: Tensor, g: Tensor, u: Tensor, v: Tensor, group: Group, state: State) -> None:
        if p.numel():
            rate = group["lr"] / self.size(g, v, group)
            shrink(p, group, self.decay_rate(rate, group))
            p.sub_(rate * u)

    def size(self, g: Tensor, v: Tensor, group: Group) -> Tensor:
        return (g * g / v.clamp(min=group["eps"] ** 2)).mean().sqrt().clamp(min=1.0)

    def decay_rate(self, rate: Tensor, group: Group) -> Any:
        return rate


class HandLaProp(Hand):
    """Ziyin, Wang, Ueda 2020, algorithm 1: the average is of normalised gradients, each times its lr."""

    def __init__(
        self,
        params: Any,
        lr: float = 4e-4,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-15,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ):
        options = {"eps": eps, "weight_decay": weight_decay, "maximize": maximize}
        super().__init__(params, lr=lr, betas=betas, **options)

    def update(self, p: Tensor, g: Tensor, group: Group, state: State) -> None:
        if not state:
            state |= {"step": 0, "m": torch.zeros_like(p), "v": torch.zeros_like(p), "rate": 0.0}
        state["step"] += 1
        first, second = group["betas"]
        state["v"].lerp_(g * g, 1 - second)
        below = self.root(state["v"], 1 - second ** state["step"]) + group["eps"]
        state["m"].mul_(first).add_(g / below, alpha=(1 - first) * group["lr"])
        state["rate"] = first * state["rate"] + (1 - first) * group["lr"]
        share = state["rate"] / group["lr"] if group["lr"] else 1.0
        p.sub_(state["m"] / self.correction(share))
        self.decay(p, group)

    def root(self, v: Tensor, correction: float) -> Tensor:
        return (v / correction).sqrt()

    def correction(self, share: float) -> float:
        return share

    def decay(self, p: Tensor, group: Group) -> None:
        shrink(p, group)


class HandNovoGrad(Hand):
    """Ginsburg et al. 2019, algorithm 1: m <- beta1 m + g / (sqrt(v) + eps) + wd w, v per tensor."""

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.95, 0.98),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        grad_averaging: bool = False,
        *,
        maximize: bool = False,
    ):
        options = {"eps": eps, "weight_decay": weight_decay, "maximize": maximize}
        super().__init__(params, lr=lr, betas=betas, grad_averaging=grad_averaging, **options)

    def update(self, p: Tensor, g: Tensor, group: Group, state: State) -> None:
        first, second = group["betas"]
        squares = (g * g).sum()
        state["v"] = (
            second * state["v"] + (1 - second) * squares if "v" in state else self.first(squares, second)
        )
        entering = g / (state["v"].sqrt() + group["eps"]) + self.pull(p, group)
        share = 1 - first if group["grad_averaging"] and "m" in state else 1.0
        state["m"] = first * state["m"] + share * entering if "m" in state else entering
        p.sub_(group["lr"] * state["m"])

    def first(self, squares: Tensor, second: float) -> Tensor:
        return squares

    def pull(self, p: Tensor, group: Group) -> Tensor:
        return group["weight_decay"] * p


class HandPID(Hand):
    """An et al. 2018: w <- w - lr (g + integral i + derivative d), and SGD without momentum."""

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        derivative: float = 10.0,
        integral: float = 5.0,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ):
        gains = {"dampening": dampening, "derivative": derivative, "integral": integral}
        super().__init__(
            params, lr=lr, momentum=momentum, weight_decay=weight_decay, maximize=maximize, **gains
        )

    def update(self, p: Tensor, g: Tensor, group: Group, state: State) -> None:
        g, mu = g + group["weight_decay"] * p, group["momentum"]
        if mu:
            if not state:
                state |= {"before": g.clone(), "i": torch.zeros_like(p), "d": torch.zeros_like(p)}
            self.sum_up(g, group, state)
            state["d"].mul_(mu).add_(self.change(g, state), alpha=1 - mu)
            state["before"] = g.clone()
            g = g + group["integral"] * state["i"] + group["derivative"] * state["d"]
        p.sub_(group["lr"] * g)

    def sum_up(self, g: Tensor, group: Group, state: State) -> None:
        state["i"].mul_(group["momentum"]).add_(g, alpha=1 - group["dampening"])

    def change(self, g: Tensor, state: State) -> Tensor:
        return g - state["before"]
