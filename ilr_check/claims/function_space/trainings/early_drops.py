"""Runs whose LR drops early or late in one budget of steps: their functions before the drop and at the end.

Every time is in units of 1/lambda_e of the first LR, lambda_e = lr * weight decay.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from ilr_check.claims.function_space.trainings.functions import (
    FunctionPopulation,
    FunctionRuns,
    Functions,
    History,
    Stage,
)
from ilr_check.claims.lab import Lab
from ilr_check.claims.law import Examined, Part
from ilr_check.data import DataSpec
from ilr_check.nets.specs import NetSpec
from ilr_check.stats import DistributionEquivalence, pairwise_distances

Array = NDArray[np.float64]

DISTANCE = "distance"
"""The figure of what is judged."""

LATE_SHARE = 0.1
"""The share of the distance to four times lambda_e that counts as no distance for a late drop. An energy
distance grows like the square of a small difference, so less than a third of the control's difference counts
as equal."""
EARLY_SHARE = 0.25
"""A drop counts as before equilibrium where the late drop is at less than half of its distance from it."""


class Early(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Populations that drop the LR by ``factor`` after each of ``times``, and one that never does.

    All have ``budget`` over lambda_e steps. The last of ``times`` must come after equilibrium, and the times
    below ``early`` before it; the times between are reported. ``planned`` gives the run-to-run standard
    deviation of the excess and the control's effect, by decision.
    """

    title: str
    net: NetSpec
    data: DataSpec
    planned: dict[str, tuple[float, float]]
    lr: float = 0.5
    weight_decay: float = 0.032
    factor: float = 10.0
    times: tuple[float, ...] = (0.1, 0.3, 1.0, 3.0)
    early: float = 0.5
    budget: float = 6.0
    initial_norm: float = 4.0
    probes: int = 128
    batch_size: int = 32
    looks: tuple[int, ...] = (192, 768)

    @property
    def intrinsic_lr(self) -> float:
        """lr * weight_decay before the drop."""
        return self.lr * self.weight_decay

    @property
    def steps(self) -> int:
        """Steps of every run."""
        return self.at(self.budget)

    def at(self, time: float) -> int:
        """Return the number of steps of a time."""
        return max(1, round(time / self.intrinsic_lr))

    def dropped(self, time: float) -> History:
        """Return the runs that drop after ``time``."""
        first, last = self.lr, self.lr / self.factor
        before = self.at(time)
        return self._course(
            f"dropped after {time:g}",
            Stage(steps=before, lr=first, weight_decay=self.weight_decay),
            Stage(steps=self.steps - before, lr=last, weight_decay=self.weight_decay),
        )

    def constant(self) -> History:
        """Return the runs that never drop, which end at equilibrium."""
        return self._course(
            "never dropped", Stage(steps=self.steps, lr=self.lr, weight_decay=self.weight_decay)
        )

    def control(self) -> History:
        """Return another equilibrium, at four times lambda_e, after as many of its own 1/lambda_e."""
        return self._course(
            "four times lambda_e",
            Stage(steps=self.steps // 4, lr=self.lr, weight_decay=4.0 * self.weight_decay),
        )

    def parts(self) -> list[Part]:
        """Return what is judged: the late drop, and each early one; ``what`` is the time."""
        return [
            Part(
                f"dropped after {time:g}/lambda_e: predictions before it",
                what=time,
                name=f"dropped after {time:g}",
                figure=DISTANCE,
            )
            for time in (self.times[-1], *(t for t in self.times if t < self.early))
        ]

    def run_steps(self) -> int:
        """Return the run-steps of the first look."""
        courses = (*map(self.dropped, self.times), self.constant(), self.control())
        return self.looks[0] * sum(course.steps for course in courses)

    def _course(self, name: str, *phases: Stage) -> History:
        return History(name=name, phases=phases, initial_norm=self.initial_norm)


class EarlyRuns:
    """The populations of an experiment."""

    def __init__(self, early: Early, lab: Lab) -> None:
        self.early = early
        runs = FunctionRuns(lab, early.net, early.data, probes=early.probes, batch_size=early.batch_size)
        self._dropped: dict[float, FunctionPopulation] = {
            t: runs.population(early.dropped(t), (early.at(t), early.steps)) for t in early.times
        }
        self._constant = runs.population(early.constant(), (early.steps,))
        self._distances: dict[bytes, float] = {}
        self._control = runs.population(early.control(), (early.control().steps,))

    def before(self, time: float, n: int) -> Functions:
        """Return the functions of runs as their LR drops after ``time``."""
        return self._dropped[time].at(self.early.at(time), n)

    def final(self, time: float, n: int) -> Functions:
        """Return the functions of the same runs at the end of the budget."""
        return self._dropped[time].at(self.early.steps, n)

    def equilibrium(self, n: int) -> Functions:
        """Return the functions of runs that never dropped, at the end of the budget."""
        return self._constant.at(self.early.steps, n)

    def control(self, n: int) -> Functions:
        """Return the functions at the other equilibrium."""
        return self._control.at(self._control.course.steps, n)

    def from_equilibrium(self, functions: Functions, n: int) -> float:
        """Return the unbiased energy distance of predictions from those at equilibrium."""
        key = functions.loss.tobytes()
        if key not in self._distances:
            both = np.concatenate([self.equilibrium(n).probabilities, functions.probabilities])
            d = pairwise_distances(both)
            within = (d[:n, :n].sum() + d[n:, n:].sum()) / (n * (n - 1))
            self._distances[key] = float(2.0 * d[:n, n:].mean() - within)
        return self._distances[key]


def design(early: Early, part: Part, alpha: float) -> DistributionEquivalence:
    """Return the design of one time.

    Of the late drop: its functions equal those at equilibrium, up to a share of the distance to four times
    lambda_e. Of an early drop: the late ones equal equilibrium up to a share of the distance of the early
    ones, which are the control that must differ.
    """
    late = early.times[-1]
    theta = LATE_SHARE if part.what == late else EARLY_SHARE
    control = "four times lambda_e" if part.what == late else f"a drop after {part.what:g}/lambda_e"
    sd, effect = early.planned[part.name]
    return DistributionEquivalence(
        estimand=f"energy distance of predictions, {late:g}/lambda_e to equilibrium, less {theta:g} of the "
        f"difference that {control} makes",
        theta=theta,
        margin_reason=f"{theta:g} of the difference that {control} makes",
        looks=early.looks,
        false_fail=alpha,
        sd=sd,
        effect=effect,
    )


def sample(runs: EarlyRuns, part: Part, n: int) -> tuple[Array, ...]:
    """Return the predictions at equilibrium, before the late drop, and of the control."""
    late = runs.early.times[-1]
    control = runs.control(n) if part.what == late else runs.before(part.what, n)
    return tuple(f.probabilities for f in (runs.equilibrium(n), runs.before(late, n), control))


def words(seen: Examined[Early, EarlyRuns]) -> str:
    """Return the distances from equilibrium as the LR drops."""
    runs, n = seen.runs, seen.n
    distances = "; ".join(
        f"{t:g}/lambda_e: {runs.from_equilibrium(runs.before(t, n), n):.4f}" for t in seen.spec.times
    )
    control = runs.from_equilibrium(runs.control(n), n)
    return f"distance from equilibrium after {distances}; four times lambda_e: {control:.4f}"
