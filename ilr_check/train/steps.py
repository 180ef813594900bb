"""The programs of a fleet: gradients of all lanes, the modelled update after them, and the measurements.

A program writes weights, optimizer state and counts into the storage that it is given, so the storage keeps
its address. Training then neither allocates weights nor, if it is compiled, compiles again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ilr_check.data import NoiseSpec
from ilr_check.optim.rules import Rule, State
from ilr_check.train.noise import Weights, dot, gradients


class Tally(NamedTuple):
    """Which lanes are still finite, and the number of steps after which each was finite last; both [lanes].

    ``survived`` starts at -1. A step counts once its new weights are seen to be finite, which happens when
    the next step begins.
    """

    finite: Tensor
    survived: Tensor

    @classmethod
    def new(cls, lanes: int, device: str) -> Tally:
        """Return the tally before the first step."""
        return cls(
            torch.ones(lanes, dtype=torch.bool, device=device),
            torch.full((lanes,), -1, dtype=torch.int64, device=device),
        )

    def begin(self, weights: Weights) -> None:
        """Count the step that left these weights. It checks squared norms, because a norm layer squares
        weights too."""
        for w in weights.values():
            self.finite.logical_and_(torch.isfinite(dot(w, w)))
        self.survived.add_(self.finite)


class Batch(NamedTuple):
    """The examples of one step, by index, and labels to use instead of theirs (-1 keeps the label)."""

    rows: Tensor
    labels: Tensor


Examples = tuple[Tensor, Tensor]
StepProgram = Callable[
    [Weights, dict[str, State], Tally, Examples, Batch, Weights, tuple[Tensor, ...]], tuple[Tensor, Weights]
]
GradientProgram = Callable[[Weights, Weights, Tally, Examples, Batch, Weights], Tensor]


def step_program(module: nn.Module, rule: Rule, noise: NoiseSpec | None) -> StepProgram:
    """Return (weights, state, tally, examples, batch, noise, coefficients) -> (loss [lanes], gradients)."""
    gradient = _gradient(module, noise)
    # They are looked up before, because a compiler cannot trace how names are matched.
    rules = {name: rule.of(name) for name, _ in module.named_parameters()}

    def step(
        weights: Weights,
        state: dict[str, State],
        tally: Tally,
        examples: Examples,
        batch: Batch,
        noise: Weights,
        coefficients: tuple[Tensor, ...],
    ) -> tuple[Tensor, Weights]:
        grads, loss = gradient(weights, tally, examples, batch, noise)
        used = rule.limited(grads, coefficients)
        for name, w in weights.items():
            new, after = rules[name].step(w, used[name], state[name], shaped(coefficients, w))
            w.copy_(new)
            for slot, value in zip(state[name], after, strict=True):
                slot.copy_(value)
        return loss, grads

    return step


def gradient_program(module: nn.Module, noise: NoiseSpec | None) -> GradientProgram:
    """Return (weights, gradients, tally, examples, batch, noise) -> loss [lanes], which writes the
    gradients."""
    gradient = _gradient(module, noise)

    def fill(
        weights: Weights, into: Weights, tally: Tally, examples: Examples, batch: Batch, noise: Weights
    ) -> Tensor:
        grads, loss = gradient(weights, tally, examples, batch, noise)
        for name, g in grads.items():
            into[name].copy_(g)
        return loss

    return fill


def shaped(coefficients: tuple[Tensor, ...], w: Tensor) -> tuple[Tensor, ...]:
    """Return numbers of lanes in a shape that broadcasts to the weights [lanes, ...]."""
    return tuple(c.reshape(-1, *[1] * (w.dim() - 1)) for c in coefficients)


def measure(before: Weights, grads: Weights, after: Weights) -> tuple[Tensor, ...]:
    """Return the measurements of a step, each [lanes, tensors]; ``Trace`` describes them."""
    rows = []
    for name, w in before.items():
        g, new = grads[name], after[name]
        norm2, inner = dot(w, w), dot(w, new)
        # It is computed entry by entry, because 1 - cos^2 would lose all digits of a small rotation.
        turned = new - w * (inner / norm2).reshape(-1, *[1] * (w.dim() - 1))
        rows.append((norm2, dot(g, g), dot(new, new), inner, dot(turned, turned), dot(g, w)))
    return tuple(torch.stack(column, dim=-1) for column in zip(*rows, strict=True))


def _gradient(
    module: nn.Module, noise: NoiseSpec | None
) -> Callable[[Weights, Tally, Examples, Batch, Weights], tuple[Weights, Tensor]]:
    of_lanes = gradients(module, noise)

    def gradient(
        weights: Weights, tally: Tally, examples: Examples, batch: Batch, drawn: Weights
    ) -> tuple[Weights, Tensor]:
        tally.begin(weights)
        x, y = examples
        chosen = torch.where(batch.labels >= 0, batch.labels, y[batch.rows])
        grads, loss = of_lanes(weights, x, batch.rows, chosen, drawn)
        tally.finite.logical_and_(torch.isfinite(loss))
        return grads, loss

    return gradient
