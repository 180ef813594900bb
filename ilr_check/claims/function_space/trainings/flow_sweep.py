"""Equilibria at many lambda_e and what a drop to a tiny effective LR, with the decay off, makes of each."""

from __future__ import annotations

from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from ilr_check.claims.claim import Context
from ilr_check.claims.function_space.trainings.flowing import FLOW_STEPS, LENGTH, LR, two_phases
from ilr_check.claims.function_space.trainings.functions import Course, FunctionPopulation, FunctionRuns
from ilr_check.data import DataSpec
from ilr_check.nets.specs import NetSpec
from ilr_check.optim.rules import Rule
from ilr_check.optim.sgd import UpdateRule
from ilr_check.stats import Estimate, estimate, may_be_lowest

Array = NDArray[np.float64]
Metric = Literal["held-out loss", "training loss"]
METRICS: tuple[Metric, ...] = ("held-out loss", "training loss")

SEEN = (0, 5, 10, 20, 50, 100, FLOW_STEPS)
"""Steps after the drop at which the functions are looked at."""
RIGHT_AFTER = 50
"""Steps after the drop that are judged: about half of what the flow gains has come by then."""

REPORTED = 1e-2
"""How often one of the reported intervals of a curve may miss; they share it."""


class FlowSweep(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Noisy phases at ``levels`` of lambda_e, each followed by the flow; ``pair`` are the two compared.

    At both of the pair the LR is taken ``lr_ratio`` times smaller too. ``planned`` are the run-to-run
    standard deviation and the control's effect, by metric; ``sweep_runs`` the runs a level of the reported
    sweep.
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
            raise ValueError(f"pair={self.pair} must be two of levels={self.levels}")

    def course(self, level: float, lr: float = LR) -> Course:
        """The runs at a level; the LR says where its weight decay lies."""
        return two_phases(f"lambda_e {level:g}, lr {lr:g}", level=level, lr=lr, length=self.length)

    def other(self, level: float) -> float:
        """The other one of the pair."""
        return self.pair[1] if level == self.pair[0] else self.pair[0]

    @property
    def small_lr(self) -> float:
        """The smaller of the two LRs at equal lambda_e."""
        return LR / self.lr_ratio


class FlowRuns:
    """The populations of a sweep, trained as they are asked for."""

    def __init__(self, sweep: FlowSweep, context: Context, rule: UpdateRule | Rule) -> None:
        self.sweep = sweep
        settings = {(level, LR): sweep.sweep_runs for level in sweep.levels}
        settings |= {(level, lr): sweep.looks[0] for level in sweep.pair for lr in (LR, sweep.small_lr)}
        courses = {key: sweep.course(*key) for key in settings}
        runs = FunctionRuns(
            sweep.net,
            sweep.data,
            context,
            planned_run_steps=sum(n * courses[key].steps for key, n in settings.items()),
            probes=sweep.probes,
            batch_size=sweep.batch_size,
            rule=rule,
        )
        self._populations: dict[tuple[float, float], FunctionPopulation] = {
            key: runs.population(course, tuple(course.steps - FLOW_STEPS + after for after in SEEN))
            for key, course in courses.items()
        }

    def read(self, metric: Metric, level: float, after: int, n: int, lr: float = LR) -> Array:
        """A metric of ``n`` runs, ``after`` steps after the drop, [n]."""
        population = self._populations[level, lr]
        functions = population.at(population.course.steps - FLOW_STEPS + after, n)
        return functions.loss if metric == "held-out loss" else functions.train_loss

    def along(self, metric: Metric, after: int) -> list[Estimate]:
        """Its mean at every level, with intervals that hold together."""
        samples = self._swept(metric, after)
        return [estimate([sample], [1.0], rate=REPORTED / len(samples)) for sample in samples]

    def best(self, metric: Metric, after: int) -> tuple[float, NDArray[np.bool_]]:
        """The level with the lowest mean, and for every level whether it may be the best."""
        samples = self._swept(metric, after)
        lowest = int(np.argmin([sample.mean() for sample in samples]))
        return self.sweep.levels[lowest], may_be_lowest(samples, rate=REPORTED)

    def difference(self, metric: Metric, after: int, n: int) -> Estimate:
        """Small lambda_e less large lambda_e of the pair."""
        pair = [self.read(metric, level, after, n) for level in sorted(self.sweep.pair)]
        return estimate(pair, [1.0, -1.0], rate=REPORTED)

    def _swept(self, metric: Metric, after: int) -> list[Array]:
        return [self.read(metric, level, after, self.sweep.sweep_runs) for level in self.sweep.levels]
