"""SGD as torch writes it, and SGDW: the same with decoupled decay (Loshchilov and Hutter, Algorithm 1)."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from .base import Group, Hand, State, shrink


class HandSGD(Hand):
    """g <- g + wd w; b <- mu b + (1 - dampening) g, at first g; w <- w - lr b, Nesterov: lr (g + mu b)."""

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ):
        super().__init__(
            params,
            lr=lr,
            momentum=momentum,
            dampening=dampening,
            weight_decay=weight_decay,
            nesterov=nesterov,
            maximize=maximize,
        )

    def update(self, p: Tensor, g: Tensor, group: Group, state: State) -> None:
        self.move(p, self.direction(self.decayed(p, g, group, state), group, state), group, state)

    def decayed(self, p: Tensor, g: Tensor, group: Group, state: State) -> Tensor:
        return g + group["weight_decay"] * p if group["weight_decay"] else g

    def direction(self, g: Tensor, group: Group, state: State) -> Tensor:
        mu = group["momentum"]
        if not mu:
            return g
        buffer = self.buffer(g, group, state)
        return g + mu * buffer if group["nesterov"] else buffer

    def buffer(self, g: Tensor, group: Group, state: State) -> Tensor:
        if state.get("momentum_buffer") is None:
            state["momentum_buffer"] = g.clone()
        else:
            state["momentum_buffer"].mul_(group["momentum"]).add_(g, alpha=1 - group["dampening"])
        return state["momentum_buffer"]

    def move(self, p: Tensor, direction: Tensor, group: Group, state: State) -> None:
        p.sub_(group["lr"] * direction)


class HandSGDW(HandSGD):
    """w <- (1 - lr wd) w before SGD's step, which sees no decay."""

    def decayed(self, p: Tensor, g: Tensor, group: Group, state: State) -> Tensor:
        shrink(p, group)
        return g
