"""Equilibria over a grid of batch sizes, lr, weight decay and SVAG orders, probed with pairs of batches.

SVAG of order l replaces a step of SGD by l smaller steps with the same total noise (Li, Malladi, Arora 2021).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import msgspec
import numpy as np
from numpy.typing import NDArray

from ilr_check.claims.lab import Lab, Population, Role
from ilr_check.claims.mean_field.trainings.probes import (
    Probes,
    ProbeWatch,
    at_unit_norm,
    squared_norms,
)
from ilr_check.data import DataSpec, SvagNoise
from ilr_check.nets.specs import NetSpec
from ilr_check.theory.relaxation import equilibrium_gamma
from ilr_check.train.fleet import Runs
from ilr_check.train.noise import Weights, dot
from ilr_check.train.trace import Trace

Array = NDArray[np.float64]


class GridCell(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Constant settings. ``lr`` and ``weight_decay`` are those of SGD; a step of SVAG order l has lr / l."""

    lr: float
    weight_decay: float
    batch_size: int
    order: float = 1.0

    @property
    def step_lr(self) -> float:
        """The LR of a step."""
        return self.lr / self.order

    @property
    def intrinsic_lr(self) -> float:
        """lambda_e of a step."""
        return self.step_lr * self.weight_decay

    @property
    def gain(self) -> float:
        """r^4 at equilibrium over the squared unit-sphere gradient that a step takes."""
        return self.step_lr**2 * float(equilibrium_gamma(self.intrinsic_lr, 1.0))

    def words(self) -> str:
        """The cell in a few words."""
        order = f", order {self.order:g}" if self.order != 1.0 else ""
        return f"B {self.batch_size}, lr {self.lr:g}, wd {self.weight_decay:g}{order}"


class Grid(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One net, trained in every cell.

    A training takes ``burn_in / lambda_e`` steps to forget its start, then ``window / lambda_e`` steps to
    measure, with lambda_e = lr * weight_decay. The net has no batch norm, so that a minibatch gradient is a
    mean over examples and the batch size does not change the loss. ``probes`` pairs of batches of
    ``probe_size``, each at a step of its own, measure the trace of the noise and the mean gradient along a
    path. ``initial_norm`` is the norm of every tensor where ``gain * order / batch_size`` is 1.
    """

    title: str
    net: NetSpec
    data: DataSpec
    cells: tuple[GridCell, ...]
    burn_in: float = 2.5
    window: float = 5.0
    probes: int = 40
    probe_size: int = 16
    initial_norm: float = 1.5
    planned_sd: float | None = None
    looks: tuple[int, ...] = (64, 128, 256)

    def first(self, cell: GridCell) -> int:
        """The first step of the window."""
        return round(self.burn_in / cell.intrinsic_lr)

    def steps(self, cell: GridCell) -> int:
        """Steps of a training."""
        return self.first(cell) + round(self.window / cell.intrinsic_lr)

    def probed(self, cell: GridCell) -> list[int]:
        """Steps at which batches are drawn beside the training, evenly over the window."""
        times = np.linspace(self.first(cell), self.steps(cell) - 1, self.probes).round()
        return sorted({int(t) for t in times})

    def steps_of_all(self) -> int:
        """Steps of one training in every cell."""
        return sum(self.steps(cell) for cell in self.cells)

    def norm_at(self, cell: GridCell) -> float:
        """Initial norm of every tensor."""
        return float(self.initial_norm * (cell.gain * cell.order / cell.batch_size) ** 0.25)


class GridRuns:
    """Judged runs in every cell, and noise references whose noise is measured; trained as they are needed."""

    def __init__(self, grid: Grid, lab: Lab) -> None:
        self.grid, self._lab = grid, lab
        self._probes = Probes(grid.net, grid.data, batch_size=2 * grid.probe_size, device=lab.context.device)
        self._probed: dict[GridCell, list[dict[str, Array]]] = {}

    def fourth_power(self, cell: GridCell, tensors: tuple[str, ...], n: int) -> Array:
        """Return the mean of r^4 over the window, [n]; r is the norm of the group."""
        first = self.grid.first(cell)
        return self._population("judged", cell).gather(
            n, lambda trace: (trace.group(tensors).norm2[first:] ** 2).mean(axis=0)
        )

    def loss(self, cell: GridCell, n: int) -> Array:
        """Return the mean loss over the window, [n]. Batches are fresh, so it is that of the whole set."""
        first = self.grid.first(cell)
        return self._population("judged", cell).gather(n, lambda trace: trace.loss[first:].mean(axis=0))

    def noise(self, cell: GridCell, tensors: tuple[str, ...], n: int) -> tuple[Array, Array]:
        """Return the trace of one example's noise and the squared mean gradient, at unit norm, each [n].

        They are measured along the noise references. For two independent batches of size B
        Tr Sigma_B = E||g1 - g2||^2 / 2 and ||grad L||^2 = E<g1, g2>.
        """
        self._population("noise reference", cell).take(n)
        parts = self._probed[cell]
        trace = 0.5 * self.grid.probe_size * at_unit_norm(parts, "apart ", tensors, n)
        return trace, at_unit_norm(parts, "product ", tensors, n)

    def _population(self, role: Role, cell: GridCell) -> Population:
        return self._lab.population(f"{role} {cell.words()}", partial(self._train, role, cell))

    def _train(self, role: Role, cell: GridCell, seeds: Sequence[int]) -> Trace:
        grid = self.grid
        fleet = self._lab.fleet(
            grid.net,
            grid.data,
            batch_size=cell.batch_size,
            noise=None if cell.order == 1.0 else SvagNoise(order=cell.order),
            role=role,
        )
        settings = Runs(
            seeds=seeds, lr=cell.step_lr, weight_decay=cell.weight_decay, initial_norm=grid.norm_at(cell)
        )
        if role == "judged":
            return self._lab.train(fleet, settings, grid.steps(cell))
        watch = ProbeWatch(seeds, grid.probed(cell), partial(pair, self._probes, grid.probe_size))
        trace = self._lab.train(fleet, settings, grid.steps(cell), **watch.watching())
        self._probed.setdefault(cell, []).append(watch.joined())
        return trace


def pair(probes: Probes, size: int, weights: Weights, seeds: Sequence[int]) -> Weights:
    """Return squared difference and product of the gradients of two fresh batches, and squared norms.

    ``probes`` draws batches of twice the ``size``; a half each is a batch.
    """
    rows, labels = probes.batch(seeds)
    one, other = (
        probes.gradients(weights, rows[:, part], labels[:, part]) for part in (slice(size), slice(size, None))
    )
    found = squared_norms(weights)
    for name in weights:
        off = one[name] - other[name]
        found |= {"apart " + name: dot(off, off), "product " + name: dot(one[name], other[name])}
    return found


def intercept_weights(orders: Sequence[float]) -> Array:
    """Return c, so that sum_l c_l y_l is the intercept of the least-squares line of y against 1/l."""
    x = 1.0 / np.asarray(orders)
    off = x - x.mean()
    return np.asarray(1.0 / len(x) - x.mean() * off / (off @ off))
