"""The result of training a fleet: a few numbers per run, tensor and recorded step."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float64]

PER_TENSOR = ("norm2", "grad2", "next_norm2", "inner", "turned2", "radial")
PER_RUN = (*PER_TENSOR, "loss", "lr", "weight_decay")
"""Fields whose second axis is the runs."""


DEPARTURES = ("strayed", "leaked", "shared")
"""Fields that say how far a training departs from the stated one; their first axis is the runs."""


@dataclass(frozen=True, eq=False)
class Trace:
    """Measurements of a fleet, on the host, in float64.

    Shapes: S recorded steps, R runs, P parameter tensors (``names``). Index s belongs to the step
    ``steps[s]``. ``norm2``, ``grad2`` and ``radial`` = <g, w> are taken before the update. ``next_norm2``,
    ``inner`` = <w, w'> and ``turned2`` (the squared length of the part of w' orthogonal to w) are taken after
    it. ``lr`` and ``weight_decay`` [S, R] are those of the step, and ``loss`` [S, R] is that of its
    minibatch. ``first_bad`` [R] is the first step whose loss, or whose norm of the new weights, is not
    finite, or -1. ``final`` are the weights after the last step, on the training device, stacked over runs.
    """

    names: tuple[str, ...]
    steps: NDArray[np.int64]
    norm2: Array
    grad2: Array
    next_norm2: Array
    inner: Array
    turned2: Array
    radial: Array
    loss: Array
    lr: Array
    weight_decay: Array
    first_bad: NDArray[np.int64]
    final: dict[str, Tensor]
    run_steps: int
    strayed: Array
    """How far steps are from those of the rule, [R]; nan where none was compared. See ``Comparison``."""
    leaked: Array
    """The share along the weights of what a world adds to gradients, mean over all steps, [R, P]."""
    shared: Array
    """How much of what a world adds to gradients is that of another run, [R]. See ``Visit.shared``."""

    def group(self, names: tuple[str, ...]) -> GroupTrace:
        """Return the same measurements of one invariant group. The tensors of a group add up."""
        columns = [self.names.index(name) for name in names]
        totals = {field: getattr(self, field)[..., columns].sum(axis=-1) for field in PER_TENSOR}
        if len(columns) > 1:
            # The joint vector also rotates if its tensors grow unequally.
            growth = self.inner[..., columns] / self.norm2[..., columns]
            mean = (totals["inner"] / totals["norm2"])[..., None]
            totals["turned2"] = totals["turned2"] + ((growth - mean) ** 2 * self.norm2[..., columns]).sum(
                axis=-1
            )
        return GroupTrace(names=names, lr=self.lr, weight_decay=self.weight_decay, **totals)

    def runs(self, keep: slice | NDArray[np.intp]) -> Trace:
        """Return the trace of some of the runs."""
        return replace(
            self,
            **{field: getattr(self, field)[:, keep] for field in PER_RUN},
            first_bad=self.first_bad[keep],
            **{field: getattr(self, field)[keep] for field in DEPARTURES},
            final={name: value[keep] for name, value in self.final.items()},
        )


@dataclass(frozen=True, eq=False)
class GroupTrace:
    """Norm dynamics of one invariant group. All arrays are [S, R]."""

    names: tuple[str, ...]
    norm2: Array
    grad2: Array
    next_norm2: Array
    inner: Array
    turned2: Array
    radial: Array
    lr: Array
    weight_decay: Array

    @property
    def unit_grad2(self) -> Array:
        """The squared gradient on the unit sphere, ||g||^2 r^2."""
        return self.grad2 * self.norm2

    @property
    def effective_lr(self) -> Array:
        """The effective learning rate lr / ||w||^2."""
        return self.lr / self.norm2

    @property
    def tangent(self) -> Array:
        """The tangent of the rotation of the step."""
        return np.asarray(np.sqrt(self.turned2 * self.norm2) / self.inner)
