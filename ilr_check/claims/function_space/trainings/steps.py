"""SGD steps of many runs at once, for trainings that have their own loop instead of a fleet."""

from __future__ import annotations

from torch import Tensor

from ilr_check.optim.sgd import StepHyper, plain
from ilr_check.train.world import Visit

Weights = dict[str, Tensor]
"""Tensors by name; the first axis is the lane."""


ASKED = frozenset({"lr", "gradient", "update"})
"""The hooks of a world that a step asks."""


class Steps:
    """The SGD steps of one training of ``count`` lanes; ``visit`` is its world, where it has one."""

    def __init__(self, visit: Visit | None, count: int) -> None:
        self._visit, self._count, self._taken = visit, count, 0

    def keep(self, count: int) -> None:
        """Go on with the first ``count`` lanes alone."""
        if count < self._count and self._visit:
            self._visit.keep(count)
        self._count = count

    def step(self, weights: Weights, grads: Weights, lr: Tensor, weight_decay: Tensor) -> Weights:
        """Return the weights after one step; ``weight_decay`` is one number, or one for each lane."""
        visit, t = self._visit, self._taken
        self._taken += 1
        if visit is None:
            return {name: self._plain(w, grads[name], lr, weight_decay) for name, w in weights.items()}
        stated, lr = lr, visit.lr(lr.expand(self._count).clone(), t)
        new = {}
        for name, w in weights.items():
            gradient = visit.gradient(name, grads[name], w, t)
            stepped = self._plain(w, gradient, lr, weight_decay)
            hyper = (_over(lr, w), _over(weight_decay.expand(self._count), w), w.new_zeros(()))
            new[name] = visit.update(name, w, gradient, stepped, hyper, t)
            visit.note_step(w, grads[name], new[name], _over(stated, w), _over(weight_decay, w))
        return new

    def _plain(self, w: Tensor, gradient: Tensor, lr: Tensor, weight_decay: Tensor) -> Tensor:
        zero = w.new_zeros(())
        return plain(w, gradient, None, StepHyper(_over(lr, w), _over(weight_decay, w), zero, zero))[0]


def _over(values: Tensor, w: Tensor) -> Tensor:
    """Return one number, or one for each lane, in a shape that broadcasts over ``w``."""
    return values if values.dim() == 0 else values.reshape(-1, *[1] * (w.dim() - 1))
