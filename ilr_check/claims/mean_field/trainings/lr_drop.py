"""A training whose LR or weight decay is divided once, and what is measured on its runs."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ilr_check.claims.mean_field.trainings.noise_references import TrainingSpec, TransferReadings

Array = NDArray[np.float64]


class Drop(TrainingSpec, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A training with one change: ``before`` steps, ``after`` steps at lr / factor and wd / decay_factor.

    ``initial_norm`` is the initial norm of every tensor, the same in all runs, so that a prediction needs
    nothing of the judged runs.
    """

    weight_decay: float = 0.008
    before: int = 1000
    after: int = 4500
    factor: float = 10.0
    decay_factor: float = 1.0
    initial_norm: float = 2.0

    @property
    def intrinsic_lr(self) -> float:
        """lr * weight_decay before the change."""
        return self.lr * self.weight_decay

    @property
    def intrinsic_factor(self) -> float:
        """The divisor of lr * weight_decay. In theory the effective LR ends at its power -1/2."""
        return self.factor * self.decay_factor

    @property
    def steps(self) -> int:
        """Steps of the whole training."""
        return self.before + self.after

    def schedule(self) -> Array:
        """The LR at each step."""
        return self._changed(self.lr, self.factor)

    def decays(self) -> Array:
        """The weight decay at each step."""
        return self._changed(self.weight_decay, self.decay_factor)

    def _changed(self, value: float, factor: float) -> Array:
        return np.where(np.arange(self.steps) < self.before, value, value / factor)

    def grid(self) -> NDArray[np.intp]:
        """Steps at which curves are compared: two before the drop, many soon after it, then evenly spaced."""
        early = np.geomspace(1.0, self.after / 8.0, 8) - 1.0
        late = np.linspace(self.after / 8.0, self.after - 1.0, 12)
        spread = np.concatenate([early, late]).round().astype(np.intp)
        return np.unique(np.concatenate([[self.before // 2, self.before - 1], self.before + spread]))


class DropReadings(TransferReadings[Drop]):
    """What is measured on the runs of a drop besides their curve: levels before the change and at the end."""

    def log_before(self, n: int) -> Array:
        """Return the log effective LR in the last time constant of the norm before the drop, [n]."""
        window = max(1, round(1.0 / (4.0 * self.training.intrinsic_lr)))
        return math.log(self.training.lr) - self._log_norm2(
            n, slice(self.training.before - window, self.training.before)
        )

    def log_end(self, n: int) -> Array:
        """Return the log effective LR in the last quarter of a time constant of the training, [n]."""
        window = max(1, round(self.training.intrinsic_factor / (16.0 * self.training.intrinsic_lr)))
        lr = self.training.lr / self.training.factor
        return math.log(lr) - self._log_norm2(n, slice(self.training.steps - window, self.training.steps))

    def noise_change(self, n: int) -> float:
        """Return G^2 at the end over G^2 before the drop, each over some time constants of the norm."""
        drop = self.training
        short = min(drop.before, round(1.0 / drop.intrinsic_lr))
        long = min(drop.after, round(drop.intrinsic_factor / (2.0 * drop.intrinsic_lr)))
        before, end = (
            float(np.mean([trace.unit_grad2[part].mean() for trace in self.traces(n)]))
            for part in (slice(drop.before - short, drop.before), slice(drop.steps - long, drop.steps))
        )
        return end / before

    def _log_norm2(self, n: int, part: slice) -> Array:
        means = self.runs.judged.gather(
            n, lambda trace: np.asarray(trace.group(self.tensors).norm2[part].mean(axis=0))
        )
        return np.asarray(np.log(means))
