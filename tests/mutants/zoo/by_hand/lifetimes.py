"""Adam, AdamW and SGD with what a long training needs: a scaler, wide state, flags for older state dicts."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .adam import HandAdam, HandAdamW
from .base import Group, Hand, State
from .narrow import NARROW, load_as_saved
from .sgd import HandSGD


class ScaledAdam(HandAdam):
    """Adam that divides by ``grad_scale`` itself, as fused optimizers do under ``torch.amp.GradScaler``.

    The scaler sets ``grad_scale`` and ``found_inf`` on the optimizer before a step and deletes them after it.
    """

    _step_supports_amp_scaling = True

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        if self.overflown():
            return None
        return super().step(closure)

    def overflown(self) -> bool:
        found = getattr(self, "found_inf", None)
        return found is not None and bool(found)

    def gradient(self, p: Tensor, group: Group) -> Tensor:
        g = super().gradient(p, group)
        scale = self.scale()
        return g if scale is None else g / scale.to(g.dtype)

    def scale(self) -> Tensor | None:
        return getattr(self, "grad_scale", None)


class WideStateAdamW(HandAdamW):
    """AdamW whose moments are float32 for narrow weights, and stay so when a state dict is loaded."""

    def start(self, p: Tensor, group: Group, state: State) -> None:
        super().start(p.float() if p.dtype in NARROW else p, group, state)

    def update(self, p: Tensor, g: Tensor, group: Group, state: State) -> None:
        if p.dtype not in NARROW:
            super().update(p, g, group, state)
            return
        if not state:
            self.start(p, group, state)
        own = {key: value if key == "step" else value.float() for key, value in state.items()}
        wide = p.float()
        super().update(wide, g.float(), group, own)
        for key, value in own.items():
            state[key] = value if key == "step" else value.to(state[key].dtype)
        p.copy_(wide)

    def load_state_dict(self, state_dict: Any) -> None:
        load_as_saved(self, state_dict)


class FlaggedAdamW(HandAdam):
    """AdamW as Adam with a flag in each group; state dicts from before the flag load as AdamW."""

    fallback = True

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ):
        Hand.__init__(
            self,
            params,
            lr=lr,
            betas=betas,
            eps=eps,
            weight_decay=weight_decay,
            amsgrad=False,
            maximize=False,
            decoupled_decay=True,
        )

    def __setstate__(self, state: Any) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            group.setdefault("decoupled_decay", self.fallback)

    def decayed(self, p: Tensor, g: Tensor, group: Group, state: State) -> Tensor:
        if group["decoupled_decay"]:
            p.mul_(1 - group["lr"] * group["weight_decay"])
            return g
        return super().decayed(p, g, group, state)


class RatioSGD(HandSGD):
    """SGD whose buffer holds lr times the gradients, and follows a change of lr by the ratio of both."""

    def update(self, p: Tensor, g: Tensor, group: Group, state: State) -> None:
        g = self.decayed(p, g, group, state)
        rate, mu = float(group["lr"]), group["momentum"]
        if not mu:
            p.sub_(rate * g)
            return
        if "raw" not in state:
            state["raw"] = g.clone()
        else:
            state["raw"].mul_(mu).add_(g, alpha=1 - group["dampening"])
        p.sub_(rate * (g + mu * state["raw"] if group["nesterov"] else state["raw"]))
