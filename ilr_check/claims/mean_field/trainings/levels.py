"""Claims about equilibrium: one deviation from theory a level of the hyper-parameters, all judged at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ilr_check.claims.claim import Claim, Context, Finding, Judged, Profile, Unit
from ilr_check.claims.mean_field.trainings.equilibrium import Equilibrium, EquilibriumRuns
from ilr_check.claims.mean_field.trainings.limits import approaches_zero, in_the_limit
from ilr_check.claims.populations import (
    decision_name,
    file_name,
    finding_of,
    judged_groups,
    units_by_group,
)
from ilr_check.evidence import ClaimText, Figure, Series
from ilr_check.evidence.records import Form
from ilr_check.optim.rules import Rule
from ilr_check.optim.sgd import UpdateRule
from ilr_check.stats import CurveEquivalence, Decision, Rival, examine

Array = NDArray[np.float64]

EDGE = 8.0
"""Margins from theory at which a figure ends, so that its margin stays wide enough to see."""


@dataclass(frozen=True, kw_only=True)
class LevelLaw:
    """A claim that a quantity has its predicted value at each of several levels.

    ``deviations`` gives log(measured / theory) to first order, one independent row a run, [n, points];
    ``points`` names the columns by a number to draw them at. ``rivals`` give their own deviations from theory
    at the points; ``corrections`` the finite-size terms of the margin and their words.
    """

    text: ClaimText
    experiments: Callable[[Profile, int], Sequence[Equilibrium]]
    deviations: Callable[[EquilibriumRuns, tuple[str, ...], int], Array]
    points: Callable[[Equilibrium], tuple[float, ...]]
    rivals: Callable[[Equilibrium], Mapping[str, Sequence[float]]]
    corrections: Callable[[Equilibrium], tuple[float, str]]
    tolerance: float
    estimand: str
    x_label: str
    caption: str
    populations: int = 2
    form: Form = "transfer"
    """``raw`` where nothing measured enters the prediction."""
    premise: Callable[[EquilibriumRuns, tuple[str, ...], int], str] | None = None
    """Words on how well what the law presumes was met, for a reader who finds a deviation."""
    limit_rivals: Mapping[str, float] | None = None
    """What rivals expect at lambda_e = 0, for a law that is judged there too if its levels reach so far."""

    def claim(self) -> Claim:
        """The claim as the engine runs it."""
        return Claim(text=self.text, plan=self.plan, judge=self.judge)

    def plan(self, profile: Profile, seed: int) -> tuple[Unit, ...]:
        """One unit an experiment, with a decision an invariant group, and one more in the limit."""
        experiments = self.experiments(profile, seed)
        units = units_by_group(self.text.id, experiments)
        return tuple(
            msgspec.structs.replace(unit, decisions=(*unit.decisions, *map(_in_limit, unit.decisions)))
            if self._has_limit(experiment)
            else unit
            for unit, experiment in zip(units, experiments, strict=True)
        )

    def _has_limit(self, experiment: Equilibrium) -> bool:
        return self.limit_rivals is not None and approaches_zero(experiment.levels)

    def judge(
        self,
        subject: dict[str, Any],
        context: Context,
        *,
        rules: Mapping[str, UpdateRule | Rule] | None = None,
    ) -> Judged:
        """Judge one experiment; tests plant defects through ``rules``."""
        experiment = msgspec.convert(subject, type=Equilibrium)
        runs = EquilibriumRuns(experiment, context, rules=rules, populations=self.populations)
        findings: list[Finding] = []
        figures: list[Figure] = []
        for group, tensors in judged_groups(experiment.net).items():
            decision = decision_name(self.text.id, experiment, group)
            design = self._design(experiment, context.alpha(decision))
            examination = examine(design, partial(self.deviations, runs, tensors))
            n = examination.runs_used
            words = ["; ".join(level.words() for level in experiment.levels)]
            if n:
                figures.append(self._figure(experiment, group, examination.decision))
                words += [self.premise(runs, tensors, n)] if self.premise else []
            findings.append(
                finding_of(
                    examination,
                    form=self.form,
                    group=group,
                    subject=subject,
                    n_steps=sum(experiment.steps(level) for level in experiment.levels) if n else 0,
                    figure=figures[-1].name if n else "",
                    message=". ".join(words),
                    rival_values={r.name: _farthest(r) for r in design.rivals},
                )
            )
            if self._has_limit(experiment):
                findings += in_the_limit(
                    runs,
                    self.deviations,
                    tensors,
                    rivals=self.limit_rivals or {},
                    alpha=context.alpha(_in_limit(decision)),
                    group=group,
                    subject=subject,
                    figure=figures[-1].name if n else "",
                )
        return Judged(tuple(findings), tuple(figures))

    def _design(self, experiment: Equilibrium, alpha: float) -> CurveEquivalence:
        corrections, words = self.corrections(experiment)
        room = self.tolerance + corrections
        return CurveEquivalence(
            estimand=self.estimand,
            points=len(self.points(experiment)),
            margin=(-room, room),
            margin_reason=f"{words} {corrections:.3f} + tolerance {self.tolerance}",
            rivals=tuple(
                Rival(name=name, expected=tuple(float(v) for v in values))
                for name, values in self.rivals(experiment).items()
            ),
            looks=experiment.looks,
            false_fail=alpha,
            sd=experiment.planned_sd,
        )

    def _figure(self, experiment: Equilibrium, group: str, decision: Decision) -> Figure:
        at = np.array(self.points(experiment))
        order = np.argsort(at)
        x = at[order]
        settings = np.array_equal(x, np.arange(1.0, len(x) + 1.0))
        band = decision.band
        assert band is not None
        room = decision.margin_high or 0.0
        ones = np.ones(len(x))

        def ratio(values: Any) -> Array:
            return np.exp(np.asarray(values, dtype=np.float64))

        def told(values: Any) -> Array:
            return ratio(np.asarray(values)[order])

        def shown(values: Any) -> Array:
            return told(np.clip(values, -EDGE * room, EDGE * room))

        return Figure(
            name=file_name(self.text.id, experiment.title, group),
            title=f"{experiment.title}, {group}",
            x_label=self.x_label,
            y_label="measured / theory",
            x_log=not settings,
            y_log=True,
            series=(
                Series(
                    name="margin",
                    kind="band",
                    role="margin",
                    x=x,
                    low=ratio(-room * ones),
                    high=ratio(room * ones),
                ),
                Series(name="theory", kind="line", role="predicted", x=x, y=ones),
                Series(
                    name="measured, with its interval",
                    kind="interval",
                    role="measured",
                    x=x,
                    y=told(band.estimate),
                    low=told(band.low),
                    high=told(band.high),
                ),
                *(
                    Series(
                        name=f"rival: {name}",
                        kind="points" if settings else "line",
                        role="rival",
                        x=x,
                        y=shown(values),
                    )
                    for name, values in self.rivals(experiment).items()
                ),
            ),
            caption=(
                f"{self.caption} Every point must lie in the margin with its whole interval. A rival that is "
                f"farther off than {EDGE:g} margins is drawn there."
            ),
        )


def norm_deviations(runs: EquilibriumRuns, tensors: tuple[str, ...], n: int) -> Array:
    """(1 - r^4 / (gain G^2)) / 2 a level, G^2 of the noise references: log(effective LR / prediction) to
    first order.

    r^4 is linear in the noise, so that its mean over runs follows the mean noise; noise reference i's own
    noise is its
    pseudo-value, since the prediction is linear in it.
    """
    columns = []
    for level in runs.experiment.levels:
        predicted = level.gain * runs.window("noise reference", level, tensors, n).unit_grad2
        fourth = runs.window("judged", level, tensors, n).fourth_power
        columns.append(0.5 * (predicted - fourth) / predicted.mean())
    return np.stack(columns, axis=1)


def norm_rival(gain: float, rival_gain: float) -> float:
    """What a rival's r^4 / G^2 means on the scale of ``norm_deviations``."""
    return 0.5 * (1.0 - rival_gain / gain)


def _in_limit(decision: str) -> str:
    return f"{decision}, extrapolated to 0"


def _farthest(rival: Rival) -> float:
    """Where a rival is farthest from theory, as the one number that stands for it."""
    values = np.asarray(rival.expected)
    return float(values[np.abs(values).argmax()])


def finite_lambda(experiment: Equilibrium) -> tuple[float, str]:
    """2 lambda_e of the largest level: the term of the recursion that is not linear in the noise.

    It moves gamma* by lambda_e Var(G^2)/E(G^2)^2 and the effective LR by half of that; see sqrt-recovery.
    """
    return 2.0 * max(level.intrinsic_lr for level in experiment.levels), "finite lambda_e (2 lambda_e)"
