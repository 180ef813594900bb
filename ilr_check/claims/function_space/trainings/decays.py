"""Runs from two inits at several weight decays and lengths: how far they rotated, and what they kept."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from ilr_check.claims.function_space.trainings.functions import (
    FunctionPopulation,
    FunctionRuns,
    History,
    Stage,
)
from ilr_check.claims.lab import Lab
from ilr_check.data import DataSpec
from ilr_check.nets.specs import NetSpec
from ilr_check.stats import separation
from ilr_check.stats.separation import cross_distances
from ilr_check.theory.relaxation import gamma_path
from ilr_check.theory.sgd import rotation_budget

Array = NDArray[np.float64]

INITS = (1, 2)
"""Seeds of the two inits."""


class DecayCell(NamedTuple):
    """A weight decay, by its 1/lambda_e (0 for none), and a number of steps."""

    inverse: int
    steps: int

    @property
    def intrinsic_lr(self) -> float:
        """lr * weight_decay."""
        return 1.0 / self.inverse if self.inverse else 0.0

    def __str__(self) -> str:
        decay = f"1/{self.inverse}" if self.inverse else "0"
        return f"lambda_e {decay}, {self.steps} steps"


class Decays(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """At each weight decay, given by 1/lambda_e, the numbers of steps after which the runs are examined.

    All runs start at one norm. The runs of a population start from the same init and differ by their batches;
    there are two inits.
    """

    title: str
    net: NetSpec
    data: DataSpec
    grid: tuple[tuple[int, tuple[int, ...]], ...] = ((0, (64, 512)), (128, (64, 256, 512)), (16, (64,)))
    lr: float = 0.5
    initial_norm: float = 10.0
    probes: int = 397
    batch_size: int = 32
    looks: tuple[int, ...] = (64, 128)

    @property
    def cells(self) -> tuple[DecayCell, ...]:
        """All pairs of a decay and a number of steps."""
        return tuple(DecayCell(inverse, steps) for inverse, lengths in self.grid for steps in lengths)

    @property
    def gamma_start(self) -> float:
        """gamma of every tensor at the start."""
        return (self.initial_norm**2 / self.lr) ** 2

    def course(self, inverse: int, init: int) -> History:
        """Return the training at one decay from one init."""
        level, lengths = DecayCell(inverse, 0).intrinsic_lr, dict(self.grid)[inverse]
        return History(
            name=f"1/lambda_e {inverse}, init {init}",
            phases=(Stage(steps=max(lengths), lr=self.lr, weight_decay=level / self.lr),),
            initial_norm=self.initial_norm,
            init_seed=init,
        )

    def run_steps(self) -> int:
        """Return the run-steps of the first look."""
        return self.looks[0] * len(INITS) * sum(max(lengths) for _, lengths in self.grid)


class DecayRuns:
    """The runs of all decays, from two inits each."""

    def __init__(self, decays: Decays, lab: Lab) -> None:
        self.decays = decays
        runs = FunctionRuns(lab, decays.net, decays.data, probes=decays.probes, batch_size=decays.batch_size)
        self._populations: dict[int, list[FunctionPopulation]] = {
            inverse: [
                runs.population(decays.course(inverse, i), (0, *lengths), weights=True, record_every=1)
                for i in INITS
            ]
            for inverse, lengths in decays.grid
        }

    def rotation(self, cell: DecayCell, n: int) -> Array:
        """Return the rotation Q_T of each run of the first init and tensor, by its law, [n, tensors]."""
        first = self._populations[cell.inverse][0]
        start, end = (
            np.concatenate(part)[:n]
            for part in zip(
                *((t.norm2[0], t.next_norm2[cell.steps - 1]) for t in first.traces(n)), strict=True
            )
        )
        settings = [np.full((cell.steps, 1, 1), v) for v in self._setting(cell)]
        return rotation_budget(np.sqrt(start), np.sqrt(end), *settings)

    def predicted_rotation(self, cell: DecayCell, n: int) -> Array:
        """Return pseudo-values of Q_T as the noise of the other init's runs predicts it, [n]."""
        noise = self.noise(cell, n)
        mean = noise.mean(axis=1, keepdims=True)
        paths = np.concatenate([mean, (n * mean - noise) / (n - 1)], axis=1)
        # The path ends a step early, so the last noise is repeated: it acts on nothing that is read.
        paths = np.concatenate([paths, paths[-1:]])
        a2 = (1.0 - cell.intrinsic_lr) ** 2
        gamma = gamma_path(self.decays.gamma_start, paths, a2)[-1]
        settings = [np.full((cell.steps, 1, 1), v) for v in self._setting(cell)]
        r2 = np.sqrt(gamma) * self.decays.lr
        budget = rotation_budget(self.decays.initial_norm, np.sqrt(r2), *settings).mean(axis=-1)
        return np.asarray(n * budget[0] - (n - 1) * budget[1:])

    def noise(self, cell: DecayCell, n: int) -> Array:
        """Return the squared unit-sphere gradients of the other init's runs, [steps, n, tensors]."""
        traces = self._populations[cell.inverse][1].traces(n)
        return np.concatenate([t.grad2[: cell.steps] * t.norm2[: cell.steps] for t in traces], axis=1)[:, :n]

    def cosines(self, cell: DecayCell, n: int) -> Array:
        """Return cos(w_0, w_T) of each run of the first init and tensor, [n, tensors]."""
        first = self._populations[cell.inverse][0]
        start, end = first.at(0, n).weights, first.at(cell.steps, n).weights
        columns = []
        for name, w in end.items():
            x, y = (part.reshape(n, -1).astype(np.float64) for part in (start[name], w))
            columns.append((x * y).sum(1) / np.sqrt((x * x).sum(1) * (y * y).sum(1)))
        return np.stack(columns, axis=1)

    def alphas(self, cell: DecayCell, n: int) -> Array:
        """Return pseudo-values of the share that the inits have in the difference between runs, [n].

        The share is the energy distance of the two inits' runs over twice the mean distance of two runs of
        different inits. It is 1 where the init fixes the function, and 0 where the init is forgotten.
        """
        first, second = (p.at(cell.steps, n).probabilities for p in self._populations[cell.inverse])
        apart, strangers = separation([(first, second)]), cross_distances(first, second)
        whole = apart.whole[0] / (2.0 * strangers.whole[0])
        without = apart.without[:, 0] / (2.0 * strangers.without[:, 0])
        return np.asarray(n * whole - (n - 1) * without)

    def _setting(self, cell: DecayCell) -> tuple[float, float]:
        return self.decays.lr, cell.intrinsic_lr / self.decays.lr
