"""Adam, AdamW and AMSGrad as torch writes them, and Adamax, NAdam, RAdam, which share their moments."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from .base import Group, Hand, State, shrink


class HandAdam(Hand):
    """m, v <- averages of g and g^2; w <- w - lr (m / c1) / (sqrt(v / c2) + eps) with c_i = 1 - beta_i^t."""

    decoupled = False

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ):
        super().__init__(
            params,
            lr=lr,
            betas=betas,
            eps=eps,
            weight_decay=weight_decay,
            amsgrad=amsgrad,
            maximize=maximize,
        )

    def start(self, p: Tensor, group: Group, state: State) -> None:
        state["step"] = torch.tensor(0.0, dtype=torch.float32)
        state["exp_avg"] = torch.zeros_like(p)
        state["exp_avg_sq"] = torch.zeros_like(p)
        if group["amsgrad"]:
            state["max_exp_avg_sq"] = torch.zeros_like(p)

    def update(self, p: Tensor, g: Tensor, group: Group, state: State) -> None:
        if not state:
            self.start(p, group, state)
        state["step"] += 1
        g = self.decayed(p, g, group, state)
        self.average(g, group, state)
        self.move(p, group, state)

    def decayed(self, p: Tensor, g: Tensor, group: Group, state: State) -> Tensor:
        if not group["weight_decay"]:
            return g
        if self.decoupled:
            shrink(p, group)
            return g
        return g + group["weight_decay"] * p

    def average(self, g: Tensor, group: Group, state: State) -> None:
        first, second = group["betas"]
        state["exp_avg"].mul_(first).add_(g, alpha=1 - first)
        state["exp_avg_sq"].mul_(second).addcmul_(g, g, value=1 - second)

    def corrections(self, group: Group, state: State) -> tuple[float, float]:
        t = float(state["step"])
        return 1 - group["betas"][0] ** t, 1 - group["betas"][1] ** t

    def second_moment(self, group: Group, state: State) -> Tensor:
        if not group["amsgrad"]:
            return state["exp_avg_sq"]
        torch.maximum(state["max_exp_avg_sq"], state["exp_avg_sq"], out=state["max_exp_avg_sq"])
        return state["max_exp_avg_sq"]

    def denominator(self, v: Tensor, correction: float, group: Group) -> Tensor:
        return v.sqrt() / math.sqrt(correction) + group["eps"]

    def move(self, p: Tensor, group: Group, state: State) -> None:
        first, second = self.corrections(group, state)
        below = self.denominator(self.second_moment(group, state), second, group)
        p.sub_(group["lr"] / first * state["exp_avg"] / below)


class HandAdamW(HandAdam):
    """Adam with w <- (1 - lr wd) w before the step."""

    decoupled = True

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ):
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize)


class HandAdamax(HandAdam):
    """u <- max(beta2 u, |g| + eps); w <- w - lr / c1 * m / u."""

    def __init__(
        self,
        params: Any,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ):
        super().__init__(params, lr, betas, eps, weight_decay, maximize=maximize)

    def start(self, p: Tensor, group: Group, state: State) -> None:
        state |= {
            "step": torch.tensor(0.0, dtype=torch.float32),
            "exp_avg": torch.zeros_like(p),
            "exp_inf": torch.zeros_like(p),
        }

    def average(self, g: Tensor, group: Group, state: State) -> None:
        first, second = group["betas"]
        state["exp_avg"].lerp_(g, 1 - first)
        state["exp_inf"] = torch.maximum(second * state["exp_inf"], g.abs() + group["eps"])

    def move(self, p: Tensor, group: Group, state: State) -> None:
        first, _ = self.corrections(group, state)
        p.sub_(group["lr"] / first * state["exp_avg"] / state["exp_inf"])


class HandNAdam(HandAdam):
    """Dozat's mu_t = beta1 (1 - 0.96^(t psi) / 2), and w <- w - lr (a g + b m) / (sqrt(v / c2) + eps)."""

    def __init__(
        self,
        params: Any,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
    ):
        Hand.__init__(
            self,
            params,
            lr=lr,
            betas=betas,
            eps=eps,
            weight_decay=weight_decay,
            momentum_decay=momentum_decay,
            decoupled_weight_decay=decoupled_weight_decay,
            amsgrad=False,
            maximize=maximize,
        )

    def start(self, p: Tensor, group: Group, state: State) -> None:
        super().start(p, group, state)
        state["mu_product"] = torch.ones((), dtype=p.dtype)

    def decayed(self, p: Tensor, g: Tensor, group: Group, state: State) -> Tensor:
        state["g"] = g
        if group["decoupled_weight_decay"]:
            shrink(p, group)
        elif group["weight_decay"]:
            state["g"] = g + group["weight_decay"] * p
        return state["g"]

    def momentum(self, t: float, group: Group) -> float:
        return group["betas"][0] * (1 - 0.5 * 0.96 ** (t * group["momentum_decay"]))

    def move(self, p: Tensor, group: Group, state: State) -> None:
        t, g = float(state["step"]), state.pop("g")
        mu, following = self.momentum(t, group), self.momentum(t + 1, group)
        state["mu_product"] *= mu
        product = float(state["mu_product"])
        below = self.denominator(state["exp_avg_sq"], self.corrections(group, state)[1], group)
        p.sub_(group["lr"] * (1 - mu) / (1 - product) * g / below)
        p.sub_(group["lr"] * following / (1 - product * following) * state["exp_avg"] / below)


class HandRAdam(HandAdam):
    """Adam whose step is rectified once rho_t > 5, and lr m / c1 before (Liu et al. 2020, Algorithm 2)."""

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
    ):
        Hand.__init__(
            self,
            params,
            lr=lr,
            betas=betas,
            eps=eps,
            weight_decay=weight_decay,
            decoupled_weight_decay=decoupled_weight_decay,
            amsgrad=False,
            maximize=maximize,
        )

    def decayed(self, p: Tensor, g: Tensor, group: Group, state: State) -> Tensor:
        if group["decoupled_weight_decay"]:
            shrink(p, group)
            return g
        return g + group["weight_decay"] * p

    threshold = 5.0

    def move(self, p: Tensor, group: Group, state: State) -> None:
        t, second = float(state["step"]), group["betas"][1]
        first_correction, correction = self.corrections(group, state)
        longest = 2 / (1 - second) - 1
        length = longest - 2 * t * second**t / correction
        step = group["lr"] / first_correction * state["exp_avg"]
        if length > self.threshold:
            step = step * self.rectification(length, longest) * math.sqrt(correction)
            step = step / (state["exp_avg_sq"].sqrt() + group["eps"])
        p.sub_(step)

    def rectification(self, length: float, longest: float) -> float:
        above = (length - 4) * (length - 2) * longest
        return math.sqrt(above / ((longest - 4) * (longest - 2) * length))
