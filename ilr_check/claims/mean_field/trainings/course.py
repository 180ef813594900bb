"""Trainings through whole schedules; the noise of other runs predicts the norm along them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from ilr_check.claims.claim import Finding, Profile, Workload
from ilr_check.claims.figures import along_prediction
from ilr_check.claims.lab import Lab
from ilr_check.claims.law import Examined, Part, StatisticalLaw
from ilr_check.claims.mean_field.trainings.identities import longest_sum, norm_identity
from ilr_check.claims.mean_field.trainings.noise_references import (
    TrainingSpec,
    TransferReadings,
    TransferRuns,
    run_steps,
)
from ilr_check.claims.mistakes import Mistake, too_much_decay
from ilr_check.claims.settings.full_size import is_full_size
from ilr_check.evidence import ClaimText, Figure
from ilr_check.stats import CurveEquivalence, Rival
from ilr_check.theory.relaxation import equilibrium_gamma
from ilr_check.theory.sgd import decay_factor, squared_norm_path
from ilr_check.train.choice import fewer_lanes

Array = NDArray[np.float64]

TOLERANCE = 0.04
"""The tolerance beyond the derived correction, in log effective LR."""

POINTS = 24
SMALLEST_LR = 0.005
"""Steps with a smaller share of the base LR are not compared.

There the norm stands still, so that they would repeat their neighbours, and log(lr) diverges.
"""


class Phase(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``steps`` steps with the LR from ``start`` to ``end`` times the base LR, on a line or half a cosine."""

    steps: int
    start: float = 1.0
    end: float = 1.0
    shape: Literal["linear", "cosine"] = "linear"

    def factors(self) -> Array:
        """Return the factors on the base LR, [steps]; the end is the first factor of the next phase."""
        t = np.arange(self.steps) / self.steps
        way = t if self.shape == "linear" else 0.5 * (1.0 - np.cos(math.pi * t))
        return np.asarray(self.start + (self.end - self.start) * way)


