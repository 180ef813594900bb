"""The SGD family as pure functions of tensors, in torch's own order of operations. The fleet steps with them.

``torch.optim.SGD`` steps with ``add_(..., alpha=...)``, which rounds product and sum once. ``addcmul`` does
the same, so an eager step here equals that of the optimizer to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor


class StepHyper(NamedTuple):
    """Hyper-parameters of one step, broadcastable to the weights. They are data and never decide a Python
    branch."""

    lr: Tensor
    weight_decay: Tensor
    momentum: Tensor
    dampening: Tensor
    """It is 0 at the first step, because torch starts the buffer with the whole gradient."""


UpdateRule = Callable[[Tensor, Tensor, Tensor | None, StepHyper], tuple[Tensor, Tensor | None]]
"""(weights, gradient, buffer, hyper) -> (new weights, new buffer). The buffer is ``None`` for plain SGD."""


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
