"""Trainings through whole schedules, and the claim that other runs' noise predicts the norm along them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from ilr_check.claims.claim import Claim, Context, Finding, Judged, Profile, Unit, Workload
from ilr_check.claims.mean_field.trainings.identities import longest_sum, norm_identity
from ilr_check.claims.mean_field.trainings.noise_references import (
    TrainingSpec,
    TransferReadings,
    TransferRuns,
)
from ilr_check.claims.populations import (
    decision_name,
    file_name,
    finding_of,
    judged_groups,
    units_by_group,
)
from ilr_check.claims.settings.full_size import is_full_size
from ilr_check.evidence import ClaimText, Figure, Series
from ilr_check.optim.sgd import UpdateRule, plain
from ilr_check.stats import CurveEquivalence, Decision, Examination, Rival, examine
from ilr_check.theory.relaxation import equilibrium_gamma
from ilr_check.theory.sgd import decay_factor, squared_norm_path
from ilr_check.train.choice import fewer_lanes

Array = NDArray[np.float64]

TOLERANCE = 0.04
"""What we tolerate beyond the derived correction, in log effective LR."""

POINTS = 24
SMALLEST_LR = 0.005
"""Steps at a smaller share of the base LR are left out of the comparison: there the norm stands still, so
that they would repeat their neighbours, and log(lr) runs away."""


class Phase(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``steps`` steps with the LR from ``start`` to ``end`` times the base LR, in a line or half a cosine."""

    steps: int
    start: float = 1.0
    end: float = 1.0
    shape: Literal["linear", "cosine"] = "linear"

    def factors(self) -> Array:
        """The factors on the base LR, [steps]; the end is the next phase's first."""
        t = np.arange(self.steps) / self.steps
        way = t if self.shape == "linear" else 0.5 * (1.0 - np.cos(math.pi * t))
        return np.asarray(self.start + (self.end - self.start) * way)


