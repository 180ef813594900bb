"""Lion (Chen et al. 2023, Algorithm 2) and sign descent with momentum (Bernstein et al. 2018, Signum)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .base import Group, Hand, State, shrink


class HandLion(Hand):
    """w <- (1 - lr wd) w - lr sign(beta1 m + (1 - beta1) g); then m <- beta2 m + (1 - beta2) g."""

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
        if not state:
            state["exp_avg"] = torch.zeros_like(p)
        g = self.decayed(p, g, group)
        p.sub_(group["lr"] * self.sign(self.looked_ahead(g, group, state)))
        self.remember(g, group, state)

    def decayed(self, p: Tensor, g: Tensor, group: Group) -> Tensor:
        shrink(p, group)
        return g

    def sign(self, direction: Tensor) -> Tensor:
        return direction.sign()

    def looked_ahead(self, g: Tensor, group: Group, state: State) -> Tensor:
        first, _ = group["betas"]
        return first * state["exp_avg"] + (1 - first) * g

    def remember(self, g: Tensor, group: Group, state: State) -> None:
        state["exp_avg"].lerp_(g, 1 - group["betas"][1])


class HandSignSGD(Hand):
    """m <- mu m + (1 - mu) g; w <- (1 - lr wd) w - lr sign(m)."""

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ):
        super().__init__(params, lr=lr, momentum=momentum, weight_decay=weight_decay, maximize=maximize)

    def update(self, p: Tensor, g: Tensor, group: Group, state: State) -> None:
        self.decay(p, group)
        p.sub_(group["lr"] * self.direction(g, group, state))

    def decay(self, p: Tensor, group: Group) -> None:
        shrink(p, group)

    def direction(self, g: Tensor, group: Group, state: State) -> Tensor:
        mu = group["momentum"]
        if mu:
            buffer = state.setdefault("momentum_buffer", torch.zeros_like(g))
            g = buffer.mul_(mu).add_(g, alpha=1 - mu)
        return g.sign()
