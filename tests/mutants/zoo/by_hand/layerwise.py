"""Steps that see a whole tensor: LAMB, LARS and Muon."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from .adam import HandAdam
from .base import Group, Hand, State, shrink
from .sgd import HandSGD


class HandLAMB(HandAdam):
    """u = Adam's direction + wd w; w <- w - lr |w| / |u| u (You et al. 2020), or - lr u if a norm is 0."""

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ):
        super().__init__(params, lr, betas, eps, weight_decay, maximize=maximize)

    def decayed(self, p: Tensor, g: Tensor, group: Group, state: State) -> Tensor:
        return g

    def move(self, p: Tensor, group: Group, state: State) -> None:
        first, second = self.corrections(group, state)
        step = state["exp_avg"] / first / self.denominator(state["exp_avg_sq"], second, group)
        self.scaled(p, step, group)

    def scaled(self, p: Tensor, step: Tensor, group: Group) -> None:
        step = step + group["weight_decay"] * p
        p.sub_(group["lr"] * self.ratio(p, step) * step)

    def ratio(self, p: Tensor, step: Tensor) -> float:
        above, below = float(p.norm()), float(step.norm())
        return above / below if above > 0 and below > 0 else 1.0


class HandLARS(HandSGD):
    """g <- coefficient |w| / (|g| + wd |w| + eps) (g + wd w), then SGD's momentum (You et al. 2017)."""

    def __init__(
        self,
        params: Any,
        lr: float = 1e-1,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        trust_coefficient: float = 1e-3,
        eps: float = 1e-8,
        *,
        dampening: float = 0.0,
        nesterov: bool = False,
        maximize: bool = False,
    ):
        Hand.__init__(
            self,
            params,
            lr=lr,
            momentum=momentum,
            weight_decay=weight_decay,
            trust_coefficient=trust_coefficient,
            eps=eps,
            dampening=dampening,
            nesterov=nesterov,
            maximize=maximize,
        )

    def decayed(self, p: Tensor, g: Tensor, group: Group, state: State) -> Tensor:
        above, below = float(p.norm()), float(g.norm())
        with_decay = g + group["weight_decay"] * p
        if not above or not below:
            return with_decay
        return self.ratio(above, below, group) * with_decay

    def ratio(self, above: float, below: float, group: Group) -> float:
        return group["trust_coefficient"] * above / (below + group["weight_decay"] * above + group["eps"])


class HandMuon(Hand):
    """torch's Muon: an average of gradients, orthogonal by Newton-Schulz in bfloat16; matrices only."""

    coefficients = (3.4445, -4.775, 2.0315)

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        eps: float = 1e-7,
        ns_steps: int = 5,
    ):
        super().__init__(
            params,
            lr=lr,
            weight_decay=weight_decay,
            momentum=momentum,
            nesterov=nesterov,
            eps=eps,
            ns_steps=ns_steps,
            maximize=False,
        )
        wrong = [tuple(p.shape) for group in self.param_groups for p in group["params"] if p.dim() != 2]
        if wrong:
            raise ValueError(f"Muon takes matrices only, not the shape {wrong[0]}")

    def update(self, p: Tensor, g: Tensor, group: Group, state: State) -> None:
        step = self.orthogonal(self.direction(g, group, state), group)
        self.decay(p, group)
        p.sub_(group["lr"] * self.adjustment(p) * step.to(p.dtype))

    def direction(self, g: Tensor, group: Group, state: State) -> Tensor:
        mu = group["momentum"]
        buffer = state.setdefault("momentum_buffer", torch.zeros_like(g)).lerp_(g, 1 - mu)
        return g.lerp(buffer, mu) if group["nesterov"] else buffer

    def decay(self, p: Tensor, group: Group) -> None:
        shrink(p, group)

    def adjustment(self, p: Tensor) -> float:
        return math.sqrt(max(1.0, p.shape[0] / p.shape[1]))

    def orthogonal(self, g: Tensor, group: Group) -> Tensor:
        a, b, c = self.coefficients
        x = g.bfloat16()
        tall = x.shape[0] > x.shape[1]
        if tall:
            x = x.T
        x = self.normalised(x, group)
        for _ in range(group["ns_steps"]):
            gram = x @ x.T
            x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
        return x.T if tall else x

    def normalised(self, x: Tensor, group: Group) -> Tensor:
        return x / x.norm().clamp(min=group["eps"])
