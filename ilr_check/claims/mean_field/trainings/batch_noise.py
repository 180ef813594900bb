"""Trace of the noise of a batch at fixed weights, by the size of the batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ilr_check.claims.claim import Context
from ilr_check.data import DataSpec
from ilr_check.nets.build import initial_parameters
from ilr_check.nets.specs import NetSpec
from ilr_check.seeds import derive
from ilr_check.train.fleet import Fleet
from ilr_check.train.noise import dot, gradients

Array = NDArray[np.float64]
Drawn = tuple[Tensor, Tensor]
Sampler = Callable[[Fleet, Sequence[int]], Drawn]
"""(fleet, seeds) -> rows of a batch and the labels to use instead of theirs, [runs, batch size]."""


class Traces(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="part", tag="trace"
):
    """At random weights of a net without batch norm, ``pairs`` pairs of batches of each of ``sizes``."""

    title: str
    net: NetSpec
    data: DataSpec
    sizes: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64)
    pairs: int = 64
    planned_sd: float | None = 0.04
    looks: tuple[int, ...] = (32, 64)


def drawn(fleet: Fleet, seeds: Sequence[int]) -> Drawn:
    """A batch a run, as the fleet draws them: with replacement."""
    rows, labels = fleet.batches.draw(fleet.batches.generators(seeds), 1)
    return rows[0], labels[0]


class TraceRuns:
    """Tr Sigma_B = E||g1 - g2||^2 / 2 of independent nets; a test replaces ``sampler``."""

    def __init__(self, traces: Traces, context: Context, sampler: Sampler = drawn) -> None:
        self.traces, self._context, self._sampler = traces, context, sampler
        self._fleets = {
            size: Fleet(traces.net, traces.data, batch_size=size, device=context.device)
            for size in traces.sizes
        }
        self._gradients = gradients(self._fleets[traces.sizes[0]].module, None)
        self._found: list[Array] = []
        """[runs, sizes, tensors], part by part."""

    def of_group(self, tensors: tuple[str, ...], n: int) -> Array:
        """The trace at each size, [n, sizes]."""
        have = sum(map(len, self._found))
        if n > have:
            self._found.append(self._measure(range(have, n)))
        names = self._fleets[self.traces.sizes[0]].names
        columns = [names.index(name) for name in tensors]
        return np.asarray(np.concatenate(self._found)[:n, :, columns].sum(axis=-1))

    def slopes(self, tensors: tuple[str, ...], n: int) -> Array:
        """Slope of log trace against log size, least squares in every run, [n]."""
        x = np.log(self.traces.sizes)
        weights = (x - x.mean()) / np.sum((x - x.mean()) ** 2)
        return np.asarray(np.log(self.of_group(tensors, n)) @ weights)

    def _measure(self, runs: range) -> Array:
        seeds = [derive(self._context.seed, "trace", i) for i in runs]
        each = [
            initial_parameters(self.traces.net, s, dtype=torch.float32, device=self._context.device)
            for s in seeds
        ]
        weights = {name: torch.stack([one[name] for one in each]) for name in each[0]}
        columns = []
        for done, size in enumerate(self.traces.sizes):
            total = sum(self._apart(weights, seeds, size, pair) for pair in range(self.traces.pairs))
            columns.append(total / (2 * self.traces.pairs))
            self._context.progress((done + 1) / len(self.traces.sizes))
        return np.stack(columns, axis=1)

    def _apart(self, weights: dict[str, Tensor], seeds: Sequence[int], size: int, pair: int) -> Array:
        """||g1 - g2||^2 of two batches, [runs, tensors]."""
        fleet = self._fleets[size]
        two = []
        for half in (0, 1):
            rows, labels = self._sampler(fleet, [derive("pair", size, pair, half, s) for s in seeds])
            labels = torch.where(labels >= 0, labels, fleet.dataset.y[rows])
            with torch.no_grad():
                two.append(self._gradients(weights, fleet.dataset.x, rows, labels, {})[0])
        off = [two[0][name] - two[1][name] for name in fleet.names]
        return torch.stack([dot(d, d) for d in off], dim=1).double().cpu().numpy()
