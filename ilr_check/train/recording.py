"""The record of a fleet: buffers on the device for one chunk of runs, and arrays on the host for all runs.

Nothing is copied to the host before a chunk is done, so recording never waits for the device.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ilr_check.train.noise import Weights
from ilr_check.train.steps import Tally
from ilr_check.train.trace import DEPARTURES, PER_TENSOR, Array, Trace


class Buffers:
    """Measurements of one chunk, on the device: [recorded steps, lanes(, tensors)]."""

    def __init__(self, weights: Weights, recorded: int) -> None:
        like = next(iter(weights.values()))
        shape = (recorded, len(like), len(weights))
        self.columns = [torch.empty(shape, dtype=like.dtype, device=like.device) for _ in PER_TENSOR]
        self.loss = torch.empty(shape[:2], dtype=like.dtype, device=like.device)

    def keep(self, slot: int, loss: Tensor, measured: Sequence[Tensor]) -> None:
        """Store the measurements of one step."""
        self.loss[slot] = loss
        for column, value in zip(self.columns, measured, strict=True):
            column[slot] = value


class Recording:
    """The trace of all runs while training fills it."""

    def __init__(self, names: tuple[str, ...], runs: int, steps: int, record_every: int) -> None:
        self.names, self.runs, self.total = names, runs, steps
        self.steps = np.arange(0, steps, record_every)
        shape = (len(self.steps), runs)
        self._fields: dict[str, Array] = {
            **{name: np.empty((*shape, len(names))) for name in PER_TENSOR},
            **{name: np.empty(shape) for name in ("loss", "lr", "weight_decay")},
        }
        self._first_bad = np.empty(runs, dtype=np.int64)
        each = (runs, len(names))
        self._departed = {name: np.zeros(each if name == "leaked" else runs) for name in DEPARTURES}
        self._final: dict[str, Tensor] = {}

    def spread(self, count: int) -> frozenset[int]:
        """Return the numbers of at most ``count`` recorded steps, the first and the last one among them."""
        places = np.linspace(0, len(self.steps) - 1, min(count, len(self.steps))).round().astype(int)
        return frozenset(self.steps[places].tolist())

    def take(
        self,
        chunk: slice,
        buffers: Buffers,
        tally: Tally,
        weights: Weights,
        settings: dict[str, Array],
        departed: dict[str, Array | float],
    ) -> None:
        """Copy the measurements of a chunk; ``settings`` are its lr and weight_decay [recorded, runs], and
        ``departed`` has the fields ``DEPARTURES`` of a trace."""
        used = chunk.stop - chunk.start
        for name, departure in departed.items():
            self._departed[name][chunk] = departure
        for name, column in zip(PER_TENSOR, buffers.columns, strict=True):
            self._fields[name][:, chunk] = column[:, :used].cpu().numpy()
        self._fields["loss"][:, chunk] = buffers.loss[:, :used].cpu().numpy()
        for name, values in settings.items():
            self._fields[name][:, chunk] = values
        survived = tally.survived[:used].clamp(min=0).cpu().numpy()
        self._first_bad[chunk] = np.where(survived < self.total, survived, -1)
        for name, value in weights.items():
            if name not in self._final:
                self._final[name] = value.new_empty(self.runs, *value.shape[1:])
            self._final[name][chunk] = value[:used]

    def trace(self) -> Trace:
        """Return the trace of all runs."""
        return Trace(
            names=self.names,
            steps=self.steps,
            **self._fields,
            first_bad=self._first_bad,
            final=self._final,
            run_steps=self.total * self.runs,
            **self._departed,
        )
