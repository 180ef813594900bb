"""The SGD family as pure functions of tensors: what the fleet steps with, in torch's own order of operations."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor


class StepHyper(NamedTuple):
    """Hyper-parameters of one step, broadcastable to the weights; data, never Python branches."""

    lr: Tensor
    weight_decay: Tensor
    momentum: Tensor
    dampening: Tensor
    """0 at the first step: torch starts the buffer at the whole gradient."""


UpdateRule = Callable[[Tensor, Tensor, Tensor | None, StepHyper], tuple[Tensor, Tensor | None]]
"""(weights, gradient, buffer, hyper) -> (new weights, new buffer); the buffer is ``None`` for plain SGD."""


def plain(weights: Tensor, gradient: Tensor, buffer: Tensor | None, h: StepHyper) -> tuple[Tensor, None]:
    """w' = w - lr (g + wd w)."""
    return weights - h.lr * (gradient + h.weight_decay * weights), None


def heavy_ball(
    weights: Tensor, gradient: Tensor, buffer: Tensor | None, h: StepHyper
) -> tuple[Tensor, Tensor]:
    """b' = mu b + (1 - dampening) (g + wd w);  w' = w - lr b'."""
    assert buffer is not None
    direction = gradient + h.weight_decay * weights
    buffer = h.momentum * buffer + (1.0 - h.dampening) * direction
    return weights - h.lr * buffer, buffer


def nesterov(weights: Tensor, gradient: Tensor, buffer: Tensor | None, h: StepHyper) -> tuple[Tensor, Tensor]:
    """b' = mu b + (1 - dampening) (g + wd w);  w' = w - lr (g + wd w + mu b')."""
    assert buffer is not None
    direction = gradient + h.weight_decay * weights
    buffer = h.momentum * buffer + (1.0 - h.dampening) * direction
    return weights - h.lr * (direction + h.momentum * buffer), buffer


RULES: dict[str, UpdateRule] = {"sgd": plain, "heavy-ball": heavy_ball, "nesterov": nesterov}
