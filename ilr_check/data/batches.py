"""The order in which runs see examples: one random stream per run, drawn on the device in blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ilr_check.seeds import derive


@dataclass(frozen=True)
class Batches:
    """Draws minibatches with replacement, independently for each run.

    A run's batches depend on its own seed only, not on the other runs; drawing in blocks of another length
    gives another, equally valid order, so whoever trains keeps the length fixed.
    """

    examples: int
    classes: int
    batch_size: int
    redrawn: float
    device: str

    def generators(self, seeds: Sequence[int]) -> list[torch.Generator]:
        """One generator a run, on the device."""
        return [torch.Generator(device=self.device).manual_seed(derive("batches", seed)) for seed in seeds]

    def draw(self, generators: Sequence[torch.Generator], steps: int) -> tuple[Tensor, Tensor]:
        """Indices [steps, runs, batch] and labels to use instead [steps, runs, batch], -1 for "keep"."""
        shape = (steps, self.batch_size)
        index, label = [], []
        for generator in generators:
            index.append(torch.randint(self.examples, shape, generator=generator, device=self.device))
            if self.redrawn:
                chance = torch.rand(shape, generator=generator, device=self.device)
                other = torch.randint(self.classes, shape, generator=generator, device=self.device)
                label.append(torch.where(chance < self.redrawn, other, -1))
            else:
                label.append(torch.full(shape, -1, device=self.device))
        return torch.stack(index, dim=1), torch.stack(label, dim=1)
