"""After lr -> lr/10 the effective LR falls to 1/10 at once and recovers to 1/sqrt(10)."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ilr_check.claims.claim import Claim, Context, Finding, Judged, Profile, Unit
from ilr_check.claims.experiments.identities import immediate_drop, longest_sum, norm_identity
from ilr_check.claims.experiments.lr_drop import Drop, DropReadings, DropRuns
from ilr_check.claims.experiments.nets import NARROW, REFERENCE, statistical_nets
from ilr_check.claims.experiments.populations import file_name, finding_of, judged_groups
from ilr_check.data import DigitsSpec, TangentNoise
from ilr_check.evidence import ClaimText, Figure, Margin, Measured, RivalOutcome, Series
from ilr_check.evidence.records import Form
from ilr_check.optim.sgd import UpdateRule, plain
from ilr_check.stats import CurveEquivalence, Decision, Examination, Rival, examine
from ilr_check.theory.relaxation import lr_drop_curve_discrete

Array = NDArray[np.float64]

TEXT = ClaimText(
    id="sqrt-recovery",
    title="The square root of ten",
    statement=(
        "Dropping the LR by 10 drops the effective LR lr/||w||^2 by 10 at once; the norm then follows, and "
        "the effective LR ends at 1/sqrt(10) of its old value, along the predicted curve."
    ),
    equation="effLR(t)/effLR(0) = [k + (k² − k) e^(−4λₑ′t)]^(−1/2)",
    source="Li, Lyu, Arora 2020, section 5 and Theorem 5.1; asked for by the paper's first reviewer",
    kind="statistical",
    chapter="mean-field",
    groups=("core", "mean-field"),
    rivals=("1/k: it never recovers", "1: it recovers completely", "k^(-1/3)"),
    meaning=(
        "The norm does not forget at the rate that lr * weight_decay sets: weight decay does not scale with "
        "lr, a scheduler does not reach the optimizer, or the optimizer does not step as SGD does."
    ),
)

TOLERANCE = 0.04
"""What we tolerate beyond the derived corrections, in log effective LR; the rivals end 0.38 to 1.2 away."""


def plan(profile: Profile, seed: int) -> tuple[Unit, ...]:
    """The reference net on digits with half of the labels redrawn, the control, and generated nets."""
    drops = [
        Drop(title="digits, half of the labels redrawn", net=REFERENCE, data=DigitsSpec(redrawn=0.5)),
        Drop(
            title="control: digits, noise of constant trace",
            net=NARROW,
            data=DigitsSpec(),
            noise=TangentNoise(size=10.0),
            start_norm=7.0,
            planned_sd=0.02,
            looks=(32, 64),
        ),
    ]
    if profile != "quick":
        drops.append(Drop(title="digits, clean labels", net=REFERENCE, data=DigitsSpec()))
    for number, (net, data) in enumerate(statistical_nets(TEXT.id, profile, seed), start=1):
        drops.append(
            Drop(
                title=f"generated net {number}",
                net=net,
                data=data,
                weight_decay=0.016,
                before=500,
                after=2200,
            )
        )
    return tuple(
        Unit(
            claim=TEXT.id,
            title=f"{TEXT.id}: {drop.title}",
            subject=msgspec.to_builtins(drop),
            decisions=tuple(_decision(drop, group) for group in judged_groups(drop.net)),
        )
        for drop in drops
    )


def judge(
    subject: dict[str, Any], context: Context, *, rule: UpdateRule = plain, donors: Drop | None = None
) -> Judged:
    """Judge one drop in all its forms; tests plant defects through ``rule`` and ``donors``."""
    drop = msgspec.convert(subject, type=Drop)
    runs = DropRuns(drop, context, rule=rule, donors=donors)
    findings: list[Finding] = []
    figures: list[Figure] = []
    for group, tensors in judged_groups(drop.net).items():
        readings = DropReadings(runs, tensors)
        share = context.share(_decision(drop, group))
        examination = examine_control(readings, share) if drop.noise else examine_transfer(readings, share)
        n = examination.runs_used
        if n == 0:
            findings.append(_untrained(drop, examination, group, subject))
            continue
        figures.append(_figure(readings, n, group, examination.decision))
        about: dict[str, Any] = {"group": group, "subject": subject, "figure": figures[-1].name}
        terms = longest_sum(drop.net, tensors)
        traces = readings.traces(n)
        findings += [
            immediate_drop(traces, step=drop.before, factor=drop.factor, terms=terms, **about),
            norm_identity(traces, terms=terms, **about),
            finding_of(
                examination,
                form="raw" if drop.noise else "transfer",
                n_steps=drop.steps,
                message=_words(readings, n),
                rival_values=_at_the_end(drop),
                **about,
            ),
        ]
        if not drop.noise:
            findings.append(_raw(readings, n, **about))
    return Judged(tuple(findings), tuple(figures))


def _untrained(drop: Drop, examination: Examination, group: str, subject: dict[str, Any]) -> Finding:
    """The finding where the design was too weak to train for."""
    form: Form = "raw" if drop.noise else "transfer"
    return finding_of(examination, form=form, group=group, subject=subject, n_steps=0, figure="")


def _decision(drop: Drop, group: str) -> str:
    return f"{TEXT.id}/{drop.title}/{'raw' if drop.noise else 'transfer'}/{group}"


def examine_transfer(readings: DropReadings, share: float) -> Examination:
    """The whole curve of log effective LR against what the noise of other runs predicts."""
    drop, grid = readings.drop, readings.drop.grid()
    corrections = 2.0 * drop.intrinsic_lr
    design = CurveEquivalence(
        estimand="effective LR / prediction from other runs' noise, less 1 (half the deviation of gamma)",
        points=len(grid),
        margin=(-TOLERANCE - corrections, TOLERANCE + corrections),
        # gamma' = a^4 gamma + 2 a^2 G^2 + G^4/gamma: only the last term is not linear in the noise. It moves
        # gamma* by lambda_e V, V = Var(G^2)/E(G^2)^2, and the effective LR by half of that. Steps of these
        # nets have V = 0.05 to 0.5; 2 lambda_e allows for V = 4.
        margin_reason=f"finite lambda_e {corrections:.3f} (2 lambda_e) + tolerance {TOLERANCE}",
        rivals=_rivals(drop, grid - drop.before, of_gamma=True),
        looks=drop.looks,
        false_fail=share,
        sd=drop.planned_sd,
    )
    return examine(design, readings.deviations)


def examine_control(readings: DropReadings, share: float) -> Examination:
    """The raw law itself, where its premise holds: against the curve for constant noise, nothing measured."""
    drop = readings.drop
    t = drop.grid() - drop.before
    theory = np.log(lr_drop_curve_discrete(drop.factor, drop.intrinsic_lr, drop.after))[t[t >= 0]]
    corrections = 0.5 * abs(math.log(readings.noise_change(drop.looks[0]))) + 2.0 * drop.intrinsic_lr
    design = CurveEquivalence(
        estimand="log(effective LR / value before the drop) less the curve for constant noise",
        points=len(theory),
        margin=(-TOLERANCE - corrections, TOLERANCE + corrections),
        margin_reason=(
            f"half the log of the measured change of the noise, and 2 lambda_e: {corrections:.3f}, "
            f"+ tolerance {TOLERANCE}"
        ),
        rivals=_rivals(drop, t[t >= 0]),
        looks=drop.looks,
        false_fail=share,
        sd=drop.planned_sd,
    )
    return examine(
        design,
        lambda n: readings.log_effective_lr(n)[:, t >= 0] - readings.log_before(n)[:, None] - theory,
    )


def _rivals(drop: Drop, t: NDArray[np.intp], *, of_gamma: bool = False) -> tuple[Rival, ...]:
    """Each rival's log curve less the theory's, both for constant noise, t steps after the drop.

    ``of_gamma`` puts them on the scale (1 - gamma / predicted gamma) / 2.
    """
    k, since = drop.factor, np.maximum(t, 0)
    forget = np.exp(-4.0 * drop.intrinsic_lr / k * since)
    theory = np.log(lr_drop_curve_discrete(k, drop.intrinsic_lr, drop.after))[since]

    def ending_at(end: float) -> tuple[float, ...]:
        curve = -0.5 * np.log(end**-2 + (k * k - end**-2) * forget)
        gap = np.where(t >= 0, curve - theory, 0.0)
        return tuple((0.5 * (1.0 - np.exp(-2.0 * gap)) if of_gamma else gap).tolist())

    return tuple(
        Rival(name=name, expected=ending_at(end)) for name, end in zip(TEXT.rivals, _ends(k), strict=True)
    )


def _at_the_end(drop: Drop) -> dict[str, float]:
    """Where each rival stands at the end of training, on the scale of the judged deviation."""
    last = drop.grid()[-1:] - drop.before
    return {r.name: np.asarray(r.expected).item() for r in _rivals(drop, last, of_gamma=not drop.noise)}


def _ends(k: float) -> tuple[float, float, float]:
    """Where each rival says the effective LR ends, relative to its old value."""
    return (1.0 / k, 1.0, k ** (-1.0 / 3.0))


def _words(readings: DropReadings, n: int) -> str:
    k = readings.drop.factor
    ratio = math.exp(float((readings.log_before(n) - readings.log_end(n)).mean()))
    return (
        f"effective LR before / after the drop is {ratio:.3f}, where sqrt({k:g}) = {math.sqrt(k):.3f} "
        f"and with the measured change of the noise {math.sqrt(k * readings.noise_change(n)):.3f}"
    )


def _raw(readings: DropReadings, n: int, *, group: str, subject: dict[str, Any], figure: str) -> Finding:
    """The paper's wording, reported: the effective LR ends at 1/sqrt(k) of its value before the drop."""
    drop = readings.drop
    log_ratio = readings.log_end(n) - readings.log_before(n)
    middle = float(log_ratio.mean())
    half = 3.0 * float(log_ratio.std(ddof=1)) / math.sqrt(n)
    low, high = math.exp(middle - half), math.exp(middle + half)
    return Finding(
        form="raw",
        group=group,
        subject=subject,
        verdict="skipped",
        quantity="effective LR at the end / before the drop",
        measured=Measured(value=math.exp(middle), low=low, high=high),
        expected=drop.factor**-0.5,
        margin=Margin(),
        n_runs=n,
        n_steps=drop.steps,
        dtype="float32",
        counts=False,
        figure=figure,
        message=(
            "reported, not judged: the raw law presumes noise of constant trace, and here G^2 changed by a "
            f"factor {readings.noise_change(n):.3f}; {_words(readings, n)}"
        ),
        rivals=tuple(
            RivalOutcome(name=name, expected=end, excluded=not low <= end <= high)
            for name, end in zip(TEXT.rivals, _ends(drop.factor), strict=True)
        ),
    )


