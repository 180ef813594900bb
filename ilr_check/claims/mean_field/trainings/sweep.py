"""Trainings at several intrinsic LRs, each of populations that differ in their LR only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Literal, NamedTuple

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from ilr_check.claims.lab import Lab, Population
from ilr_check.claims.mean_field.trainings.transfer import relaxation_rates
from ilr_check.data import DataSpec
from ilr_check.nets.specs import NetSpec
from ilr_check.theory.relaxation import gamma_path, memory_rate
from ilr_check.train.choice import usual_lanes
from ilr_check.train.fleet import Fleet, Runs
from ilr_check.train.trace import Trace

Array = NDArray[np.float64]
Kind = Literal["fast", "slow", "noise reference"]
"""``fast`` trains at lr; ``slow`` at lr / lr_ratio, and so do the noise references that predict it."""

PAIR: tuple[Kind, Kind] = ("fast", "slow")
"""The populations that are judged."""

LANES = 48
"""The number of runs of a population in its first look, so that it is one chunk where the net is flat."""


class Sweep(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is trained: ``length / lambda_e`` steps at each of ``levels`` of lambda_e = lr * weight_decay.

    ``initial_norm`` is the initial norm of every tensor at lambda_e = 4e-3. It follows the equilibrium norm
    over the levels, so that every level starts at the same multiple of its equilibrium. ``compare`` is the
    level of the populations that are compared as functions, and that of their control; equal for none.
    ``planned_sd`` is the run-to-run standard deviation of log(rate) that the design must cope with, checked
    before any training; these nets have 0.03 to 0.08.
    """

    title: str
    net: NetSpec
    data: DataSpec
    levels: tuple[float, ...] = (1e-3, 2e-3, 4e-3, 8e-3, 1.6e-2, 3.2e-2)
    lr: float = 0.5
    lr_ratio: float = 10.0
    length: float = 3.0
    initial_norm: float = 3.0
    batch_size: int = 32
    compare: tuple[float, float] = (4e-3, 3.2e-2)
    probes: int = 64
    planned_sd: float | None = 0.08
    looks: tuple[int, ...] = (48, 96, 192)

    def steps(self, level: float) -> int:
        """Steps of a training at this intrinsic LR."""
        return round(self.length / level)

    def lr_of(self, kind: Kind) -> float:
        """The LR of a population."""
        return self.lr if kind == "fast" else self.lr / self.lr_ratio

    def norm_at(self, level: float) -> float:
        """Initial norm of every tensor at this intrinsic LR: proportional to lambda_e^(-1/4)."""
        return self.initial_norm * math.sqrt(math.sqrt(4e-3 / level))


class MeetingTimes(NamedTuple):
    """Steps until two populations agree, by level; NaN where they do not agree within the training.

    They are measured, predicted from the noise of the noise references, and predicted for constant noise.
    """

    measured: Array
    predicted: Array
    constant_noise: Array


