"""What a fleet leaves behind: a few numbers per run, tensor and recorded step."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Trace:
    """Measurements of a fleet, on the host, in float64.

    Shapes: S recorded steps, R runs, P parameter tensors (``names``). Everything at index s is taken at the
    step ``steps[s]``: ``norm2`` and ``grad2`` before the update, ``next_norm2`` and ``inner`` = <w, w'> after
    it. ``lr`` and ``weight_decay`` [S, R] are what that step used; ``loss`` [S, R] is of its minibatch.
    ``first_bad`` [R] is the first step with a loss that is not finite, or -1. ``final`` are the weights after
    the last step, on the training device, stacked over runs.
    """

    names: tuple[str, ...]
    steps: NDArray[np.int64]
    norm2: Array
    grad2: Array
    next_norm2: Array
    inner: Array
    loss: Array
    lr: Array
    weight_decay: Array
    first_bad: NDArray[np.int64]
    final: dict[str, Tensor]
    run_steps: int

    def group(self, names: tuple[str, ...]) -> GroupTrace:
        """The same of one invariant group: tensors of a group add up."""
        columns = [self.names.index(name) for name in names]

        def total(values: Array) -> Array:
            return np.asarray(values[..., columns].sum(axis=-1))

        return GroupTrace(
            names=names,
            norm2=total(self.norm2),
            grad2=total(self.grad2),
            next_norm2=total(self.next_norm2),
            inner=total(self.inner),
            lr=self.lr,
            weight_decay=self.weight_decay,
        )

    def runs(self, keep: slice | NDArray[np.intp]) -> Trace:
        """The trace of some of the runs."""
        return replace(
            self,
            norm2=self.norm2[:, keep],
            grad2=self.grad2[:, keep],
            next_norm2=self.next_norm2[:, keep],
            inner=self.inner[:, keep],
            loss=self.loss[:, keep],
            lr=self.lr[:, keep],
            weight_decay=self.weight_decay[:, keep],
            first_bad=self.first_bad[keep],
            final={name: value[keep] for name, value in self.final.items()},
        )


@dataclass(frozen=True, eq=False)
class GroupTrace:
    """Norm dynamics of one invariant group; all arrays [S, R]."""

    names: tuple[str, ...]
    norm2: Array
    grad2: Array
    next_norm2: Array
    inner: Array
    lr: Array
    weight_decay: Array

    @property
    def unit_grad2(self) -> Array:
        """Squared gradient on the unit sphere, ||g||^2 r^2."""
        return self.grad2 * self.norm2

    @property
    def effective_lr(self) -> Array:
        """lr / ||w||^2."""
        return self.lr / self.norm2

    @property
    def cosine(self) -> Array:
        """cos of the rotation made by the step."""
        return self.inner / np.sqrt(self.norm2 * self.next_norm2)
