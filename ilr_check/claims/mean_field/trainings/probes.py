"""Fresh batches that are drawn beside a training, so that the gradients at its weights can be measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ilr_check.data import DataSpec
from ilr_check.nets.specs import NetSpec
from ilr_check.seeds import derive
from ilr_check.train.fleet import Fleet
from ilr_check.train.noise import Weights, dot, gradients
from ilr_check.train.world import Visit

Array = NDArray[np.float64]
Measure = Callable[[Weights, Sequence[int]], Weights]
"""(weights of some runs, seeds of their batches) -> what is measured, each [runs]."""


class Probes:
    """Fresh batches and their gradients; nothing is trained."""

    def __init__(self, net: NetSpec, data: DataSpec, *, batch_size: int, device: str) -> None:
        self._fleet = Fleet(net, data, batch_size=batch_size, device=device)
        self._gradients = gradients(self._fleet.module, None)

    @property
    def names(self) -> tuple[str, ...]:
        """The tensors of the net."""
        return self._fleet.names

    def batch(self, seeds: Sequence[int], visit: Visit | None = None, step: int = 0) -> tuple[Tensor, Tensor]:
        """Return the rows and the labels of one batch for each seed, [runs, batch size].

        ``visit`` is a world that changes the batches; ``step`` is the number of the batch in it.
        """
        batches, y = self._fleet.batches, self._fleet.dataset.y
        rows, fresh = (drawn[0] for drawn in batches.draw(batches.generators(seeds), 1))
        if visit:
            rows, fresh = visit.batch(rows, fresh, step)
        return rows, torch.where(fresh >= 0, fresh, y[rows])

    def gradients(self, weights: Weights, rows: Tensor, labels: Tensor) -> Weights:
        """Return the gradient of each run's batch at its weights."""
        return self._gradients(weights, self._fleet.dataset.x, rows, labels, {})[0]

    def squared(self, weights: Weights, seeds: Sequence[int]) -> Weights:
        """Return the squared gradient of a fresh batch by tensor, and ``norm2 NAME`` of the weights."""
        found = self.gradients(weights, *self.batch(seeds))
        return {name: dot(g, g) for name, g in found.items()} | squared_norms(weights)


def squared_norms(weights: Weights) -> Weights:
    """Return ``norm2 NAME``, the squared norm of every tensor."""
    return {"norm2 " + name: dot(w, w) for name, w in weights.items()}


class ProbeWatch:
    """Measures the runs of one training after each of ``times`` steps; pass ``watching()`` to it."""

    def __init__(self, seeds: Sequence[int], times: Sequence[int], measure: Measure) -> None:
        self._seeds, self._measure = seeds, measure
        self._found: dict[int, list[Weights]] = {t: [] for t in times}

    def watching(self) -> dict[str, Any]:
        """Return the arguments of ``Fleet.train`` by which it is observed."""
        return {"observer": self._observe, "observed": list(self._found)}

    def joined(self) -> dict[str, Array]:
        """Return what was measured by name, each [times, runs]."""
        names = next(iter(self._found.values()))[0]
        return {
            name: np.stack(
                [
                    torch.cat([part[name] for part in parts]).double().cpu().numpy()
                    for parts in self._found.values()
                ]
            )
            for name in names
        }

    def _observe(self, t: int, chunk: slice, weights: Weights) -> None:
        seeds = [derive("probe", t, seed) for seed in self._seeds[chunk]]
        self._found[t].append(self._measure(weights, seeds))


def at_unit_norm(parts: Sequence[dict[str, Array]], prefix: str, tensors: Sequence[str], n: int) -> Array:
    """Return the mean over time of a group's squared norm times ``prefix NAME``, for the first n runs, [n].

    A squared gradient, or a product of two, falls as 1/r^2, so that this is its value at unit norm.
    """

    def summed(part: dict[str, Array], what: str) -> Array:
        return np.asarray(np.sum([part[what + name] for name in tensors], axis=0))

    means = [(summed(part, "norm2 ") * summed(part, prefix)).mean(axis=0) for part in parts]
    return np.asarray(np.concatenate(means)[:n])