class Course(TrainingSpec, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A training: ``burn_in`` steps at the base LR, which forget the start, then the phases of a schedule."""

    phases: tuple[Phase, ...]
    weight_decay: float = 0.008
    burn_in: int = 600
    initial_norm: float = 2.0

    @property
    def steps(self) -> int:
        """Steps of the whole training."""
        return self.burn_in + sum(phase.steps for phase in self.phases)

    def schedule(self) -> Array:
        """The LR at each step."""
        factors = [np.ones(self.burn_in), *(phase.factors() for phase in self.phases)]
        return self.lr * np.concatenate(factors)

    def decays(self) -> Array:
        """The weight decay at each step."""
        return np.full(self.steps, self.weight_decay)

    def grid(self) -> NDArray[np.intp]:
        """Steps at which curves are compared: evenly from the end of the burn-in on."""
        at = np.unique(np.linspace(self.burn_in, self.steps - 1, POINTS).round().astype(np.intp))
        return at[self.schedule()[at] >= SMALLEST_LR * self.lr]

    def workload(self) -> Workload | None:
        """What is trained, if that is a net in full size: the judged runs and the noise references of
        their noise."""
        if not is_full_size(self.net):
            return None
        return Workload(
            net=self.net,
            data=self.data,
            batch_size=self.batch_size,
            steps=self.steps,
            runs=self.looks[0],
            most_runs=self.looks[-1],
            populations=2,
            recorded=True,
        )

    def log_ideal(self, power: float = 1.0) -> Array:
        """log effective LR at the grid for G^2 = 1, if a step forgot at ``power`` times the rate.

        From the equilibrium of the base LR on, by the recursion with a^power in the place of a.
        """
        intrinsic = 1.0 - decay_factor(self.schedule(), self.decays())[0] ** power
        return self._log_path(power, math.sqrt(float(equilibrium_gamma(intrinsic, 1.0))) * self.lr)

    def _log_path(self, power: float, start: float) -> Array:
        """log effective LR at the grid for G^2 = 1, from the squared norm ``start`` on."""
        lr, a = self.schedule(), decay_factor(self.schedule(), self.decays()) ** power
        wd = np.divide(1.0 - a, lr, out=np.zeros_like(lr), where=lr > 0)
        path = squared_norm_path(start, np.ones(self.steps), lr, wd)[self.grid()]
        return np.asarray(np.log(lr[self.grid()] / path))

    def log_quasi_static(self) -> Array:
        """log effective LR at the grid if every step stood at the equilibrium of its own LR, for G^2 = 1."""
        intrinsic = (self.schedule() * self.decays())[self.grid()]
        return np.asarray(-0.5 * np.log(equilibrium_gamma(intrinsic, 1.0)))


@dataclass(frozen=True, kw_only=True)
class CourseLaw:
    """A claim that the norm follows its recursion along whole schedules, given the noise of other runs."""

    text: ClaimText
    courses: Callable[[Profile, int], Sequence[Course]]
    rivals: Callable[[Course], tuple[Array, ...]]
    """log effective LR at the grid under each rival of ``text``, for G^2 = 1."""
    caption: str
    words: Callable[[TransferReadings[Course], int], str] = lambda readings, n: ""
    """What the record says beside the verdict."""
    kind: type[Course] = Course
    """The courses of this claim, where they are more than that."""

    def claim(self) -> Claim:
        """The claim as the engine runs it."""
        return Claim(text=self.text, plan=self.plan, judge=self.judge)

    def plan(self, profile: Profile, seed: int) -> tuple[Unit, ...]:
        """One unit a course, with one decision an invariant group."""
        courses = self.courses(profile, seed)
        units = units_by_group(self.text.id, courses)
        return tuple(
            msgspec.structs.replace(unit, workload=course.workload() if profile == "paper" else None)
            for unit, course in zip(units, courses, strict=True)
        )

    def judge(self, subject: dict[str, Any], context: Context, *, rule: UpdateRule = plain) -> Judged:
        """Judge one course; tests plant defects through ``rule``."""
        course = msgspec.convert(subject, type=self.kind)
        lanes = fewer_lanes(course.net, context.device, course.looks[0])
        runs = TransferRuns(course, context, rule=rule, lanes=lanes)
        findings: list[Finding] = []
        figures: list[Figure] = []
        for group, tensors in judged_groups(course.net).items():
            readings = TransferReadings(runs, tensors)
            examination = self._examine(readings, context.alpha(decision_name(self.text.id, course, group)))
            n = examination.runs_used
            about: dict[str, Any] = {"group": group, "subject": subject, "figure": ""}
            if n:
                figures.append(self._figure(readings, n, group, examination.decision))
                about["figure"] = figures[-1].name
                terms = longest_sum(course.net, tensors)
                findings.append(norm_identity(readings.traces(n), terms=terms, **about))
            findings.append(
                finding_of(
                    examination,
                    form="transfer",
                    n_steps=course.steps if n else 0,
                    message=self.words(readings, n) if n else "",
                    rival_values={rival.name: _farthest(rival) for rival in self._rivals(course)},
                    **about,
                )
            )
        return Judged(tuple(findings), tuple(figures))

    def _rivals(self, course: Course) -> tuple[Rival, ...]:
        """The rivals on the scale (1 - r^4 / predicted r^4) / 2."""
        gaps = [curve - course.log_ideal() for curve in self.rivals(course)]
        return tuple(
            Rival(name=name, expected=tuple((0.5 * (1.0 - np.exp(-2.0 * gap))).tolist()))
            for name, gap in zip(self.text.rivals, gaps, strict=True)
        )

    def _examine(self, readings: TransferReadings[Course], alpha: float) -> Examination:
        course = readings.training
        # The term of the recursion that is not linear in the noise; derived beside sqrt-recovery's margin.
        corrections = 2.0 * float((course.schedule() * course.decays()).max())
        design = CurveEquivalence(
            estimand="effective LR / prediction from other runs' noise, less 1 (half the deviation of r^4)",
            points=len(course.grid()),
            margin=(-TOLERANCE - corrections, TOLERANCE + corrections),
            margin_reason=f"finite lambda_e {corrections:.3f} (2 lambda_e) + tolerance {TOLERANCE}",
            rivals=self._rivals(course),
            looks=course.looks,
            false_fail=alpha,
            sd=course.planned_sd,
        )
        return examine(design, readings.deviations)

    def _figure(self, readings: TransferReadings[Course], n: int, group: str, decision: Decision) -> Figure:
        course = readings.training
        t = course.grid().astype(float)
        prediction, measured = readings.log_predicted(n), readings.log_effective_lr(n)
        margin = decision.margin_high or 0.0

        def line(name: str, kind: Any, role: Any, y: Array) -> Series:
            return Series(name=name, kind=kind, role=role, x=t, y=np.exp(y))

        def band(name: str, role: Any, low: Array, high: Array) -> Series:
            return Series(name=name, kind="band", role=role, x=t, low=np.exp(low), high=np.exp(high))

        return Figure(
            name=file_name(self.text.id, course.title, group),
            title=f"{course.title}, {group}",
            x_label="step",
            y_label="effective LR, lr / norm squared",
            y_log=True,
            series=(
                band("margin around the prediction", "margin", prediction - margin, prediction + margin),
                band("runs, 5 % to 95 %", "measured", *np.quantile(measured, (0.05, 0.95), axis=0)),
                line("prediction from other runs' noise", "line", "predicted", prediction),
                line("measured, mean of the runs", "points", "measured", measured.mean(axis=0)),
                *(
                    line(f"rival: {name}", "line", "rival", prediction + curve - course.log_ideal())
                    for name, curve in zip(self.text.rivals, self.rivals(course), strict=True)
                ),
            ),
            caption=f"{self.caption} The points must stay in the margin; each rival leaves it.",
        )


def _farthest(rival: Rival) -> float:
    """Where a rival curve is farthest from theory, as the one number that stands for it."""
    curve = np.asarray(rival.expected)
    return float(curve[np.abs(curve).argmax()])
