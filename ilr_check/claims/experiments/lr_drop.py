"""A training whose LR or weight decay is divided once, judged and donor runs, and what is read off them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np
from numpy.typing import NDArray

from ilr_check.claims.claim import Context
from ilr_check.claims.experiments.populations import Population
from ilr_check.claims.experiments.transfer import predicted_from
from ilr_check.data import DataSpec, TangentNoise
from ilr_check.nets.specs import NetSpec
from ilr_check.optim.sgd import UpdateRule
from ilr_check.theory.relaxation import gamma
from ilr_check.train.fleet import Fleet, Runs
from ilr_check.train.trace import GroupTrace, Trace

Array = NDArray[np.float64]


class Drop(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A training with one change: ``before`` steps, ``after`` steps at lr / factor and wd / decay_factor.

    ``start_norm`` is the initial norm of every tensor, the same in all runs, so that a prediction needs
    nothing of the judged runs. With ``noise`` the run is the control of constant trace. ``planned_sd`` is the
    run-to-run standard deviation of the judged quantity that the design has to cope with, checked before any
    training: at the worst point of the curve the nets here have 0.03 to 0.09, the control 0.003 to 0.01.
    """

    title: str
    net: NetSpec
    data: DataSpec
    lr: float = 0.5
    weight_decay: float = 0.008
    before: int = 1000
    after: int = 4500
    factor: float = 10.0
    decay_factor: float = 1.0
    batch_size: int = 32
    start_norm: float = 2.0
    noise: TangentNoise | None = None
    planned_sd: float | None = 0.08
    looks: tuple[int, ...] = (64, 128, 256)

    @property
    def intrinsic_lr(self) -> float:
        """lr * weight_decay before the change."""
        return self.lr * self.weight_decay

    @property
    def intrinsic_factor(self) -> float:
        """What lr * weight_decay is divided by; theory has the effective LR end at its -1/2th power."""
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
        """Steps at which curves are compared: two before the drop, then densely after it, and evenly on."""
        early = np.geomspace(1.0, self.after / 8.0, 8) - 1.0
        late = np.linspace(self.after / 8.0, self.after - 1.0, 12)
        spread = np.concatenate([early, late]).round().astype(np.intp)
        return np.unique(np.concatenate([[self.before // 2, self.before - 1], self.before + spread]))


class DropRuns:
    """The judged runs of a drop and the donors of their noise, trained as they are asked for.

    ``donors`` and ``rule`` are replaced where a test plants a defect.
    """

    def __init__(self, drop: Drop, context: Context, *, rule: UpdateRule, donors: Drop | None = None) -> None:
        self.drop = drop
        populations = 1 if drop.noise else 2
        self._fleet = Fleet(
            drop.net,
            drop.data,
            batch_size=drop.batch_size,
            rule=rule,
            noise=drop.noise,
            device=context.device,
            expected_run_steps=populations * drop.looks[0] * drop.steps,
        )
        self._context = context
        self._share = 1.0 / populations
        self._started = 0
        self.judged = Population("judged", context.seed, lambda seeds: self._train(drop, seeds))
        self.donor = Population("donor", context.seed, lambda seeds: self._train(donors or drop, seeds))

    def _train(self, drop: Drop, seeds: Sequence[int]) -> Trace:
        done = self._started * self._share
        self._started += 1
        return self._fleet.train(
            Runs(
                seeds=seeds,
                lr=drop.schedule()[:, None],
                weight_decay=drop.decays()[:, None],
                init_norm=drop.start_norm,
            ),
            drop.steps,
            progress=lambda fraction: self._context.progress(min(1.0, done + fraction * self._share)),
        )


@dataclass(frozen=True)
class DropReadings:
    """What the runs of a drop say about one invariant group; n is always the number of runs used."""

    runs: DropRuns
    tensors: tuple[str, ...]
    _cache: dict[int, tuple[Array, Array]] = field(default_factory=dict)

    @property
    def drop(self) -> Drop:
        """The experiment."""
        return self.runs.drop

    def traces(self, n: int) -> list[GroupTrace]:
        """The whole traces of the judged runs, part by part."""
        return [trace.group(self.tensors) for trace in self.runs.judged.take(n)]

    def log_effective_lr(self, n: int) -> Array:
        """log of lr / r^2 at the grid, [n, points]."""
        grid = self.drop.grid()
        norm2 = self.runs.judged.gather(n, lambda trace: trace.group(self.tensors).norm2[grid])
        return np.asarray(np.log(self.drop.schedule()[grid][:, None] / norm2).T)

    def log_predicted(self, n: int) -> Array:
        """log effective LR at the grid from the mean noise of n donors, [points]."""
        return np.asarray(-0.5 * np.log(self._predicted_gamma(n)[0]))

    def deviations(self, n: int) -> Array:
        """(1 - gamma / predicted gamma) / 2 at the grid, one independent row a pair of runs, [n, points].

        To first order log(effective LR / prediction). Taken of gamma = r^4 / lr^2, which is linear in the
        noise, so that its mean over runs follows the mean noise; the mean of a logarithm would not, by half
        the variance between runs.
        """
        predicted, pseudo = self._predicted_gamma(n)
        measured = np.exp(-2.0 * self.log_effective_lr(n))
        return np.asarray(0.5 * (pseudo - measured) / predicted)

    def _predicted_gamma(self, n: int) -> tuple[Array, Array]:
        """gamma at the grid from the donors' noise: prediction [points] and its pseudo-values [n, points]."""
        if n not in self._cache:
            drop, grid = self.drop, self.drop.grid()
            lr = drop.schedule()
            self._cache[n] = predicted_from(
                self.runs.donor.gather(n, lambda trace: trace.group(self.tensors).unit_grad2),
                lr,
                drop.decays(),
                drop.start_norm**2 * len(self.tensors),
                lambda path: gamma(path[grid], lr[grid][:, None]),
            )
        return self._cache[n]

    def log_before(self, n: int) -> Array:
        """Per run, log effective LR over the last time constant of the norm before the drop, [n]."""
        window = max(1, round(1.0 / (4.0 * self.drop.intrinsic_lr)))
        return math.log(self.drop.lr) - self._log_norm2(n, slice(self.drop.before - window, self.drop.before))

    def log_end(self, n: int) -> Array:
        """Per run, log effective LR over the last quarter of a time constant of the training, [n]."""
        window = max(1, round(self.drop.intrinsic_factor / (16.0 * self.drop.intrinsic_lr)))
        lr = self.drop.lr / self.drop.factor
        return math.log(lr) - self._log_norm2(n, slice(self.drop.steps - window, self.drop.steps))

    def noise_change(self, n: int) -> float:
        """G^2 at the end over G^2 before the drop, each over some time constants of the norm."""
        drop = self.drop
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
