"""The order in which runs see examples: one random stream per run, drawn on the device in blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ilr_check.seeds import derive


@dataclass
class Order:
    """One run's random stream, and the batches that are left of its epoch, [batches, batch]."""

    random: torch.Generator
    left: Tensor = field(default_factory=lambda: torch.empty(0))


@dataclass(frozen=True)
class Batches:
    """Draws minibatches, independently for each run: with replacement, or from shuffled ``epochs``.

    An epoch has every example once, less those that do not fill a batch at its end. A run's batches depend on
    its own seed only, not on the other runs; drawing in blocks of another length gives another, equally valid
    order, so whoever trains keeps the length fixed. Raises ``ValueError`` for epochs shorter than a batch.
    """

    examples: int
    classes: int
    batch_size: int
    redrawn: float
    device: str
    epochs: bool = False

    def __post_init__(self) -> None:
        if self.epochs and self.examples < self.batch_size:
            raise ValueError(
                f"batch_size={self.batch_size} is more than the {self.examples} examples of an epoch"
            )

    def generators(self, seeds: Sequence[int]) -> list[Order]:
        """One order a run, on the device."""
        return [
            Order(torch.Generator(device=self.device).manual_seed(derive("batches", seed))) for seed in seeds
        ]

    def draw(self, generators: Sequence[Order], steps: int) -> tuple[Tensor, Tensor]:
        """Indices [steps, runs, batch] and labels to use instead [steps, runs, batch], -1 for "keep"."""
        shape = (steps, self.batch_size)
        index, label = [], []
        for order in generators:
            generator = order.random
            if self.epochs:
                index.append(self._from_epochs(order, steps))
            else:
                index.append(torch.randint(self.examples, shape, generator=generator, device=self.device))
            if self.redrawn:
                chance = torch.rand(shape, generator=generator, device=self.device)
                other = torch.randint(self.classes, shape, generator=generator, device=self.device)
                label.append(torch.where(chance < self.redrawn, other, -1))
            else:
                label.append(torch.full(shape, -1, device=self.device))
        return torch.stack(index, dim=1), torch.stack(label, dim=1)

    def _from_epochs(self, order: Order, steps: int) -> Tensor:
        """The next batches, [steps, batch], where a run's epoch is cut off and the next begins."""
        whole = self.examples // self.batch_size
        parts = [order.left] if len(order.left) else []
        while sum(len(part) for part in parts) < steps:
            shuffled = torch.randperm(self.examples, generator=order.random, device=self.device)
            parts.append(shuffled[: whole * self.batch_size].view(whole, self.batch_size))
        drawn = torch.cat(parts)
        order.left = drawn[steps:]
        return drawn[:steps]
