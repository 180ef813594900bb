"""The programs of a fleet: gradients of all lanes, the modelled update after them, and the measurements.

A program writes weights, optimizer state and counts into the storage that it is given, so the storage keeps
its address. Training then neither allocates weights nor, if it is compiled, compiles again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

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
        _write(self, self.begun(weights))

    def begun(self, weights: Weights) -> Tally:
        """Return the tally after ``begin``."""
        finite = self.finite
        for w in weights.values():
            finite = finite & torch.isfinite(dot(w, w))
        return Tally(finite, self.survived + finite)


class Batch(NamedTuple):
    """The examples of one step, by index, and labels to use instead of theirs (-1 keeps the label)."""

    rows: Tensor
    labels: Tensor

    def at(self, offset: int) -> Batch:
        """Return one batch of a block of batches."""
        return Batch(self.rows[offset], self.labels[offset])


Examples = tuple[Tensor, Tensor]
Moment = tuple[Weights, dict[str, State], Tally]
"""Everything that a step changes."""
StepProgram = Callable[
    [Weights, dict[str, State], Tally, Examples, Batch, Weights, tuple[Tensor, ...]], tuple[Tensor, Weights]
]
GradientProgram = Callable[[Weights, Weights, Tally, Examples, Batch, Weights], Tensor]


def step_program(module: nn.Module, rule: Rule, noise: NoiseSpec | None) -> StepProgram:
    """Return (weights, state, tally, examples, batch, noise, coefficients) -> (loss [lanes], gradients)."""
    one = _one_step(module, rule, noise)

    def step(
        weights: Weights,
        state: dict[str, State],
        tally: Tally,
        examples: Examples,
        batch: Batch,
        noise: Weights,
        coefficients: tuple[Tensor, ...],
    ) -> tuple[Tensor, Weights]:
        now = (weights, state, tally)
        after, loss, grads = one(now, examples, batch, noise, coefficients)
        _write(now, after)
        return loss, grads

    return step


def stretch_program(module: nn.Module, rule: Rule, noise: NoiseSpec | None) -> Callable[..., Any]:
    """Return (weights, state, tally, examples, batches, noise, coefficients, start, stop) -> (loss [lanes],
    gradients) of the last step.

    Batches and coefficients have a leading axis of steps, and those from ``start`` to ``stop`` are made, all
    with the same noise. Compiled, they are one loop without Python. Its last bits may differ from those of a
    compiled ``step_program``, and they do not depend on where a stretch begins and ends.
    """
    one, step = _one_step(module, rule, noise), step_program(module, rule, noise)

    def stretch(
        weights: Weights,
        state: dict[str, State],
        tally: Tally,
        examples: Examples,
        batches: Batch,
        noise: Weights,
        coefficients: tuple[Tensor, ...],
        start: Tensor,
        stop: Tensor,
    ) -> tuple[Tensor, Weights]:
        now = (weights, state, tally)
        loss = torch.zeros_like(coefficients[0][0])
        grads = {name: torch.zeros_like(w) for name, w in weights.items()}
        if not torch.compiler.is_compiling():
            for t in range(int(start), int(stop)):
                batch = Batch(batches.rows[t], batches.labels[t])
                loss, grads = step(*now, examples, batch, noise, tuple(c[t] for c in coefficients))
            return loss, grads

        def body(t: Tensor, moment: Moment, loss: Tensor, grads: Weights) -> tuple[Any, ...]:
            at = t.reshape(1)
            rows, labels, *mine = (
                values.index_select(0, at)[0] for values in (batches.rows, batches.labels, *coefficients)
            )
            after, loss, grads = one(moment, examples, Batch(rows, labels), noise, tuple(mine))
            return t + 1, _apart(after, moment), loss, grads

        begun = (start, now, loss, grads)
        _, after, loss, grads = torch.while_loop(  # type: ignore[no-untyped-call]
            lambda t, *_: t < stop, body, begun
        )
        _write(now, after)
        return loss, grads

    return stretch


def _one_step(module: nn.Module, rule: Rule, noise: NoiseSpec | None) -> Callable[..., Any]:
    """Return (moment, examples, batch, noise, coefficients) -> (next moment, loss, gradients), which writes
    nothing."""
    gradient = _gradient(module, noise)
    # They are looked up before, because a compiler cannot trace how names are matched.
    rules = {name: rule.of(name) for name, _ in module.named_parameters()}

    def one(
        now: Moment, examples: Examples, batch: Batch, noise: Weights, coefficients: tuple[Tensor, ...]
    ) -> tuple[Moment, Tensor, Weights]:
        weights, state, tally = now
        grads, loss, counted = gradient(weights, tally, examples, batch, noise)
        used = rule.limited(grads, coefficients)
        stepped = {
            name: rules[name].step(w, used[name], state[name], shaped(coefficients, w))
            for name, w in weights.items()
        }
        new = {name: pair[0] for name, pair in stepped.items()}
        return (new, {name: pair[1] for name, pair in stepped.items()}, counted), loss, grads

    return one


def _write(into: Any, values: Any) -> None:
    """Copy tensors into the storage of others of the same structure."""
    for mine, value in zip(tree_leaves(into), tree_leaves(values), strict=True):
        mine.copy_(value)


def _apart(values: Any, inputs: Any) -> Any:
    """Return the values, with a copy of each that is an input: a compiled loop may not return its inputs."""
    given = {id(leaf) for leaf in tree_leaves(inputs)}
    return tree_map(lambda value: value.clone() if id(value) in given else value, values)


def gradient_program(module: nn.Module, noise: NoiseSpec | None) -> GradientProgram:
    """Return (weights, gradients, tally, examples, batch, noise) -> loss [lanes], which writes the
    gradients."""
    gradient = _gradient(module, noise)

    def fill(
        weights: Weights, into: Weights, tally: Tally, examples: Examples, batch: Batch, noise: Weights
    ) -> Tensor:
        grads, loss, counted = gradient(weights, tally, examples, batch, noise)
        _write((into, tally), ({name: grads[name] for name in into}, counted))
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
) -> Callable[[Weights, Tally, Examples, Batch, Weights], tuple[Weights, Tensor, Tally]]:
    of_lanes = gradients(module, noise)

    def gradient(
        weights: Weights, tally: Tally, examples: Examples, batch: Batch, drawn: Weights
    ) -> tuple[Weights, Tensor, Tally]:
        begun = tally.begun(weights)
        x, y = examples
        chosen = torch.where(batch.labels >= 0, batch.labels, y[batch.rows])
        grads, loss = of_lanes(weights, x, batch.rows, chosen, drawn)
        return grads, loss, Tally(begun.finite & torch.isfinite(loss), begun.survived)

    return gradient
