"""Judged runs, noise references that measure the gradient noise, and what both say about one group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Generic, Protocol, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from ilr_check.claims.lab import Lab, Role
from ilr_check.claims.mean_field.trainings.transfer import predicted_from
from ilr_check.data import DataSpec, TangentNoise
from ilr_check.nets.specs import NetSpec
from ilr_check.train.fleet import Runs
from ilr_check.train.trace import GroupTrace, Trace

Array = NDArray[np.float64]


class Training(Protocol):
    """What the runs of a population share; lr and weight decay have one value for each step."""

    @property
    def net(self) -> NetSpec: ...
    @property
    def data(self) -> DataSpec: ...
    @property
    def batch_size(self) -> int: ...
    @property
    def initial_norm(self) -> float:
        """Initial norm of every tensor, equal in all runs, so that a prediction needs no judged run."""
        ...

    @property
    def noise(self) -> TangentNoise | None: ...
    @property
    def looks(self) -> tuple[int, ...]: ...
    @property
    def steps(self) -> int: ...
    def schedule(self) -> Array:
        """The LR at each step."""
        ...

    def decays(self) -> Array:
        """The weight decay at each step."""
        ...

    def grid(self) -> NDArray[np.intp]:
        """Steps at which curves are compared."""
        ...


AnyTraining = TypeVar("AnyTraining", bound=Training)


class TrainingSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The fields that every training has: net, data, the sizes of its populations.

    With ``noise`` the training is the control, whose noise has constant trace. ``planned_sd`` is the
    run-to-run standard deviation of the judged quantity that the design must cope with, checked before any
    training. At the worst point of the curve these nets have 0.03 to 0.09, the control 0.003 to 0.01.
    """

    title: str
    net: NetSpec
    data: DataSpec
    lr: float = 0.5
    batch_size: int = 32
    noise: TangentNoise | None = None
    planned_sd: float | None = 0.08
    looks: tuple[int, ...] = (64, 128, 256)


class TransferRuns(Generic[AnyTraining]):
    """The judged runs of a training, and the other runs whose gradient noise predicts theirs.

    ``rule`` is an update rule of the fleet, and ``hyper`` what it has beyond lr and weight decay.
    """

    def __init__(
        self,
        training: AnyTraining,
        lab: Lab,
        *,
        rule: str = "sgd",
        hyper: Mapping[str, float] | None = None,
        lanes: int | None = None,
    ) -> None:
        self.training, self._lab = training, lab
        self._rule, self._hyper, self._lanes = rule, dict(hyper or {}), lanes
        self.judged = lab.population("judged", partial(self._train, "judged"))
        self.noise_reference = lab.population("noise reference", partial(self._train, "noise reference"))

    def _train(self, role: Role, seeds: Sequence[int]) -> Trace:
        training = self.training
        fleet = self._lab.fleet(
            training.net,
            training.data,
            batch_size=training.batch_size,
            rule=self._rule,
            noise=training.noise,
            lanes=self._lanes,
            role=role,
        )
        settings = Runs(
            seeds=seeds,
            lr=training.schedule()[:, None],
            weight_decay=training.decays()[:, None],
            initial_norm=training.initial_norm,
            hyper=self._hyper,
        )
        return self._lab.train(fleet, settings, training.steps)


def run_steps(training: Training) -> int:
    """Return the run-steps of a first look; the control with added noise needs no noise reference."""
    return (1 if training.noise else 2) * training.looks[0] * training.steps


@dataclass(frozen=True)
class TransferReadings(Generic[AnyTraining]):
    """What the runs of a training say about one invariant group; n is the number of runs that are used."""

    runs: TransferRuns[AnyTraining]
    tensors: tuple[str, ...]
    _cache: dict[int, tuple[Array, Array]] = field(default_factory=dict)

    @property
    def training(self) -> AnyTraining:
        """The experiment."""
        return self.runs.training

    def traces(self, n: int) -> list[GroupTrace]:
        """Return the whole traces of the judged runs, part by part."""
        return [trace.group(self.tensors) for trace in self.runs.judged.take(n)]

    def log_effective_lr(self, n: int) -> Array:
        """Return the log of lr / r^2 at the grid, [n, points]; the grid must leave out steps with lr = 0."""
        grid = self.training.grid()
        return np.asarray(np.log(self.training.schedule()[grid]) - np.log(self._norm2(n, grid)))

    def log_predicted(self, n: int) -> Array:
        """Return the log effective LR at the grid, predicted from n noise references, [points]."""
        grid = self.training.grid()
        return np.asarray(np.log(self.training.schedule()[grid]) - 0.5 * np.log(self._predicted(n)[0]))

    def deviations(self, n: int) -> Array:
        """Return (1 - r^4 / predicted r^4) / 2 at the grid, one independent row a pair of runs, [n, points].

        To first order it is log(effective LR / prediction). r^4 is lr^2 gamma and linear in the noise, so
        that its mean over runs follows the mean noise. The mean of a logarithm would be off by half the
        variance between runs. The first run is paired with the last noise reference, so that what is wrong
        with the same runs of both populations does not cancel in a row.
        """
        predicted, pseudo = self._predicted(n)
        return np.asarray(0.5 * (pseudo[::-1] - self._norm2(n, self.training.grid()) ** 2) / predicted)

    def _norm2(self, n: int, at: NDArray[np.intp]) -> Array:
        return self.runs.judged.gather(n, lambda trace: trace.group(self.tensors).norm2[at]).T

    def _predicted(self, n: int) -> tuple[Array, Array]:
        """Return the predicted r^4 at the grid, [points], and its pseudo-values [n, points]."""
        if n not in self._cache:
            training, grid = self.training, self.training.grid()
            self._cache[n] = predicted_from(
                self.runs.noise_reference.gather(n, lambda trace: trace.group(self.tensors).unit_grad2),
                training.schedule(),
                training.decays(),
                training.initial_norm**2 * len(self.tensors),
                lambda path: path[grid] ** 2,
            )
        return self._cache[n]
