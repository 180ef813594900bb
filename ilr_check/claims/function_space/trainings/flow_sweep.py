"""Equilibria at many lambda_e, each followed by a drop to a tiny effective LR with the decay off."""

from __future__ import annotations

from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from ilr_check.claims.function_space.trainings.flowing import FLOW_STEPS, LENGTH, LR, two_phases
from ilr_check.claims.function_space.trainings.functions import FunctionPopulation, FunctionRuns, History
from ilr_check.claims.lab import Lab
from ilr_check.data import DataSpec
from ilr_check.nets.specs import NetSpec
from ilr_check.stats import Estimate, estimate, may_be_lowest

Array = NDArray[np.float64]
Metric = Literal["held-out loss", "training loss"]
METRICS: tuple[Metric, ...] = ("held-out loss", "training loss")

SEEN = (0, 5, 10, 20, 50, 100, FLOW_STEPS)
"""Steps after the drop at which the functions are evaluated."""
RIGHT_AFTER = 50
"""The step after the drop that is judged. By then the flow has made about half of its gain."""

REPORTED = 1e-2
"""The chance that any of the reported intervals of one curve misses its mean; they share it."""


class FlowSweep(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Noisy phases at ``levels`` of lambda_e, each followed by the flow; two of them, ``pair``, are compared.

    At both levels of the pair there are also runs with an LR that is ``lr_ratio`` times smaller. ``planned``
    gives the run-to-run standard deviation and the control's effect, by metric. ``sweep_runs`` is the number
    of runs at each level of the reported sweep.
    """

    title: str
    net: NetSpec
    data: DataSpec
    levels: tuple[float, ...]
    pair: tuple[float, float]
    planned: dict[str, tuple[float, float]]
    lr_ratio: float = 10.0
    length: float = LENGTH
    probes: int = 128
    batch_size: int = 32
    sweep_runs: int = 64
    looks: tuple[int, ...] = (128, 384)

    def __post_init__(self) -> None:
        if not set(self.pair) <= set(self.levels):
            raise ValueError(f"pair={self.pair} must be two of levels={self.levels}; take both from levels")

    def course(self, level: float, lr: float = LR) -> History:
        """Return the runs at a level; with this LR the weight decay is level / lr."""
        return two_phases(f"lambda_e {level:g}, lr {lr:g}", level=level, lr=lr, length=self.length)

    def other(self, level: float) -> float:
        """Return the other level of the pair."""
        return self.pair[1] if level == self.pair[0] else self.pair[0]

    @property
    def small_lr(self) -> float:
        """The smaller of the two LRs at equal lambda_e."""
        return LR / self.lr_ratio

    def planned_runs(self) -> dict[tuple[float, float], int]:
        """Return the runs of a first look, by level and LR."""
        runs = {(level, LR): self.sweep_runs for level in self.levels}
        return runs | {(level, lr): self.looks[0] for level in self.pair for lr in (LR, self.small_lr)}

    def run_steps(self) -> int:
        """Return the run-steps of the first look."""
        return sum(n * self.course(*key).steps for key, n in self.planned_runs().items())


class FlowRuns:
    """The populations of a sweep."""

    def __init__(self, sweep: FlowSweep, lab: Lab) -> None:
        self.sweep = sweep
        courses = {key: sweep.course(*key) for key in sweep.planned_runs()}
        runs = FunctionRuns(lab, sweep.net, sweep.data, probes=sweep.probes, batch_size=sweep.batch_size)
        self._populations: dict[tuple[float, float], FunctionPopulation] = {
            key: runs.population(course, tuple(course.steps - FLOW_STEPS + after for after in SEEN))
            for key, course in courses.items()
        }

    def read(self, metric: Metric, level: float, after: int, n: int, lr: float = LR) -> Array:
        """Return a metric of ``n`` runs, ``after`` steps after the drop, [n]."""
        population = self._populations[level, lr]
        functions = population.at(population.course.steps - FLOW_STEPS + after, n)
        return functions.loss if metric == "held-out loss" else functions.train_loss

    def along(self, metric: Metric, after: int) -> list[Estimate]:
        """Return the mean of a metric at every level, with intervals that hold together."""
        samples = self._swept(metric, after)
        return [estimate([sample], [1.0], rate=REPORTED / len(samples)) for sample in samples]

    def best(self, metric: Metric, after: int) -> tuple[float, NDArray[np.bool_]]:
        """Return the level with the lowest mean, and for every level whether it may be the best."""
        samples = self._swept(metric, after)
        lowest = int(np.argmin([sample.mean() for sample in samples]))
        return self.sweep.levels[lowest], may_be_lowest(samples, rate=REPORTED)

    def difference(self, metric: Metric, after: int, n: int) -> Estimate:
        """Return a metric at the small lambda_e of the pair less that at the large one."""
        pair = [self.read(metric, level, after, n) for level in sorted(self.sweep.pair)]
        return estimate(pair, [1.0, -1.0], rate=REPORTED)

    def _swept(self, metric: Metric, after: int) -> list[Array]:
        return [self.read(metric, level, after, self.sweep.sweep_runs) for level in self.sweep.levels]
