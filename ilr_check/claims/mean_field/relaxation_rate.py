"""From far above and from far below, the norm comes back to equilibrium at the rate of its recursion."""

from __future__ import annotations

import math
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
from ilr_check.claims.mean_field.trainings.transfer import relaxation_rates
from ilr_check.claims.populations import (
    decision_name,
    file_name,
    finding_of,
    judged_groups,
    units_by_group,
)
from ilr_check.claims.settings.subjects import subjects
from ilr_check.evidence import ClaimText, Figure, Series
from ilr_check.stats import CurveEquivalence, Rival, examine

Array = NDArray[np.float64]

TEXT = ClaimText(
    id="relaxation-rate",
    title="The way back to equilibrium",
    statement=(
        "Started with a norm three times too large or too small, the norm returns along its recursion: at "
        "the rate -4 log(1 - lambda_e) far above equilibrium, 4 lambda_e + 6 lambda_e^2 near it."
    ),
    equation="γ′ = (a²γ + G²)²/γ,  a = 1 − ηλ",
    source="Li, Lyu, Arora 2020, Theorem 5.1; the recursion is its exact form in discrete time",
    kind="statistical",
    chapter="mean-field",
    groups=("mean-field",),
    rivals=("rate 2 lambda_e", "rate 8 lambda_e"),
    meaning=(
        "The memory of the initial norm fades at another rate than lr * weight_decay sets: decay is applied "
        "more or less often than once a step, or by another factor."
    ),
    blind=(
        "a gradient that is wrong in the noise-reference runs too: its size is measured there and "
        "not predicted."
    ),
)

TOLERANCE = 0.05
"""What we tolerate in log(rate); the rivals are 0.69 away."""

MULTIPLES = (3.0, 1.0 / 3.0)
"""Initial norms, in units of about the equilibrium norm."""


class Return(TrainingSpec, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A training at constant settings from one initial norm of every tensor."""

    initial_norm: float = 1.0
    weight_decay: float = 0.032
    length: float = 3.0

    @property
    def intrinsic_lr(self) -> float:
        """lr * weight_decay."""
        return self.lr * self.weight_decay

    @property
    def steps(self) -> int:
        """Steps of the training: ``length`` over lambda_e."""
        return round(self.length / self.intrinsic_lr)

    def schedule(self) -> Array:
        """The LR at each step."""
        return np.full(self.steps, self.lr)

    def decays(self) -> Array:
        """The weight decay at each step."""
        return np.full(self.steps, self.weight_decay)

    def grid(self) -> NDArray[np.intp]:
        """Steps at which curves are drawn."""
        return np.unique(np.linspace(0, self.steps - 1, 40).round().astype(np.intp))

    def started_at(self, multiple: float) -> Return:
        """The same from another initial norm, in units of sqrt of lr over the effective LR for G^2 = 5.

        Nets here have G^2 of 1 to 20, so that the multiples are right within a factor 1.5.
        """
        norm = math.sqrt(self.lr) * (5.0 / (2.0 * self.intrinsic_lr)) ** 0.25
        return msgspec.structs.replace(self, initial_norm=multiple * norm)


def plan(profile: Profile, seed: int) -> tuple[Unit, ...]:
    """The reference net on digits with label noise 0.5; others too beyond ``quick``."""
    beside = ("residual CNN", "BatchNorm, batch 128")
    return units_by_group(
        TEXT.id,
        [Return(**s._asdict()) for s in subjects(TEXT.id, profile, seed, beside=beside)],
    )


def judge(subject: dict[str, Any], context: Context) -> Judged:
    """Judge the rates from above and from below at once."""
    base = msgspec.convert(subject, type=Return)
    starts = {m: base.started_at(m) for m in MULTIPLES}
    runs = {m: TransferRuns(start, Lab(context, run_steps(start))) for m, start in starts.items()}
    findings: list[Finding] = []
    figures: list[Figure] = []
    for group, tensors in judged_groups(base.net).items():
        readings = {m: TransferReadings(runs[m], tensors) for m in MULTIPLES}
        design = CurveEquivalence(
            estimand="log(relaxation rate of the norm / theory), from above and from below",
            points=len(MULTIPLES),
            margin=(-TOLERANCE, TOLERANCE),
            margin_reason=f"tolerance {TOLERANCE}; the fit uses the recursion, which leaves nothing out",
            rivals=tuple(
                Rival(name=name, expected=(math.log(factor),) * len(MULTIPLES))
                for name, factor in zip(TEXT.rivals, (0.5, 2.0), strict=True)
            ),
            looks=base.looks,
            false_fail=context.alpha(decision_name(TEXT.id, base, group)),
            sd=base.planned_sd,
        )
        examination = examine(
            design,
            lambda n, all=readings: np.stack([_rates(r, n) for r in all.values()], axis=1),  # type: ignore[misc]
        )
        n = examination.runs_used
        if n:
            figures.append(_figure(readings, n, group))
        findings.append(
            finding_of(
                examination,
                form="transfer",
                group=group,
                subject=subject,
                n_steps=len(MULTIPLES) * base.steps if n else 0,
                figure=figures[-1].name if n else "",
                rival_values={"rate 2 lambda_e": math.log(0.5), "rate 8 lambda_e": math.log(2.0)},
            )
        )
    return Judged(tuple(findings), tuple(figures))


def _rates(readings: TransferReadings[Return], n: int) -> Array:
    """log(rate / theory), one independent number a pair of run and noise reference, [n]."""
    runs, tensors, base = readings.runs, readings.tensors, readings.training
    return relaxation_rates(
        runs.judged.gather(n, lambda trace: trace.group(tensors).norm2),
        runs.noise_reference.gather(n, lambda trace: trace.group(tensors).unit_grad2),
        lr=base.lr,
        intrinsic_lr=base.intrinsic_lr,
        start2=base.initial_norm**2 * len(tensors),
    )


def _figure(readings: dict[float, TransferReadings[Return]], n: int, group: str) -> Figure:
    series: list[Series] = []
    for multiple, reading in readings.items():
        base = reading.training
        t = np.asarray(base.grid() * base.intrinsic_lr, dtype=np.float64)
        where = "above" if multiple > 1 else "below"
        series += [
            Series(
                name=f"prediction from {where}",
                kind="line",
                role="predicted",
                x=t,
                y=np.exp(reading.log_predicted(n)),
            ),
            Series(
                name=f"measured from {where}, mean of the runs",
                kind="points",
                role="measured" if multiple > 1 else "control",
                x=t,
                y=np.exp(reading.log_effective_lr(n).mean(axis=0)),
            ),
        ]
    title = next(iter(readings.values())).training.title
    return Figure(
        name=file_name(TEXT.id, title, group),
        title=f"{title}, {group}",
        x_label="steps x lambda_e",
        y_label="effective LR, lr / norm squared",
        y_log=True,
        series=tuple(series),
        caption=(
            "Norms that start three times too large or too small meet at equilibrium. The lines are what the "
            "noise of other runs predicts; the fitted rate of the memory is judged."
        ),
    )


CLAIM = Claim(text=TEXT, plan=plan, judge=judge)