def _figure(readings: DropReadings, n: int, group: str, decision: Decision) -> Figure:
    drop, grid = readings.drop, readings.drop.grid()
    t = (grid - drop.before).astype(float)
    level = float(readings.log_before(n).mean())
    curves = readings.log_effective_lr(n) - level
    if drop.noise:
        ideal = np.log(lr_drop_curve_discrete(drop.factor, drop.intrinsic_lr, drop.after))
        prediction = np.where(t >= 0, ideal[np.maximum(t, 0).astype(int)], 0.0)
    else:
        prediction = readings.log_predicted(n) - level
    margin = decision.margin_high or 0.0

    def line(name: str, kind: Any, role: Any, y: Array) -> Series:
        return Series(name=name, kind=kind, role=role, x=t, y=np.exp(y))

    def band(name: str, role: Any, low: Array, high: Array) -> Series:
        return Series(name=name, kind="band", role=role, x=t, low=np.exp(low), high=np.exp(high))

    source = "constant noise" if drop.noise else "other runs' noise"
    return Figure(
        name=file_name(TEXT.id, drop.title, group),
        title=f"{drop.title}, {group}",
        x_label="steps after the LR drop",
        y_label="effective LR / its value before the drop",
        y_log=True,
        series=(
            band("margin around the prediction", "margin", prediction - margin, prediction + margin),
            band("runs, 5 % to 95 %", "measured", *np.quantile(curves, (0.05, 0.95), axis=0)),
            line(f"prediction from {source}", "line", "predicted", prediction),
            line("measured, mean of the runs", "points", "measured", curves.mean(axis=0)),
            *(
                line(f"rival: {rival.name}", "line", "rival", prediction + np.asarray(rival.expected))
                for rival in _rivals(drop, grid - drop.before)
            ),
            line(
                f"1/sqrt({drop.factor:g})", "line", "reference", np.full(len(t), -0.5 * math.log(drop.factor))
            ),
        ),
        caption=(
            f"The LR falls by {drop.factor:g} at step 0. The effective LR falls with it at once and then "
            "recovers, because the weights shrink until gradient noise and weight decay balance again. The "
            "points must stay in the margin around the prediction; each rival leaves it."
        ),
    )


CLAIM = Claim(text=TEXT, plan=plan, judge=judge)
