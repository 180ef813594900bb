"""The SGD family as pure functions of tensors: what the fleet steps with, in torch's own order of operations.

``addcmul`` because ``torch.optim.SGD`` steps with ``add_(..., alpha=...)``, whose product and sum round once;
so do these, and an eager step is the optimizer's to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
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
    return _minus(weights, h.lr, _decayed(weights, gradient, h)), None


def heavy_ball(
    weights: Tensor, gradient: Tensor, buffer: Tensor | None, h: StepHyper
) -> tuple[Tensor, Tensor]:
    """b' = mu b + (1 - dampening) (g + wd w);  w' = w - lr b'."""
    assert buffer is not None
    direction = _decayed(weights, gradient, h)
    buffer = torch.addcmul(h.momentum * buffer, 1.0 - h.dampening, direction)
    return _minus(weights, h.lr, buffer), buffer


def nesterov(weights: Tensor, gradient: Tensor, buffer: Tensor | None, h: StepHyper) -> tuple[Tensor, Tensor]:
    """b' = mu b + (1 - dampening) (g + wd w);  w' = w - lr (g + wd w + mu b')."""
    assert buffer is not None
    direction = _decayed(weights, gradient, h)
    buffer = torch.addcmul(h.momentum * buffer, 1.0 - h.dampening, direction)
    return _minus(weights, h.lr, torch.addcmul(direction, h.momentum, buffer)), buffer


RULES: dict[str, UpdateRule] = {"sgd": plain, "heavy-ball": heavy_ball, "nesterov": nesterov}


def _decayed(weights: Tensor, gradient: Tensor, h: StepHyper) -> Tensor:
    return torch.addcmul(gradient, h.weight_decay, weights)


def _minus(weights: Tensor, lr: Tensor, direction: Tensor) -> Tensor:
    return torch.addcmul(weights, lr, direction, value=-1)