class SweepRuns:
    """The runs of a sweep, trained as they are needed."""

    def __init__(self, sweep: Sweep, lab: Lab) -> None:
        self.sweep, self._lab = sweep, lab
        self._rates: dict[tuple[tuple[str, ...], float, int], Array] = {}
        self._meetings: dict[tuple[tuple[str, ...], int], MeetingTimes] = {}

    def population(self, kind: Kind, level: float) -> Population:
        """Return the runs of one kind at one level."""
        return self._lab.population(f"{kind} {level:g}", partial(self._train, kind, level))

    def norm2(self, kind: Kind, level: float, tensors: tuple[str, ...], n: int) -> Array:
        """Return the squared norms of a group at every step, [T, n]."""
        return self.population(kind, level).gather(n, lambda trace: trace.group(tensors).norm2)

    def log_rates(self, tensors: tuple[str, ...], level: float, n: int) -> Array:
        """Return log(relaxation rate / theory) of the slow runs, given their noise references, [n]."""
        key = (tensors, level, n)
        if key not in self._rates:
            noise_references = self.population("noise reference", level)
            self._rates[key] = relaxation_rates(
                self.norm2("slow", level, tensors, n),
                noise_references.gather(n, lambda trace: trace.group(tensors).unit_grad2),
                lr=self.sweep.lr_of("slow"),
                intrinsic_lr=level,
                start2=self.sweep.norm_at(level) ** 2 * len(tensors),
            )
        return self._rates[key]

    def meeting_times(self, tensors: tuple[str, ...], n: int) -> MeetingTimes:
        """Return the steps until the mean effective LRs of fast and slow agree within 10 %, at each level.

        ``constant_noise``: both forget their start at the same rate, from gammas that differ by lr_ratio^2.
        With one constant noise they meet after log((lr_ratio^2 - 1) gamma_0 / (0.21 gamma*)) / rate.
        """
        if (tensors, n) not in self._meetings:
            self._meetings[tensors, n] = self._meeting_times(tensors, n)
        return self._meetings[tensors, n]

    def _meeting_times(self, tensors: tuple[str, ...], n: int) -> MeetingTimes:
        measured, predicted, constant = [], [], []
        for level in self.sweep.levels:
            start2 = self.sweep.norm_at(level) ** 2 * len(tensors)
            lr, rate = self.sweep.lr_of("slow"), float(memory_rate(level))
            fast2 = self.norm2("fast", level, tensors, n)
            noise = self.population("noise reference", level).gather(
                n, lambda trace: trace.group(tensors).unit_grad2
            )
            path = gamma_path((start2 / lr) ** 2, noise.mean(axis=1), np.exp(-0.5 * rate))
            fast = np.log(self.sweep.lr_of("fast") / fast2).mean(axis=1)
            slow = np.log(lr / self.norm2("slow", level, tensors, n)).mean(axis=1)
            measured.append(_first_within(fast - slow))
            predicted.append(_first_within(fast + 0.5 * np.log(path)))
            distance = (self.sweep.lr_ratio**2 - 1.0) * start2**2 / float((fast2[-1] ** 2).mean())
            constant.append(math.log(max(1.0, distance / (1.1**2 - 1.0))) / rate)
        return MeetingTimes(np.array(measured), np.array(predicted), np.array(constant))

    def meeting_slopes(self, tensors: tuple[str, ...], n: int) -> Array | None:
        """Return pseudo-values of the slope of log(meeting time) against log(1/lambda_e), [n].

        A run of each population is left out at once. The result is ``None`` where two populations of a level
        do not meet within the training.
        """
        x = -np.log(np.array(self.sweep.levels))
        weights = (x - x.mean()) / ((x - x.mean()) ** 2).sum()
        total = np.zeros(n)
        for level, weight in zip(self.sweep.levels, weights, strict=True):
            lrs = math.log(self.sweep.lr_of("fast") / self.sweep.lr_of("slow"))
            fast, slow = (np.log(self.norm2(kind, level, tensors, n)) for kind in PAIR)
            gaps = lrs - fast + slow
            mean = gaps.mean(axis=1)
            times = np.array(
                [_first_within(mean), *(_first_within((n * mean - g) / (n - 1)) for g in gaps.T)]
            )
            if not np.all(times > 0.0):
                return None
            logs = np.log(times)
            total += weight * (n * logs[0] - (n - 1) * logs[1:])
        return total

    def mean_loss(self, kind: Kind, level: float, n: int) -> Array:
        """Return the minibatch loss at every step, as a mean over runs, [T]."""
        losses = self.population(kind, level).gather(n, lambda trace: trace.loss)
        return np.asarray(losses.mean(axis=1))

    def functions(self, kind: Kind, level: float, n: int) -> tuple[Array, Array]:
        """Return the trained runs as functions: loss on all data [n] and probabilities on probes [n, d].

        Norm layers take their statistics from all data at once, so that a run's outputs are its own.
        """
        fleet = self._fleet(kind)
        data = fleet.dataset
        every = max(1, len(data) // self.sweep.probes)
        losses, probabilities = [], []
        for trace in self.population(kind, level).take(n):
            log_p = torch.log_softmax(fleet.logits(trace.final, data.x).double(), dim=-1)
            picked = log_p.gather(2, data.y.expand(log_p.shape[0], -1)[..., None])
            losses.append(-picked[..., 0].mean(dim=1).cpu().numpy())
            probes = log_p[:, ::every][:, : self.sweep.probes].exp()
            probabilities.append(probes.flatten(1).cpu().numpy())
        return np.concatenate(losses)[:n], np.concatenate(probabilities)[:n]

    def _fleet(self, kind: Kind) -> Fleet:
        sweep = self.sweep
        return self._lab.fleet(
            sweep.net,
            sweep.data,
            batch_size=sweep.batch_size,
            lanes=min(LANES, usual_lanes(sweep.net, self._lab.context.device)),
            role="noise reference" if kind == "noise reference" else "judged",
        )

    def _train(self, kind: Kind, level: float, seeds: Sequence[int]) -> Trace:
        lr, norm = self.sweep.lr_of(kind), self.sweep.norm_at(level)
        settings = Runs(seeds=seeds, lr=lr, weight_decay=level / lr, initial_norm=norm)
        return self._lab.train(self._fleet(kind), settings, self.sweep.steps(level))


def _first_within(difference: Array) -> float:
    """Return the time at which a difference of logarithms falls to log(1.1); NaN if it does not.

    It is interpolated between two steps, so that leaving a run out of a mean changes it smoothly.
    """
    bound, size = math.log(1.1), np.abs(difference)
    close = np.flatnonzero(size <= bound)
    if not close.size:
        return math.nan
    at = int(close[0])
    if at == 0:
        return 0.0
    before, after = float(size[at - 1]), float(size[at])
    return at - (bound - after) / (before - after)
