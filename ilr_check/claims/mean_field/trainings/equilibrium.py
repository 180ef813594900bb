"""Trainings with constant settings that forget their start and then measure norm, noise and rotation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from ilr_check.claims.lab import Lab, Role
from ilr_check.data import DataSpec, TangentNoise
from ilr_check.nets.specs import NetSpec
from ilr_check.seeds import derive
from ilr_check.theory.momentum import (
    heavy_ball_cosine,
    heavy_ball_gain,
    intrinsic_lr,
    nesterov_cosine,
    nesterov_gain,
)
from ilr_check.train.fleet import Runs
from ilr_check.train.trace import GroupTrace, Trace

Array = NDArray[np.float64]
RuleName = Literal["sgd", "heavy-ball", "nesterov", "adamw", "nadamw", "lion", "adam", "rmsprop", "muon"]


class Level(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Constant hyper-parameters of one optimizer; ``rule`` is one of those that the fleet models."""

    lr: float
    weight_decay: float
    rule: RuleName = "sgd"
    momentum: float = 0.0
    dampening: float = 0.0
    hyper: dict[str, float] = {}
    """Further hyper-parameters of the rule, such as beta1."""
    memory_rate: float = 0.0
    """lambda_e where it is not lr * weight_decay / (1 - momentum); 0 where it is."""

    def __hash__(self) -> int:
        return hash(msgspec.json.encode(self))

    @property
    def intrinsic_lr(self) -> float:
        """lambda_e, the rate at which the norm forgets: lr * weight_decay / (1 - momentum)."""
        if self.memory_rate:
            return self.memory_rate
        return float(intrinsic_lr(self.lr, self.weight_decay, self.momentum, self.dampening))

    @property
    def gain(self) -> float:
        """r^4 at equilibrium over the squared unit-sphere gradient."""
        if self.rule == "nesterov":
            return float(nesterov_gain(self.lr, self.weight_decay, self.momentum))
        return float(heavy_ball_gain(self.lr, self.weight_decay, self.momentum, self.dampening))

    @property
    def cosine(self) -> float:
        """E<w, w'> / E r^2 at equilibrium."""
        if self.rule == "nesterov":
            return float(nesterov_cosine(self.lr, self.weight_decay, self.momentum))
        return float(heavy_ball_cosine(self.lr, self.weight_decay, self.momentum, self.dampening))

    def words(self) -> str:
        """The level in a few words."""
        momentum = f", momentum {self.momentum:g} ({self.rule})" if self.momentum else ""
        rule = "" if self.rule == "sgd" or self.momentum else f" ({self.rule})"
        return f"lr {self.lr:g}, wd {self.weight_decay:g}{momentum}{rule}"


class Equilibrium(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """At each level ``burn_in / lambda_e`` steps to forget the start, then ``window / lambda_e`` to measure.

    ``initial_norm`` is the initial norm of every tensor at a gain of 1. It is proportional to gain^(1/4), so
    that every level starts at about the same multiple of its equilibrium. ``initial_norms`` gives it level by
    level instead. ``planned_sd`` is the run-to-run standard deviation of the judged deviations that the
    design must cope with, checked before any training.
    """

    title: str
    net: NetSpec
    data: DataSpec
    levels: tuple[Level, ...]
    burn_in: float = 2.0
    window: float = 4.0
    batch_size: int = 32
    initial_norm: float = 1.0
    initial_norms: tuple[float, ...] = ()
    noise: TangentNoise | None = None
    planned_sd: float | None = 0.08
    looks: tuple[int, ...] = (64, 128, 256)

    def burn_steps(self, level: Level) -> int:
        """Steps before the window."""
        return round(self.burn_in / level.intrinsic_lr)

    def window_steps(self, level: Level) -> int:
        """Steps of the window."""
        return round(self.window / level.intrinsic_lr)

    def norm_at(self, level: Level) -> float:
        """Initial norm of every tensor at this level."""
        if self.initial_norms:
            return self.initial_norms[self.levels.index(level)]
        return float(self.initial_norm * level.gain**0.25)

    def steps(self, level: Level) -> int:
        """Steps of a training at this level."""
        return self.burn_steps(level) + self.window_steps(level)

    def steps_of_all(self) -> int:
        """Steps of one training at every level."""
        return sum(self.steps(level) for level in self.levels)


class EquilibriumRuns:
    """The judged runs at every level, and the other runs whose gradient noise predicts theirs."""

    def __init__(self, experiment: Equilibrium, lab: Lab) -> None:
        self.experiment, self._lab = experiment, lab

    def streams(self, level: Level, n: int, measure: Callable[[Sequence[int]], Array]) -> Array:
        """Return ``measure`` of ``n`` seeds that no run has, for an optimizer that steps without a net."""
        return measure([derive(self._lab.seed, "stream", level.words(), i) for i in range(n)])

    def window(self, role: Role, level: Level, tensors: tuple[str, ...], n: int) -> Window:
        """Return what ``n`` runs at a level measured of a group after the start was forgotten."""
        population = self._lab.population(f"{role} {level.words()}", partial(self._train, role, level))
        parts = [trace.group(tensors) for trace in population.take(n)]
        return Window(parts, self.experiment.burn_steps(level), n)

    def _train(self, role: Role, level: Level, seeds: Sequence[int]) -> Trace:
        experiment = self.experiment
        fleet = self._lab.fleet(
            experiment.net,
            experiment.data,
            batch_size=experiment.batch_size,
            rule=level.rule,
            noise=experiment.noise,
            role=role,
        )
        settings = Runs(
            seeds=seeds,
            lr=level.lr,
            weight_decay=level.weight_decay,
            momentum=level.momentum,
            dampening=level.dampening,
            hyper=level.hyper,
            initial_norm=experiment.norm_at(level),
        )
        return self._lab.train(fleet, settings, experiment.steps(level))


@dataclass(frozen=True)
class Window:
    """Time means of single runs over the window, each [n]."""

    parts: list[GroupTrace]
    start: int
    n: int

    @property
    def fourth_power(self) -> Array:
        """Mean of r^4."""
        return self._mean(lambda part: part.norm2**2)

    @property
    def norm2(self) -> Array:
        """Mean of r^2."""
        return self._mean(lambda part: part.norm2)

    @property
    def inner(self) -> Array:
        """Mean of <w, w'>."""
        return self._mean(lambda part: part.inner)

    @property
    def log_norm(self) -> Array:
        """Mean of log r."""
        return self._mean(lambda part: 0.5 * np.log(part.norm2))

    @property
    def growth(self) -> Array:
        """log(r_T / r_0), from the first step of the window to its last."""
        means = [0.5 * np.log(part.norm2[-1] / part.norm2[self.start]) for part in self.parts]
        return np.asarray(np.concatenate(means)[: self.n])

    @property
    def unit_grad2(self) -> Array:
        """Mean of the squared gradient on the unit sphere."""
        return self._mean(lambda part: part.unit_grad2)

    @property
    def log_cosine(self) -> Array:
        """Mean of log cos of the rotation per step."""
        return self._mean(lambda part: -0.5 * np.log1p(part.tangent**2))

    def _mean(self, read: Any) -> Array:
        means = [read(part)[self.start :].mean(axis=0) for part in self.parts]
        return np.asarray(np.concatenate(means)[: self.n])
