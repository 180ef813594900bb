"""Lion as a plain ``torch.optim.Optimizer``. torch does not have it, and the laws of sign updates need
one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor


class Lion(torch.optim.Optimizer):
    """u = sign(b1 m + (1 - b1) g); w' = (1 - lr wd) w - lr u; m' = b2 m + (1 - b2) g (Chen et al. 2023).

    With ``decoupled_weight_decay=False`` the decay is added to the gradient instead, as in torch's Adam.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        *,
        decoupled_weight_decay: bool = True,
    ) -> None:
        if not lr >= 0:
            raise ValueError(f"lr={lr!r}: must not be negative")
        if not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"betas={betas!r}: both must be within [0, 1)")
        defaults = {
            "lr": lr,
            "betas": betas,
            "weight_decay": weight_decay,
            "decoupled_weight_decay": decoupled_weight_decay,
        }
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Take one step. A closure is called first, with gradients enabled, and its value is returned."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self._move(p, group)
        return loss

    def _move(self, p: Tensor, group: dict[str, Any]) -> None:
        assert p.grad is not None
        direction, (b1, b2) = p.grad, group["betas"]
        if group["decoupled_weight_decay"]:
            p.mul_(1.0 - group["lr"] * group["weight_decay"])
        else:
            direction = direction.add(p, alpha=group["weight_decay"])
        state = self.state[p]
        if not state:
            state["exp_avg"] = torch.zeros_like(p)
        average = state["exp_avg"]
        p.add_(average.lerp(direction, 1.0 - b1).sign_(), alpha=-group["lr"])
        average.lerp_(direction, 1.0 - b2)
