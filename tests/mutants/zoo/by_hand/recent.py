"""Optimizers of 2021 and later, each from the formula of its paper: one parameter at a time."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from .base import Group, Hand, State, shrink


class HandAdan(Hand):
    """Xie et al. 2022, algorithm 1, with bias corrections: w <- (w - lr u) / (1 + lr wd)."""

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float, float] = (0.98, 0.92, 0.99),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        no_prox: bool = False,
        *,
        maximize: bool = False,
    ):
        options = {"eps": eps, "weight_decay": weight_decay, "no_prox": no_prox, "maximize": maximize}
        super().__init__(params, lr=lr, betas=betas, **options)

    def update(self, p: Tensor, g: Tensor, group: Group, state: State) -> None:
        if not state:
            state |= {"step": 0, "before": g.clone()}
            state |= {key: torch.zeros_like(p) for key in ("exp_avg", "exp_avg_diff", "exp_avg_sq")}
        state["step"] += 1
        change = g - state["before"]
        state["before"] = g.clone()
        first, second, third = self.shares(group)
        state["exp_avg"].lerp_(g, first)
        state["exp_avg_diff"].lerp_(change, second)
        state["exp_avg_sq"].lerp_(self.squared(g, change, 1 - second), third)
        below = (state["exp_avg_sq"] / self.correction(third, state)).sqrt() + group["eps"]
        u = state["exp_avg"] / self.correction(first, state)
        u = u + self.by_differences(1 - second) * state["exp_avg_diff"] / self.correction(second, state)
        if group["no_prox"]:
            shrink(p, group)
        p.sub_(group["lr"] * u / below)
        if not group["no_prox"]:
            p.div_(1 + group["lr"] * group["weight_decay"])

    def shares(self, group: Group) -> tuple[float, float, float]:
        first, second, third = group["betas"]
        return 1 - first, 1 - second, 1 - third

    def squared(self, g: Tensor, change: Tensor, weight: float) -> Tensor:
        return (g + weight * change) ** 2

    def by_differences(self, weight: float) -> float:
        return weight

    def correction(self, share: float, state: State) -> float:
        return float(1 - (1 - share) ** state["step"])


class HandAdEMAMix(Hand):
    """Pagliardini et al. 2024, algorithm 1: u = (m^ + alpha m_slow) / (sqrt(v^) + eps) + wd w."""

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float, float] = (0.9, 0.999, 0.9999),
        alpha: float = 5.0,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ):
        options = {"alpha": alpha, "eps": eps, "weight_decay": weight_decay, "maximize": maximize}
        super().__init__(params, lr=lr, betas=betas, **options)

    def update(self, p: Tensor, g: Tensor, group: Group, state: State) -> None:
        if not state:
            state["step"] = 0
            state |= {key: torch.zeros_like(p) for key in ("fast", "slow", "squares")}
        state["step"] += 1
        first, second, third = group["betas"]
        state["fast"].mul_(first).add_(g, alpha=1 - first)
        state["slow"].mul_(third).add_(g, alpha=1 - third)
        state["squares"].mul_(second).addcmul_(g, g, value=1 - second)
        below = (state["squares"] / (1 - second ** state["step"])).sqrt() + group["eps"]
        u = self.mixed(state["fast"] / (1 - first ** state["step"]), state, group) / below
        p.sub_(group["lr"] * (u + group["weight_decay"] * p))

    def mixed(self, fast: Tensor, state: State, group: Group) -> Tensor:
        return fast + group["alpha"] * state["slow"]


class HandADOPT(Hand):
    """Taniguchi et al. 2024, algorithm 2: divide by the old second moment, clip at t^(1/4), then average."""

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.9999),
        eps: float = 1e-6,
        clip_exp: float | None = 0.25,
        weight_decay: float = 0.0,
        decouple: bool = False,
        *,
        maximize: bool = False,
    ):
        options = {"weight_decay": weight_decay, "decouple": decouple, "maximize": maximize}
        super().__init__(params, lr=lr, betas=betas, eps=eps, clip_exp=clip_exp, **options)

    def update(self, p: Tensor, g: Tensor, group: Group, state: State) -> None:
        if not group["decouple"]:
            g = g + group["weight_decay"] * p
        if not state:
            state |= {"step": 1, "exp_avg": torch.zeros_like(p), "exp_avg_sq": g * g}
            return
        if group["decouple"]:
            shrink(p, group)
        first, second = group["betas"]
        scaled = g / self.denominator(g, group, state)
        if group["clip_exp"] is not None:
            bound = float(state["step"] ** group["clip_exp"])
            scaled = scaled.clamp(-bound, bound)
        state["exp_avg"].mul_(first).add_(scaled, alpha=1 - first)
        p.sub_(group["lr"] * state["exp_avg"])
        state["exp_avg_sq"].mul_(second).addcmul_(g, g, value=1 - second)
        state["step"] += 1

    def denominator(self, g: Tensor, group: Group, state: State) -> Tensor:
        return state["exp_avg_sq"].sqrt().clamp(min=group["eps"])


class HandMADGRAD(Hand):
    """Defazio, Jelassi 2021, algorithm 1, with the authors' lr + eps."""

    def __init__(
        self,
        params: Any,
        lr: float = 1e-2,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        eps: float = 1e-6,
        *,
        maximize: bool = False,
    ):
        options = {"weight_decay": weight_decay, "eps": eps, "maximize": maximize}
        super().__init__(params, lr=lr, momentum=momentum, **options)

    def update(self, p: Tensor, g: Tensor, group: Group, state: State) -> None:
        if not state:
            state |= {"step": 0, "start": p.clone()}
            state |= {"sum": torch.zeros_like(p), "sum_sq": torch.zeros_like(p)}
        state["step"] += 1
        g = g + group["weight_decay"] * p
        weight = self.weight(group, state)
        state["sum"].add_(g, alpha=weight)
        state["sum_sq"].addcmul_(g, g, value=weight)
        z = state["start"] - state["sum"] / (self.root(state["sum_sq"]) + group["eps"])
        p.copy_(self.averaged(p, z, group["momentum"]))

    def weight(self, group: Group, state: State) -> float:
        rate = group["lr"] + group["eps"] if group["lr"] else 0.0
        return float(rate) * math.sqrt(state["step"])

    def root(self, v: Tensor) -> Tensor:
        return v.pow(1 / 3)

    def averaged(self, p: Tensor, z: Tensor, momentum: float) -> Tensor:
        return momentum * p + (1 - momentum) * z


