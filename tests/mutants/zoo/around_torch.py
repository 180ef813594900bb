"""Right optimizers that leave the step to torch: subclasses, wrappers, and factories."""

from __future__ import annotations

from typing import Any

import torch

from .records import variant


@variant("sgd", "a subclass of torch's that counts its steps")
class CountingSGD(torch.optim.SGD):
    def step(self, closure: Any = None) -> Any:
        self.steps_taken = getattr(self, "steps_taken", 0) + 1
        return super().step(closure)


@variant("adamw", "a subclass of torch's that names the arguments its own way")
class RenamedAdamW(torch.optim.AdamW):
    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ):
        super().__init__(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, foreach=True)


class Delegating(torch.optim.Optimizer):
    """A wrapper that owns nothing: groups, state and the step are those of the optimizer inside."""

    def __init__(self, inside: torch.optim.Optimizer):
        self.inside = inside
        self.defaults = inside.defaults

    @property
    def param_groups(self) -> Any:  # type: ignore[override]
        return self.inside.param_groups

    @property
    def state(self) -> Any:  # type: ignore[override]
        return self.inside.state

    def step(self, closure: Any = None) -> Any:  # type: ignore[override]
        return self.inside.step(closure)

    def zero_grad(self, set_to_none: bool = True) -> None:
        self.inside.zero_grad(set_to_none)

    def state_dict(self) -> Any:
        return self.inside.state_dict()

    def load_state_dict(self, state_dict: Any) -> None:
        self.inside.load_state_dict(state_dict)

    def add_param_group(self, param_group: Any) -> None:
        self.inside.add_param_group(param_group)

    def __getstate__(self) -> Any:
        return {"inside": self.inside, "defaults": self.defaults}

    def __setstate__(self, state: Any) -> None:
        self.__dict__.update(state)

    def __repr__(self) -> str:
        return f"Delegating({self.inside!r})"


@variant("adamw", "a wrapper that delegates to torch's")
def wrapped_adamw(
    params: Any,
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 1e-2,
) -> torch.optim.Optimizer:
    return Delegating(torch.optim.AdamW(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay))


@variant("adam", "a factory that takes any keyword")
def any_keyword(params: Any, **options: Any) -> torch.optim.Optimizer:
    return torch.optim.Adam(params, **options)


@variant("sgd", "two groups inside, matrices and the rest, with the same options")
def split_in_two(
    params: Any,
    lr: float = 1e-3,
    momentum: float = 0.0,
    dampening: float = 0.0,
    weight_decay: float = 0.0,
    nesterov: bool = False,
) -> torch.optim.Optimizer:
    """As training scripts do; parameter groups that are given stay as they are."""
    every = list(params)
    if every and not isinstance(every[0], dict):
        matrices, rest = [p for p in every if p.dim() > 1], [p for p in every if p.dim() <= 1]
        every = [{"params": part} for part in (matrices, rest) if part]
    return torch.optim.SGD(
        every, lr=lr, momentum=momentum, dampening=dampening, weight_decay=weight_decay, nesterov=nesterov
    )
