"""Without weight decay gamma grows linearly, and the effective LR falls as t^(-1/2)."""

from __future__ import annotations

from functools import partial
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ilr_check.claims.claim import Claim, Context, Finding, Judged, Profile, Unit
from ilr_check.claims.lab import Lab
from ilr_check.claims.mean_field.trainings.noise_references import (
    TrainingSpec,
    TransferReadings,
    TransferRuns,
    run_steps,
)
from ilr_check.claims.mean_field.trainings.transfer import predicted_from
from ilr_check.claims.populations import (
    decision_name,
    file_name,
    finding_of,
    judged_groups,
    units_by_group,
)
from ilr_check.claims.settings.subjects import subjects
from ilr_check.evidence import ClaimText, Figure, Series
from ilr_check.stats import MeanEquivalence, Rival, examine

Array = NDArray[np.float64]

TEXT = ClaimText(
    id="no-decay-growth",
    title="Without weight decay nothing ends",
    statement=(
        "With weight decay 0 the norm never stops growing: gamma = ||w||^4/lr^2 grows linearly in time, so "
        "that the effective LR falls as t^(-1/2) and the net rotates ever more slowly."
    ),
    equation="γ(t) = γ₀ + 2 Σ G²,  effLR ∝ t^(−1/2)",
    source="Li, Lyu, Arora 2020, Theorem 5.1 at lambda_e = 0; Arora, Li, Lyu 2019",
    kind="statistical",
    chapter="mean-field",
    groups=("mean-field",),
    rivals=("t^(-1/4)", "t^(-1)"),
    meaning=(
        "Something shrinks or fixes the weights although weight decay is 0, or the step's length does not "
        "scale as the gradient's: a hidden decay, a projection, a normalised gradient."
    ),
    blind="a constant factor on the gradient or on lr: it moves the curve, and hardly its exponent.",
)

TOLERANCE = 0.03
"""What we tolerate in the exponent; the rivals are 0.25 and 0.5 away."""


class Growth(TrainingSpec, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A training without weight decay; the exponent is read off the steps from ``first`` on."""

    steps: int = 2000
    first: int = 60
    initial_norm: float = 0.5
    planned_sd: float | None = 0.03

    def schedule(self) -> Array:
        """The LR at each step."""
        return np.full(self.steps, self.lr)

    def decays(self) -> Array:
        """The weight decay at each step: none."""
        return np.zeros(self.steps)

    def grid(self) -> NDArray[np.intp]:
        """Steps at which the curve is read: evenly in log t."""
        return np.unique(np.geomspace(self.first, self.steps - 1, 20).round().astype(np.intp))

    def exponents(self, norm2: Array) -> Array:
        """Least-squares slope of log effective LR against log t; squared norms [points, ...] at the grid."""
        x = np.log(self.grid().astype(float))
        weight = (x - x.mean()) / ((x - x.mean()) ** 2).sum()
        return np.asarray(-np.tensordot(weight, np.log(norm2), axes=1))


def plan(profile: Profile, seed: int) -> tuple[Unit, ...]:
    """The reference net on digits with label noise 0.5; others too beyond ``quick``."""
    beside = ("BatchNorm CNN", "BatchNorm, batch 128")
    return units_by_group(
        TEXT.id,
        [Growth(**s._asdict()) for s in subjects(TEXT.id, profile, seed, beside=beside)],
    )


def judge(subject: dict[str, Any], context: Context) -> Judged:
    """Judge the exponent of every group."""
    growth = msgspec.convert(subject, type=Growth)
    runs = TransferRuns(growth, Lab(context, run_steps(growth)))
    findings: list[Finding] = []
    figures: list[Figure] = []
    for group, tensors in judged_groups(growth.net).items():
        readings = TransferReadings(runs, tensors)
        design = MeanEquivalence(
            estimand="exponent of the effective LR in t, less what the change of the noise adds to it",
            theory=-0.5,
            margin=(-0.5 - TOLERANCE, -0.5 + TOLERANCE),
            # The recursion adds G^4/gamma to 2 G^2 a step, 1/(4 t) of it: at most 0.002 of the exponent here.
            margin_reason=f"tolerance {TOLERANCE}; the recursion's second term is below a tenth of it",
            rivals=(Rival(name="t^(-1/4)", expected=-0.25), Rival(name="t^(-1)", expected=-1.0)),
            looks=growth.looks,
            false_fail=context.alpha(decision_name(TEXT.id, growth, group)),
            sd=growth.planned_sd,
        )
        examination = examine(design, partial(exponents, readings))
        n = examination.runs_used
        about: dict[str, Any] = {"group": group, "subject": subject, "figure": ""}
        if n:
            figures.append(_figure(readings, n, group))
            about["figure"] = figures[-1].name
        findings.append(finding_of(examination, form="transfer", n_steps=growth.steps if n else 0, **about))
    return Judged(tuple(findings), tuple(figures))


def exponents(readings: TransferReadings[Growth], n: int) -> Array:
    """Exponent of each run, with the part that the noise references' changing noise explains put back,
    [n]."""
    growth = readings.training
    own = readings.runs.judged.gather(n, lambda t: t.group(readings.tensors).norm2[growth.grid()])
    _, explained = predicted_from(
        readings.runs.noise_reference.gather(n, lambda t: t.group(readings.tensors).unit_grad2),
        growth.schedule(),
        growth.decays(),
        growth.initial_norm**2 * len(readings.tensors),
        lambda path: growth.exponents(path[growth.grid()]),
    )
    return growth.exponents(own) - explained - 0.5


def _figure(readings: TransferReadings[Growth], n: int, group: str) -> Figure:
    growth = readings.training
    t = growth.grid().astype(float)
    measured, prediction = readings.log_effective_lr(n), readings.log_predicted(n)

    def power(exponent: float) -> Array:
        return np.asarray(np.exp(prediction[0]) * (t / t[0]) ** exponent)

    return Figure(
        name=file_name(TEXT.id, growth.title, group),
        title=f"{growth.title}, {group}",
        x_label="step",
        y_label="effective LR, lr / norm squared",
        x_log=True,
        y_log=True,
        series=(
            Series(
                name="runs, 5 % to 95 %",
                kind="band",
                role="measured",
                x=t,
                low=np.exp(np.quantile(measured, 0.05, axis=0)),
                high=np.exp(np.quantile(measured, 0.95, axis=0)),
            ),
            Series(
                name="prediction from other runs' noise",
                kind="line",
                role="predicted",
                x=t,
                y=np.exp(prediction),
            ),
            Series(
                name="measured, mean of the runs",
                kind="points",
                role="measured",
                x=t,
                y=np.exp(measured.mean(axis=0)),
            ),
            Series(name="rival: t^(-1/4)", kind="line", role="rival", x=t, y=power(-0.25)),
            Series(name="rival: t^(-1)", kind="line", role="rival", x=t, y=power(-1.0)),
        ),
        caption=(
            "Without weight decay the norm only grows. On logarithmic axes the effective LR falls along a "
            "line of slope -1/2, bent only by what the noise does as the loss falls."
        ),
    )


CLAIM = Claim(text=TEXT, plan=plan, judge=judge)
