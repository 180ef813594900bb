"""Trainings at several intrinsic LRs, each of populations that differ in their LR only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from ilr_check.claims.claim import Context
from ilr_check.claims.mean_field.trainings.transfer import relaxation_rates
from ilr_check.claims.populations import Population
from ilr_check.data import DataSpec
from ilr_check.nets.specs import NetSpec
from ilr_check.optim.sgd import UpdateRule
from ilr_check.theory.relaxation import gamma_path, memory_rate
from ilr_check.train.choice import usual_lanes
from ilr_check.train.fleet import Fleet, Runs
from ilr_check.train.trace import Trace

Array = NDArray[np.float64]
Kind = Literal["fast", "slow", "noise reference"]
"""``fast`` trains at lr; ``slow`` at lr / lr_ratio, and so does the ``noise_reference`` of its noise."""

LANES = 48
"""The first look's runs of a population, so that it is one chunk where the net is flat."""


class Sweep(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is trained: ``length / lambda_e`` steps at each of ``levels`` of lambda_e.

    ``initial_norm`` is the initial norm of every tensor at lambda_e = 4e-3. It follows the equilibrium norm
    over the levels, so that every level starts at the same multiple of its equilibrium. ``compare`` are
    the levels of the populations compared as functions, and of their control; equal for none.
    ``planned_sd`` is the run-to-run standard deviation of log(rate) that the design has to cope with, checked
    before any training; the nets here have 0.03 to 0.08.
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
    """Steps until two populations agree, by level: measured, predicted from the noise references' noise,
    and for
    constant noise; NaN where they do not within the training."""

    measured: Array
    predicted: Array
    constant_noise: Array


class SweepRuns:
    """The runs of a sweep, trained as they are asked for; tests plant defects through ``rule``."""

    def __init__(self, sweep: Sweep, context: Context, *, rule: UpdateRule) -> None:
        self.sweep = sweep
        self._total = 3.0 * sweep.looks[0] * sum(sweep.steps(level) for level in sweep.levels)
        self.fleet = Fleet(
            sweep.net,
            sweep.data,
            batch_size=sweep.batch_size,
            rule=rule,
            device=context.device,
            lanes=min(LANES, usual_lanes(sweep.net, context.device)),
            expected_run_steps=int(self._total),
        )
        self._context, self._done = context, 0.0
        self._populations: dict[tuple[Kind, float], Population] = {}
        self._rates: dict[tuple[tuple[str, ...], float, int], Array] = {}

    def population(self, kind: Kind, level: float) -> Population:
        """The runs of one kind at one level."""
        key = (kind, level)
        if key not in self._populations:
            self._populations[key] = Population(
                f"{kind} {level:g}", self._context.seed, lambda seeds: self._train(kind, level, seeds)
            )
        return self._populations[key]

    def norm2(self, kind: Kind, level: float, tensors: tuple[str, ...], n: int) -> Array:
        """Squared norms of a group at every step, [T, n]."""
        return self.population(kind, level).gather(n, lambda trace: trace.group(tensors).norm2)

    def log_rates(self, tensors: tuple[str, ...], level: float, n: int) -> Array:
        """log(relaxation rate / theory) of the slow runs, with the noise of their noise references, [n]."""
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
        """Steps until the mean effective LRs of fast and slow agree within 10 %, at each level.

        ``constant_noise``: both forget their start at the same rate, from gammas that differ by lr_ratio^2,
        so with one constant noise they meet after log((lr_ratio^2 - 1) gamma_0 / (0.21 gamma*)) / rate.
        """
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

    def mean_loss(self, kind: Kind, level: float, n: int) -> Array:
        """Minibatch loss at every step, mean over runs, [T]."""
        losses = self.population(kind, level).gather(n, lambda trace: trace.loss)
        return np.asarray(losses.mean(axis=1))

    def functions(self, kind: Kind, level: float, n: int) -> tuple[Array, Array]:
        """What the trained runs are as functions: loss on all data [n], probabilities on probes [n, d].

        Norm layers take their statistics from all data at once, so that a run's outputs are its own.
        """
        data = self.fleet.dataset
        every = max(1, len(data) // self.sweep.probes)
        losses, probabilities = [], []
        for trace in self.population(kind, level).take(n):
            log_p = torch.log_softmax(self.fleet.logits(trace.final, data.x).double(), dim=-1)
            picked = log_p.gather(2, data.y.expand(log_p.shape[0], -1)[..., None])
            losses.append(-picked[..., 0].mean(dim=1).cpu().numpy())
            probes = log_p[:, ::every][:, : self.sweep.probes].exp()
            probabilities.append(probes.flatten(1).cpu().numpy())
        return np.concatenate(losses)[:n], np.concatenate(probabilities)[:n]

    def _train(self, kind: Kind, level: float, seeds: Sequence[int]) -> Trace:
        steps, lr, done = self.sweep.steps(level), self.sweep.lr_of(kind), self._done
        self._done += len(seeds) * steps / self._total
        width = self._done - done
        return self.fleet.train(
            Runs(seeds=seeds, lr=lr, weight_decay=level / lr, initial_norm=self.sweep.norm_at(level)),
            steps,
            progress=lambda fraction: self._context.progress(min(1.0, done + width * fraction)),
        )


def _first_within(difference: Array) -> float:
    """First step at which a difference of logarithms is at most log(1.1); NaN if never."""
    close = np.flatnonzero(np.abs(difference) <= math.log(1.1))
    return float(close[0]) if close.size else math.nan