class ScheduledTraining(TrainingSpec, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A training: ``burn_in`` steps at the base LR to forget the start, then the phases of a schedule."""

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
        """Return the steps at which curves are compared, evenly spaced after the burn-in."""
        at = np.unique(np.linspace(self.burn_in, self.steps - 1, POINTS).round().astype(np.intp))
        return at[self.schedule()[at] >= SMALLEST_LR * self.lr]

    def workload(self) -> Workload | None:
        """Return the workload of judged runs and noise references, if the net has its full size."""
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
        """Return log effective LR at the grid for G^2 = 1, if a step forgot at ``power`` times the rate.

        The recursion has a^power instead of a, and starts at the equilibrium of the base LR.
        """
        intrinsic = 1.0 - decay_factor(self.schedule(), self.decays())[0] ** power
        return self._log_path(power, math.sqrt(float(equilibrium_gamma(intrinsic, 1.0))) * self.lr)

    def _log_path(self, power: float, start: float) -> Array:
        """Return log effective LR at the grid for G^2 = 1, from the squared norm ``start`` on."""
        lr, a = self.schedule(), decay_factor(self.schedule(), self.decays()) ** power
        wd = np.divide(1.0 - a, lr, out=np.zeros_like(lr), where=lr > 0)
        path = squared_norm_path(start, np.ones(self.steps), lr, wd)[self.grid()]
        return np.asarray(np.log(lr[self.grid()] / path))

    def log_quasi_static(self) -> Array:
        """Return log effective LR at the grid for G^2 = 1 if each step were at its own equilibrium."""
        intrinsic = (self.schedule() * self.decays())[self.grid()]
        return np.asarray(-0.5 * np.log(equilibrium_gamma(intrinsic, 1.0)))


@dataclass(frozen=True, kw_only=True)
class CourseQuestion:
    """The claim that the norm follows its recursion along whole schedules, given the noise of other runs."""

    text: ClaimText
    courses: Callable[[Profile, int], Sequence[ScheduledTraining]]
    rivals: Callable[[ScheduledTraining], tuple[Array, ...]]
    """log effective LR at the grid under each rival of ``text``, for G^2 = 1."""
    caption: str
    words: Callable[[TransferReadings[ScheduledTraining], int], str] = lambda readings, n: ""
    """What the record says besides the verdict."""
    kind: type[ScheduledTraining] = ScheduledTraining
    """The type of the courses, if it is a subclass."""

    def law(self) -> StatisticalLaw[ScheduledTraining, TransferRuns[ScheduledTraining]]:
        """Return the statistical law that asks this."""
        return StatisticalLaw(
            text=self.text,
            spec=self.kind,
            experiments=self.courses,
            run_steps=run_steps,
            trained=self._trained,
            design=self._design,
            sample=lambda runs, part, n: TransferReadings(runs, part.tensors).deviations(n),
            steps=lambda course, part: course.steps,
            message=lambda seen: self.words(TransferReadings(seen.runs, seen.tensors), seen.n),
            figure=self._figure,
            findings=_with_identity,
            workload=ScheduledTraining.workload,
            mistakes=lambda course, part: (_decayed(course),),
        )

    def _trained(self, course: ScheduledTraining, lab: Lab) -> TransferRuns[ScheduledTraining]:
        lanes = fewer_lanes(course.net, lab.context.device, course.looks[0])
        return TransferRuns(course, lab, lanes=lanes)

    def _design(self, course: ScheduledTraining, part: Part, alpha: float) -> CurveEquivalence:
        # The term of the recursion that is not linear in the noise; derived beside sqrt-recovery's margin.
        corrections = 2.0 * float((course.schedule() * course.decays()).max())
        return CurveEquivalence(
            estimand="effective LR / prediction from other runs' noise, less 1 (half the deviation of r^4)",
            points=len(course.grid()),
            margin=(-TOLERANCE - corrections, TOLERANCE + corrections),
            margin_reason=f"finite lambda_e {corrections:.3f} (2 lambda_e) + tolerance {TOLERANCE}",
            rivals=tuple(
                Rival(name=name, expected=_of_gamma(gap)) for name, gap in self._gaps(course).items()
            ),
            looks=course.looks,
            false_fail=alpha,
            sd=course.planned_sd,
        )

    def _gaps(self, course: ScheduledTraining) -> dict[str, Array]:
        """Return each rival's log effective LR less that of the theory, both for G^2 = 1."""
        ideal = course.log_ideal()
        return {
            name: curve - ideal for name, curve in zip(self.text.rivals, self.rivals(course), strict=True)
        }

    def _figure(self, seen: Examined[ScheduledTraining, TransferRuns[ScheduledTraining]]) -> Figure:
        readings = TransferReadings(seen.runs, seen.tensors)
        return Figure(
            name="",
            title="",
            x_label="step",
            y_label="effective LR, lr / norm squared",
            y_log=True,
            series=along_prediction(
                seen.spec.grid().astype(float),
                readings.log_effective_lr(seen.n),
                readings.log_predicted(seen.n),
                seen.decision.margin_high or 0.0,
                source="other runs' noise",
                rivals=self._gaps(seen.spec),
            ),
            caption=f"{self.caption} The points must stay in the margin; each rival leaves it.",
        )


def _of_gamma(gap: Array) -> tuple[float, ...]:
    """Return gaps of log effective LR on the scale (1 - r^4 / predicted r^4) / 2."""
    return tuple((0.5 * (1.0 - np.exp(-2.0 * gap))).tolist())


def _decayed(course: ScheduledTraining) -> Mistake:
    return too_much_decay(lambda factor: _of_gamma(course.log_ideal(factor) - course.log_ideal()))


def _with_identity(
    seen: Examined[ScheduledTraining, TransferRuns[ScheduledTraining]], main: Finding
) -> tuple[Finding, ...]:
    traces = TransferReadings(seen.runs, seen.tensors).traces(seen.n)
    terms = longest_sum(seen.spec.net, seen.tensors)
    return (norm_identity(traces, terms=terms, **seen.about()), main)
