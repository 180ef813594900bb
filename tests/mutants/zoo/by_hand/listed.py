"""AdamW and SGD with a foreach path of their own, written as companies write them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .adam import HandAdamW
from .base import Group, Hand, State
from .sgd import HandSGD


class Listed(Hand):
    """Groups whose ``foreach`` is set step all tensors of one dtype by one call; the others loop."""

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            taken = [p for p in group["params"] if p.grad is not None]
            if not group["foreach"]:
                for p in taken:
                    self.update(p, self.gradient(p, group), group, self.state[p])
                continue
            for alike in self.sorted_by_dtype(taken):
                self.step_list(alike, [self.gradient(p, group) for p in alike], group)
        return loss

    def sorted_by_dtype(self, taken: list[Tensor]) -> list[list[Tensor]]:
        return [[p for p in taken if p.dtype == dtype] for dtype in dict.fromkeys(p.dtype for p in taken)]

    def step_list(self, taken: list[Tensor], gradients: list[Tensor], group: Group) -> None:
        raise NotImplementedError


class ListedAdamW(Listed, HandAdamW):
    """AdamW; the list path has a decay, the moments and one step size for each tensor."""

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
    ):
        Hand.__init__(
            self,
            params,
            lr=lr,
            betas=betas,
            eps=eps,
            weight_decay=weight_decay,
            amsgrad=False,
            maximize=maximize,
            foreach=foreach,
        )

    def step_list(self, taken: list[Tensor], gradients: list[Tensor], group: Group) -> None:
        states = self.states_of(taken, group)
        for state in states:
            state["step"] += 1
        means = [state["exp_avg"] for state in states]
        squares = [state["exp_avg_sq"] for state in states]
        first, second = group["betas"]
        self.decay_list(taken, group)
        torch._foreach_lerp_(means, gradients, 1 - first)
        torch._foreach_mul_(squares, second)
        torch._foreach_addcmul_(squares, gradients, gradients, 1 - second)
        corrections = self.corrections_list(states, group)
        below = torch._foreach_sqrt(squares)
        torch._foreach_div_(below, [c**0.5 for _, c in corrections])
        torch._foreach_add_(below, group["eps"])
        torch._foreach_addcdiv_(taken, means, below, [-float(group["lr"]) / c for c, _ in corrections])

    def states_of(self, taken: list[Tensor], group: Group) -> list[State]:
        for p in taken:
            if not self.state[p]:
                self.start(p, group, self.state[p])
        return [self.state[p] for p in taken]

    def decay_list(self, taken: list[Tensor], group: Group) -> None:
        torch._foreach_mul_(taken, 1 - float(group["lr"]) * group["weight_decay"])

    def corrections_list(self, states: list[State], group: Group) -> list[tuple[float, float]]:
        return [self.corrections(group, state) for state in states]


class ListedSGD(Listed, HandSGD):
    """SGD; the list path keeps one buffer for each tensor."""

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
        foreach: bool | None = None,
    ):
        Hand.__init__(
            self,
            params,
            lr=lr,
            momentum=momentum,
            dampening=dampening,
            weight_decay=weight_decay,
            nesterov=nesterov,
            maximize=maximize,
            foreach=foreach,
        )

    def step_list(self, taken: list[Tensor], gradients: list[Tensor], group: Group) -> None:
        decayed = [self.decayed(p, g, group, self.state[p]) for p, g in zip(taken, gradients, strict=True)]
        moves = self.directions(taken, decayed, group)
        torch._foreach_add_(taken, moves, alpha=-float(group["lr"]))

    def directions(self, taken: list[Tensor], gradients: list[Tensor], group: Group) -> list[Tensor]:
        return [self.direction(g, group, self.state[p]) for p, g in zip(taken, gradients, strict=True)]
