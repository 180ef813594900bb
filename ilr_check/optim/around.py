"""Wrappers around an optimizer: gradient clipping, and sharpness-aware minimisation (SAM)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ilr_check.optim.hyper import HyperParams

Factory = Callable[[Sequence[nn.Parameter], HyperParams], torch.optim.Optimizer]
Clip = Callable[[Sequence[Tensor], float], Any]
"""(parameters, max_norm): scales their gradients down in place."""


def total_norm(tensors: Iterable[Tensor]) -> Tensor:
    """Return the Euclidean norm of all entries together."""
    return torch.stack([tensor.square().sum() for tensor in tensors]).sum().sqrt()


def clip_exactly(parameters: Sequence[Tensor], max_norm: float) -> None:
    """Replace g by g min(1, max_norm / ||g||) in place, where ||g|| is the norm of all gradients together.

    There is no eps: ``torch.nn.utils.clip_grad_norm_`` adds 1e-6 to the norm. So powers of two in
    ``max_norm`` and in the gradients commute with it.
    """
    gradients = [p.grad for p in parameters if p.grad is not None]
    norm = total_norm(gradients)
    if norm > max_norm:
        for gradient in gradients:
            gradient.mul_(max_norm / norm)


def clipped(optimizer: Factory, max_norm: float, clip: Clip = clip_exactly) -> Factory:
    """Return a factory of the same optimizer with its gradients clipped before each step."""

    def factory(parameters: Sequence[nn.Parameter], hyper: HyperParams) -> torch.optim.Optimizer:
        built = optimizer(parameters, hyper)

        def shorten(*_: Any) -> None:
            with torch.no_grad():
                clip(parameters, max_norm)

        built.register_step_pre_hook(shorten)
        return built

    return factory


class SharpnessAware(torch.optim.Optimizer):
    """SAM (Foret et al. 2021): the gradient is taken at w + rho g / ||g||, and the step starts from w.

    ``step`` expects that the gradient at w is in place, and a closure that evaluates it anew.
    """

    def __init__(self, base: torch.optim.Optimizer, rho: float) -> None:
        if not rho >= 0:
            raise ValueError(f"rho={rho!r}: must not be negative")
        super().__init__(base.param_groups, {})
        self.base, self.rho = base, rho
        self.param_groups, self.state = base.param_groups, base.state

    def step(self, closure: Callable[[], Any]) -> Any:  # type: ignore[override]
        """Move by rho along the gradient, take the gradient there, restore exactly the same weights, and
        step."""
        parameters = [p for g in self.param_groups for p in g["params"] if p.grad is not None]
        kept = [p.detach().clone() for p in parameters]
        with torch.no_grad():
            norm = total_norm(p.grad for p in parameters)
            if norm > 0:
                for p in parameters:
                    p.add_(p.grad * (self.rho / norm))
        loss = closure()
        with torch.no_grad():
            for p, weights in zip(parameters, kept, strict=True):
                p.copy_(weights)
        self.base.step()
        return loss


def sharpness_aware(optimizer: Factory, rho: float) -> Factory:
    """Return a factory of the optimizer with SAM around it."""
    return lambda parameters, hyper: SharpnessAware(optimizer(parameters, hyper), rho)
