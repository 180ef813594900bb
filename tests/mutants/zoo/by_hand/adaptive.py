"""RMSprop, Adagrad, Adadelta and Rprop as torch writes them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .base import Group, Hand, State


class HandRMSprop(Hand):
    """v <- alpha v + (1 - alpha) g^2, less its mean's square if centered; w <- w - lr g / (sqrt(v) + eps)."""

    def __init__(
        self,
        params: Any,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        *,
        maximize: bool = False,
    ):
        super().__init__(
            params,
            lr=lr,
            alpha=alpha,
            eps=eps,
            weight_decay=weight_decay,
            momentum=momentum,
            centered=centered,
            maximize=maximize,
        )

    def update(self, p: Tensor, g: Tensor, group: Group, state: State) -> None:
        if not state:
            state |= {"step": torch.tensor(0.0, dtype=torch.float32), "square_avg": torch.zeros_like(p)}
        state["step"] += 1
        g = self.decayed(p, g, group)
        below = self.denominator(self.variance(g, group, state), group)
        self.move(p, g / below, group, state)

    def decayed(self, p: Tensor, g: Tensor, group: Group) -> Tensor:
        return g + group["weight_decay"] * p if group["weight_decay"] else g

    def variance(self, g: Tensor, group: Group, state: State) -> Tensor:
        alpha = group["alpha"]
        state["square_avg"].mul_(alpha).addcmul_(g, g, value=1 - alpha)
        if not group["centered"]:
            return state["square_avg"]
        state.setdefault("grad_avg", torch.zeros_like(g)).lerp_(g, 1 - alpha)
        return state["square_avg"] - state["grad_avg"] ** 2

    def denominator(self, v: Tensor, group: Group) -> Tensor:
        return v.sqrt() + group["eps"]

    def move(self, p: Tensor, direction: Tensor, group: Group, state: State) -> None:
        if group["momentum"]:
            buffer = state.setdefault("momentum_buffer", torch.zeros_like(p))
            direction = buffer.mul_(group["momentum"]).add_(direction)
        p.sub_(group["lr"] * direction)


class HandAdagrad(Hand):
    """s <- s + g^2; w <- w - lr / (1 + (t - 1) lr_decay) g / (sqrt(s) + eps)."""

    def __init__(
        self,
        params: Any,
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
    ):
        super().__init__(
            params,
            lr=lr,
            lr_decay=lr_decay,
            weight_decay=weight_decay,
            initial_accumulator_value=initial_accumulator_value,
            eps=eps,
            maximize=maximize,
        )

    def update(self, p: Tensor, g: Tensor, group: Group, state: State) -> None:
        if not state:
            state["step"] = torch.tensor(0.0, dtype=torch.float32)
            state["sum"] = self.start(p, group)
        state["step"] += 1
        g = self.decayed(p, g, group)
        self.accumulate(g, state)
        p.sub_(self.rate(group, state) * g / self.denominator(state["sum"], group))

    def start(self, p: Tensor, group: Group) -> Tensor:
        return torch.full_like(p, group["initial_accumulator_value"])

    def decayed(self, p: Tensor, g: Tensor, group: Group) -> Tensor:
        return g + group["weight_decay"] * p if group["weight_decay"] else g

    def accumulate(self, g: Tensor, state: State) -> None:
        state["sum"].addcmul_(g, g)

    def rate(self, group: Group, state: State) -> Any:
        return group["lr"] / (1 + (float(state["step"]) - 1) * group["lr_decay"])

    def denominator(self, s: Tensor, group: Group) -> Tensor:
        return s.sqrt() + group["eps"]


class HandAdadelta(Hand):
    """Step sqrt(D + eps) / sqrt(v + eps) g, with D the average of the steps' squares, and v that of g^2."""

    def __init__(
        self,
        params: Any,
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ):
        super().__init__(params, lr=lr, rho=rho, eps=eps, weight_decay=weight_decay, maximize=maximize)

    def update(self, p: Tensor, g: Tensor, group: Group, state: State) -> None:
        if not state:
            state["step"] = torch.tensor(0.0, dtype=torch.float32)
            state |= {"square_avg": torch.zeros_like(p), "acc_delta": torch.zeros_like(p)}
        state["step"] += 1
        g, rho, eps = g + group["weight_decay"] * p, group["rho"], group["eps"]
        state["square_avg"].mul_(rho).addcmul_(g, g, value=1 - rho)
        delta = (state["acc_delta"] + eps).sqrt() / (state["square_avg"] + eps).sqrt() * g
        self.remember(delta, group, state)
        p.sub_(group["lr"] * delta)

    def remember(self, delta: Tensor, group: Group, state: State) -> None:
        rho = group["rho"]
        state["acc_delta"].mul_(rho).addcmul_(delta, delta, value=1 - rho)


class HandRprop(Hand):
    """A step per weight that grows while the gradient keeps its sign; at a flip it shrinks and rests once."""

    def __init__(
        self,
        params: Any,
        lr: float = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50.0),
        *,
        maximize: bool = False,
    ):
        super().__init__(params, lr=lr, etas=etas, step_sizes=step_sizes, maximize=maximize)

    def update(self, p: Tensor, g: Tensor, group: Group, state: State) -> None:
        if not state:
            state |= {"step": torch.tensor(0.0, dtype=torch.float32), "prev": torch.zeros_like(p)}
            state["step_size"] = torch.full_like(p, float(group["lr"]))
        state["step"] += 1
        kept = (g * state["prev"]).sign()
        shrinking, growing = group["etas"]
        # Filled in the dtype of the weights: torch.where of two Python numbers gives the default dtype.
        factor = torch.ones_like(p).masked_fill_(kept > 0, growing).masked_fill_(kept < 0, shrinking)
        state["step_size"].mul_(factor).clamp_(*group["step_sizes"])
        g = self.after_flip(g, kept)
        p.sub_(g.sign() * state["step_size"])
        state["prev"] = g.clone()

    def after_flip(self, g: Tensor, kept: Tensor) -> Tensor:
        return torch.where(kept < 0, torch.zeros_like(g), g)
