"""The order in which runs see examples. Each run has one random stream, drawn on the device in blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ilr_check.seeds import derive


@dataclass
class Order:
    """The random stream of one run, and the remaining batches of its epoch, [batches, batch]."""

    random: torch.Generator
    left: Tensor = field(default_factory=lambda: torch.empty(0))


@dataclass(frozen=True)
class Batches:
    """Draws minibatches, independently for each run: with replacement, or from shuffled ``epochs``.

    An epoch has every example once, except those that do not fill a batch at its end. A run's batches depend
    on its own seed only and not on the other runs. Drawing in blocks of another length gives another, equally
    valid order, so the trainer must keep the length fixed. Raises ``ValueError`` if an epoch is shorter than
    a batch.
    """

    examples: int
    classes: int
    batch_size: int
    label_noise: float
    device: str
    epochs: bool = False

    def __post_init__(self) -> None:
        if self.epochs and self.examples < self.batch_size:
            raise ValueError(
                f"batch_size={self.batch_size} is more than the {self.examples} examples of an epoch"
            )

    def generators(self, seeds: Sequence[int]) -> list[Order]:
        """Return one order per run, on the device."""
        return [
            Order(torch.Generator(device=self.device).manual_seed(derive("batches", seed))) for seed in seeds
        ]

    def draw(
        self, generators: Sequence[Order], steps: int, *, lanes: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return indices [steps, lanes, batch] and replacement labels [steps, lanes, batch], where -1 keeps
        the label.

        ``lanes`` may exceed the number of runs; the other lanes repeat the last run.
        """
        shape = (len(generators), steps, self.batch_size)
        index = torch.empty(shape, dtype=torch.int64, device=self.device)
        other, chance = torch.empty_like(index), torch.empty(shape, device=self.device)
        for run, order in enumerate(generators):
            # In place, because on a GPU each call per run is a kernel, and these kernels would take longer
            # than the training.
            if self.epochs:
                index[run] = self._from_epochs(order, steps)
            else:
                index[run].random_(self.examples, generator=order.random)
            if self.label_noise:
                chance[run].uniform_(generator=order.random)
                other[run].random_(self.classes, generator=order.random)
        label = (
            torch.where(chance < self.label_noise, other, -1)
            if self.label_noise
            else torch.full_like(index, -1)
        )
        of_lane = torch.arange(lanes or len(generators), device=self.device).clamp_(max=len(generators) - 1)
        # Contiguous, because a compiled step is specialised on strides.
        index, label = (x[of_lane].transpose(0, 1).contiguous() for x in (index, label))
        return index, label

    def _from_epochs(self, order: Order, steps: int) -> Tensor:
        """Return the next batches, [steps, batch]. At the end of a run's epoch the next epoch begins."""
        whole = self.examples // self.batch_size
        parts = [order.left] if len(order.left) else []
        while sum(len(part) for part in parts) < steps:
            shuffled = torch.randperm(self.examples, generator=order.random, device=self.device)
            parts.append(shuffled[: whole * self.batch_size].view(whole, self.batch_size))
        drawn = torch.cat(parts)
        order.left = drawn[steps:]
        return drawn[:steps]
