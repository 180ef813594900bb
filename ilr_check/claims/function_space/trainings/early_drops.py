"""Runs whose LR drops early or late in one budget of steps: their functions before it and at the end.

Every time is in units of 1/lambda_e of the first LR.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ilr_check.claims.claim import Context, Finding
from ilr_check.claims.function_space.trainings.functions import (
    Course,
    FunctionPopulation,
    FunctionRuns,
    Functions,
    Phase,
)
from ilr_check.claims.populations import finding_of
from ilr_check.data import DataSpec
from ilr_check.nets.specs import NetSpec
from ilr_check.optim.rules import Rule
from ilr_check.optim.sgd import UpdateRule
from ilr_check.stats import DistributionEquivalence, examine, pairwise_distances

Array = NDArray[np.float64]

LATE_SHARE = 0.1
"""Share of the distance to four times lambda_e that counts as none for a late drop. An energy distance grows
like the square of a small difference: less than a third of the control's difference counts as equal."""
EARLY_SHARE = 0.25
"""An early drop counts as before equilibrium where a late one is less than half as far from it."""


class Early(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Populations that drop the LR by ``factor`` after each of ``times``, and one that never does.

    All have ``budget`` over lambda_e steps. The last of ``times`` must come after equilibrium and those below
    ``early`` before it; what lies between is reported. ``planned`` are the run-to-run standard deviation of
    the excess and the control's effect, by decision.
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
    looks: tuple[int, ...] = (192, 576)

    @property
    def intrinsic_lr(self) -> float:
        """lr * weight_decay before the drop."""
        return self.lr * self.weight_decay

    @property
    def steps(self) -> int:
        """Steps of every run."""
        return self.at(self.budget)

    def at(self, time: float) -> int:
        """The number of steps of a time."""
        return max(1, round(time / self.intrinsic_lr))

    def dropped(self, time: float) -> Course:
        """The runs that drop after ``time``."""
        first, last = self.lr, self.lr / self.factor
        before = self.at(time)
        return self._course(
            f"dropped after {time:g}",
            Phase(steps=before, lr=first, weight_decay=self.weight_decay),
            Phase(steps=self.steps - before, lr=last, weight_decay=self.weight_decay),
        )

    def constant(self) -> Course:
        """The runs that never drop: at the end, the equilibrium that a drop may or may not come from."""
        return self._course(
            "never dropped", Phase(steps=self.steps, lr=self.lr, weight_decay=self.weight_decay)
        )

    def control(self) -> Course:
        """Another equilibrium, at four times lambda_e, after as many times its own 1/lambda_e."""
        return self._course(
            "four times lambda_e",
            Phase(steps=self.steps // 4, lr=self.lr, weight_decay=4.0 * self.weight_decay),
        )

    def decisions(self) -> tuple[str, ...]:
        """What is judged, by name."""
        late = self.times[-1]
        return (
            f"dropped after {late:g}",
            *(f"dropped after {t:g}" for t in self.times if t < self.early),
        )

    def _course(self, name: str, *phases: Phase) -> Course:
        return Course(name=name, phases=phases, initial_norm=self.initial_norm)


class EarlyRuns:
    """The populations of an experiment, growing look by look."""

    def __init__(self, early: Early, context: Context, rule: UpdateRule | Rule) -> None:
        self.early = early
        courses = [early.dropped(t) for t in early.times]
        work = sum(course.steps for course in (*courses, early.constant(), early.control()))
        runs = FunctionRuns(
            early.net,
            early.data,
            context,
            planned_run_steps=early.looks[0] * work,
            probes=early.probes,
            batch_size=early.batch_size,
            rule=rule,
        )
        self._dropped: dict[float, FunctionPopulation] = {
            t: runs.population(course, (early.at(t), early.steps))
            for t, course in zip(early.times, courses, strict=True)
        }
        self._constant = runs.population(early.constant(), (early.steps,))
        self._distances: dict[bytes, float] = {}
        self._control = runs.population(early.control(), (early.control().steps,))

    def before(self, time: float, n: int) -> Functions:
        """What runs predict as their LR drops after ``time``."""
        return self._dropped[time].at(self.early.at(time), n)

    def final(self, time: float, n: int) -> Functions:
        """What they predict at the end of the budget."""
        return self._dropped[time].at(self.early.steps, n)

    def equilibrium(self, n: int) -> Functions:
        """What runs predict that never dropped, at the end of the budget."""
        return self._constant.at(self.early.steps, n)

    def control(self, n: int) -> Functions:
        """The other equilibrium."""
        return self._control.at(self._control.course.steps, n)

    def from_equilibrium(self, functions: Functions, n: int) -> float:
        """Unbiased energy distance of predictions from those at equilibrium."""
        key = functions.loss.tobytes()
        if key not in self._distances:
            both = np.concatenate([self.equilibrium(n).probabilities, functions.probabilities])
            d = pairwise_distances(both)
            within = (d[:n, :n].sum() + d[n:, n:].sum()) / (n * (n - 1))
            self._distances[key] = float(2.0 * d[:n, n:].mean() - within)
        return self._distances[key]


def judged(
    runs: EarlyRuns, decided: str, name: str, subject: dict[str, Any], context: Context, figure: str
) -> tuple[Finding, int]:
    """One decision about the functions before a drop, and the number of runs it took.

    Late: equal to equilibrium but for a share of what four times lambda_e makes. Early: the late ones are
    equal to equilibrium but for a share of what the early ones are away, which are the control that must
    differ.
    """
    early = runs.early
    time = next(t for t in early.times if f"dropped after {t:g}" == decided)
    late = early.times[-1]
    other = runs.control if time == late else lambda n: runs.before(time, n)
    words = "four times lambda_e" if time == late else f"a drop after {time:g}/lambda_e"
    theta = LATE_SHARE if time == late else EARLY_SHARE
    sd, effect = early.planned[decided]
    design = DistributionEquivalence(
        estimand=f"energy distance of predictions, {late:g}/lambda_e to equilibrium, less {theta:g} of the "
        f"difference that {words} makes",
        theta=theta,
        margin_reason=f"{theta:g} of the difference that {words} makes",
        looks=early.looks,
        false_fail=context.alpha(name),
        sd=sd,
        effect=effect,
        seed=context.seed % 2**31,
    )
    examination = examine(
        design,
        lambda n: tuple(f.probabilities for f in (runs.equilibrium(n), runs.before(late, n), other(n))),
    )
    n = examination.runs_used
    about: dict[str, Any] = {"subject": subject, "n_steps": early.steps if n else 0}
    message = ""
    if n:
        distances = "; ".join(
            f"{t:g}/lambda_e: {runs.from_equilibrium(runs.before(t, n), n):.4f}" for t in early.times
        )
        control = runs.from_equilibrium(runs.control(n), n)
        message = f"distance from equilibrium after {distances}; four times lambda_e: {control:.4f}"
    return (
        finding_of(
            examination,
            form="transfer",
            group=f"{decided}/lambda_e: predictions before it",
            figure=figure if n else "",
            message=message,
            **about,
        ),
        n,
    )
