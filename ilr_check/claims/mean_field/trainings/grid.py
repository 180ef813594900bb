"""Equilibria over a grid of batch sizes, lr, weight decay and SVAG orders, probed with pairs of batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ilr_check.claims.claim import Context
from ilr_check.claims.populations import Population
from ilr_check.data import DataSpec, SvagNoise
from ilr_check.nets.specs import NetSpec
from ilr_check.optim.rules import Rule
from ilr_check.optim.sgd import UpdateRule, plain
from ilr_check.seeds import derive
from ilr_check.theory.relaxation import equilibrium_gamma
from ilr_check.train.fleet import Fleet, Runs
from ilr_check.train.noise import dot, gradients
from ilr_check.train.trace import Trace

Array = NDArray[np.float64]
Role = Literal["judged", "noise reference"]


class Cell(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Constant settings. Of SVAG order l, ``lr`` and ``weight_decay`` are those of SGD; a step has lr / l."""

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
    """A net in every cell: ``burn_in / lambda_e`` steps to forget the start, ``window / lambda_e`` to
    measure.

    The net has no batch norm, so that a minibatch gradient is a mean over examples and the batch size does
    not change the loss. ``probes`` pairs of batches of ``probe_size``, each at a step of its own, measure the
    trace and the mean gradient along a path. ``initial_norm`` is the norm of every tensor where r^4 would
    have
    ``gain * order / batch_size`` equal to 1.
    """

    title: str
    net: NetSpec
    data: DataSpec
    cells: tuple[Cell, ...]
    burn_in: float = 2.5
    window: float = 5.0
    probes: int = 40
    probe_size: int = 16
    initial_norm: float = 1.5
    planned_sd: float | None = None
    looks: tuple[int, ...] = (64, 128, 256)

    def first(self, cell: Cell) -> int:
        """The first step of the window."""
        return round(self.burn_in / cell.intrinsic_lr)

    def steps(self, cell: Cell) -> int:
        """Steps of a training."""
        return self.first(cell) + round(self.window / cell.intrinsic_lr)

    def probed(self, cell: Cell) -> list[int]:
        """Steps at which batches are drawn beside the training, evenly over the window."""
        times = np.linspace(self.first(cell), self.steps(cell) - 1, self.probes).round()
        return sorted({int(t) for t in times})

    def norm_at(self, cell: Cell) -> float:
        """Initial norm of every tensor."""
        return float(self.initial_norm * (cell.gain * cell.order / cell.batch_size) ** 0.25)


