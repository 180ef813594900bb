"""Update rules with planted defects, for the fleet that the statistical claims train with."""

from __future__ import annotations

import torch
from torch import Tensor

from ilr_check.optim.sgd import StepHyper, plain

FIRST_LR = 0.5
"""The LR before the drop, which a scheduler that does not reach the optimizer leaves in force."""

FIRST_DECAY = 0.064
"""The weight decay before the drop, which an optimizer that has cached it keeps."""

Stepped = tuple[Tensor, None]


def decay_twice(w: Tensor, g: Tensor, buffer: Tensor | None, h: StepHyper) -> Stepped:
    return plain(w * (1.0 - h.lr * h.weight_decay), g, buffer, h)


def decay_halved(w: Tensor, g: Tensor, buffer: Tensor | None, h: StepHyper) -> Stepped:
    return plain(w, g, buffer, h._replace(weight_decay=0.5 * h.weight_decay))


def root_of_the_factor(w: Tensor, g: Tensor, buffer: Tensor | None, h: StepHyper) -> Stepped:
    return (1.0 - h.lr * h.weight_decay).sqrt() * w - h.lr * g, None


def decay_after_the_step(w: Tensor, g: Tensor, buffer: Tensor | None, h: StepHyper) -> Stepped:
    return (1.0 - h.lr * h.weight_decay) * (w - h.lr * g), None


def lr_not_dropped(w: Tensor, g: Tensor, buffer: Tensor | None, h: StepHyper) -> Stepped:
    return plain(w, g, buffer, h._replace(lr=torch.full_like(h.lr, FIRST_LR)))


def decay_keeps_the_first_lr(w: Tensor, g: Tensor, buffer: Tensor | None, h: StepHyper) -> Stepped:
    return (1.0 - FIRST_LR * h.weight_decay) * w - h.lr * g, None


def decay_not_dropped(w: Tensor, g: Tensor, buffer: Tensor | None, h: StepHyper) -> Stepped:
    return plain(w, g, buffer, h._replace(weight_decay=torch.full_like(h.weight_decay, FIRST_DECAY)))


def decay_without_lr(w: Tensor, g: Tensor, buffer: Tensor | None, h: StepHyper) -> Stepped:
    """Decays by weight_decay without lr, scaled so that it is right at the first learning rate."""
    return (1.0 - FIRST_LR * h.weight_decay) * w - h.lr * g, None


def decay_left_out(w: Tensor, g: Tensor, buffer: Tensor | None, h: StepHyper) -> Stepped:
    return w - h.lr * g, None


def decay_squared(w: Tensor, g: Tensor, buffer: Tensor | None, h: StepHyper) -> Stepped:
    """lr^2 wd^2 for lr wd, scaled to agree at lambda_e = 0.05."""
    return (1.0 - (h.lr * h.weight_decay) ** 2 / 0.05) * w - h.lr * g, None


def decay_written_first(w: Tensor, g: Tensor, buffer: Tensor | None, h: StepHyper) -> Stepped:
    """Correct, with another order of operations."""
    return (1.0 - h.lr * h.weight_decay) * w - h.lr * g, None


def rate_distributed(w: Tensor, g: Tensor, buffer: Tensor | None, h: StepHyper) -> Stepped:
    """Correct, with two products and two differences."""
    return (w - h.lr * g) - (h.lr * h.weight_decay) * w, None