class Moments(Hand):
    """Adam's direction m^ / (sqrt(v^) + eps), which ``turned`` changes, and decay by 1 - lr wd before it."""

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ):
        options = {"eps": eps, "weight_decay": weight_decay, "maximize": maximize}
        super().__init__(params, lr=lr, betas=betas, **options)

    def update(self, p: Tensor, g: Tensor, group: Group, state: State) -> None:
        if not state:
            state |= {"step": 0, "exp_avg": torch.zeros_like(p), "exp_avg_sq": torch.zeros_like(p)}
        state["step"] += 1
        first, second = group["betas"]
        state["exp_avg"].lerp_(g, 1 - first)
        state["exp_avg_sq"].lerp_(g * g, 1 - second)
        below = (state["exp_avg_sq"] / (1 - second ** state["step"])).sqrt() + group["eps"]
        u = state["exp_avg"] / (1 - first ** state["step"]) / below
        shrink(p, group)
        p.sub_(group["lr"] * self.turned(u, g))

    def turned(self, u: Tensor, g: Tensor) -> Tensor:
        raise NotImplementedError


class HandGrams(Moments):
    """Cao et al. 2024: the size of Adam's step with the sign of the gradient."""

    def turned(self, u: Tensor, g: Tensor) -> Tensor:
        return u.abs() * g.sign()


def masked(u: Tensor, g: Tensor) -> Tensor:
    """Liang et al. 2024: entries against the gradient stand still; the rest grows by n / (k + 1)."""
    mask = (u * g > 0).to(u.dtype)
    return u * mask * (mask.numel() / (mask.sum() + 1))


class HandCautiousAdamW(Moments):
    def turned(self, u: Tensor, g: Tensor) -> Tensor:
        return masked(u, g)


class HandCautiousLion(Hand):
    def __init__(
        self,
        params: Any,
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ):
        super().__init__(params, lr=lr, betas=betas, weight_decay=weight_decay, maximize=maximize)

    def update(self, p: Tensor, g: Tensor, group: Group, state: State) -> None:
        m = state.setdefault("exp_avg", torch.zeros_like(p))
        first, second = group["betas"]
        shrink(p, group)
        p.sub_(group["lr"] * self.turned((first * m + (1 - first) * g).sign(), g))
        m.mul_(second).add_(g, alpha=1 - second)

    def turned(self, u: Tensor, g: Tensor) -> Tensor:
        return masked(u, g)