class GridRuns:
    """Judged runs in every cell, and noise references there whose noise is measured, trained as they are
    asked for.

    Tests plant defects: ``rule`` is the update, ``batch_size`` and ``order`` what is drawn where a cell asks
    for its own.
    """

    def __init__(
        self,
        grid: Grid,
        context: Context,
        *,
        roles: int = 2,
        rule: UpdateRule | Rule = plain,
        batch_size: Callable[[int], int] = lambda size: size,
        order: Callable[[float], float] = lambda order: order,
    ) -> None:
        self.grid, self._context, self._rule = grid, context, rule
        self._batch_size, self._order = batch_size, order
        self._total = roles * grid.looks[0] * sum(grid.steps(cell) for cell in grid.cells)
        self._done = 0.0
        self._fleets: dict[tuple[int, float], Fleet] = {}
        self._probing = Fleet(grid.net, grid.data, batch_size=2 * grid.probe_size, device=context.device)
        self._gradients = gradients(self._probing.module, None)
        self._populations: dict[tuple[Role, Cell], Population] = {}
        self._probed: dict[Cell, list[dict[str, Array]]] = {}

    def fourth_power(self, cell: Cell, tensors: tuple[str, ...], n: int) -> Array:
        """Mean of r^4 over the window, [n]."""
        first = self.grid.first(cell)
        return self._population("judged", cell).gather(
            n, lambda trace: (trace.group(tensors).norm2[first:] ** 2).mean(axis=0)
        )

    def loss(self, cell: Cell, n: int) -> Array:
        """Mean of the loss over the window, [n]: that of fresh batches, so of the whole set on average."""
        first = self.grid.first(cell)
        return self._population("judged", cell).gather(n, lambda trace: trace.loss[first:].mean(axis=0))

    def noise(self, cell: Cell, tensors: tuple[str, ...], n: int) -> tuple[Array, Array]:
        """Trace of one example's gradient and squared mean gradient at unit norm along noise references,
        each [n].

        Tr Sigma_B = E||g1 - g2||^2 / 2 and ||grad L||^2 = E<g1, g2> of two independent batches.
        """
        self._population("noise reference", cell).take(n)
        parts = self._probed[cell]

        def summed(part: dict[str, Array], what: str) -> Array:
            return np.asarray(np.sum([part[what + name] for name in tensors], axis=0))

        def at_unit_norm(what: str) -> Array:
            means = [(summed(part, "norm2 ") * summed(part, what)).mean(axis=0) for part in parts]
            return np.asarray(np.concatenate(means)[:n])

        return 0.5 * self.grid.probe_size * at_unit_norm("apart "), at_unit_norm("product ")

    def _population(self, role: Role, cell: Cell) -> Population:
        key = (role, cell)
        if key not in self._populations:
            name = f"{role} {cell.words()}"
            train = partial(self._train, role, cell)
            self._populations[key] = Population(name, self._context.seed, train)
        return self._populations[key]

    def _fleet(self, cell: Cell) -> Fleet:
        size, order = self._batch_size(cell.batch_size), self._order(cell.order)
        if (size, order) not in self._fleets:
            self._fleets[size, order] = Fleet(
                self.grid.net,
                self.grid.data,
                batch_size=size,
                rule=self._rule,
                noise=None if order == 1.0 else SvagNoise(order=order),
                device=self._context.device,
                expected_run_steps=int(self._total),
            )
        return self._fleets[size, order]

    def _train(self, role: Role, cell: Cell, seeds: Sequence[int]) -> Trace:
        grid, fleet = self.grid, self._fleet(cell)
        found: dict[int, list[dict[str, Tensor]]] = {t: [] for t in grid.probed(cell)}

        def probe(t: int, chunk: slice, weights: dict[str, Tensor]) -> None:
            found[t].append(self._pair(weights, [derive("probe", t, s) for s in seeds[chunk]]))

        done, steps = self._done, grid.steps(cell)
        width = len(seeds) * steps / self._total
        noise_reference = role == "noise reference"
        trace = fleet.train(
            Runs(
                seeds=seeds,
                lr=cell.step_lr,
                weight_decay=cell.weight_decay,
                initial_norm=grid.norm_at(cell),
            ),
            steps,
            observer=probe if noise_reference else None,
            observed=grid.probed(cell) if noise_reference else (),
            progress=lambda fraction: self._context.progress(min(1.0, done + width * fraction)),
        )
        self._done += width
        if noise_reference:
            joined = {
                name: np.stack(
                    [torch.cat([p[name] for p in parts]).double().cpu().numpy() for parts in found.values()]
                )
                for name in next(iter(found.values()))[0]
            }
            self._probed.setdefault(cell, []).append(joined)
        return trace

    def _pair(self, weights: dict[str, Tensor], seeds: Sequence[int]) -> dict[str, Tensor]:
        """What two fresh batches say of every lane's gradient, by tensor."""
        dataset, size = self._probing.dataset, self.grid.probe_size
        batches = self._probing.batches
        rows, fresh = (drawn[0] for drawn in batches.draw(batches.generators(seeds), 1))
        labels = torch.where(fresh >= 0, fresh, dataset.y[rows])
        one, other = (
            self._gradients(weights, dataset.x, rows[:, part], labels[:, part], {})[0]
            for part in (slice(size), slice(size, None))
        )
        found = {}
        for name, w in weights.items():
            found["norm2 " + name] = dot(w, w)
            found["apart " + name] = dot(one[name] - other[name], one[name] - other[name])
            found["product " + name] = dot(one[name], other[name])
        return found


def intercept_weights(orders: Sequence[float]) -> Array:
    """c with sum_l c_l y_l the intercept of the line of least squares through y against 1/l."""
    x = 1.0 / np.asarray(orders)
    off = x - x.mean()
    return np.asarray(1.0 / len(x) - x.mean() * off / (off @ off))
