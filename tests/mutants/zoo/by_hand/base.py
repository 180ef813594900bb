"""The loop over groups and parameters that every optimizer by hand shares."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Group = dict[str, Any]
State = dict[str, Any]


class Hand(torch.optim.Optimizer):
    """One parameter at a time: ``update(p, g, group, state)`` changes ``p`` in place."""

    def __init__(self, params: Any, **defaults: Any):
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self.update(p, self.gradient(p, group), group, self.state[p])
        return loss

    def gradient(self, p: Tensor, group: Group) -> Tensor:
        """The direction of descent: the gradient, or its negative where the loss is to grow."""
        return -p.grad if group["maximize"] else p.grad

    def update(self, p: Tensor, g: Tensor, group: Group, state: State) -> None:
        raise NotImplementedError


def shrink(p: Tensor, group: Group, rate: float | Tensor | None = None) -> None:
    """Decoupled decay: w <- (1 - lr * weight_decay) w."""
    p.mul_(1 - (group["lr"] if rate is None else rate) * group["weight_decay"])
