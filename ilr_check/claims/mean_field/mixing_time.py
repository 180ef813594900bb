"""The time to equilibrium is proportional to 1/lambda_e: in the norm, and in function space."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np

from ilr_check.claims.claim import Claim, Context, Finding, Judged, Profile, Unit
from ilr_check.claims.mean_field.trainings.sweep import Kind, MeetingTimes, Sweep, SweepRuns
from ilr_check.claims.populations import file_name, finding_of, judged_groups
from ilr_check.claims.settings.subjects import BESIDE, DIGITS, generated
from ilr_check.evidence import ClaimText, Figure, Margin, Measured, Series
from ilr_check.optim.sgd import UpdateRule, plain
from ilr_check.stats import (
    ContrastEquivalence,
    CurveEquivalence,
    DistributionEquivalence,
    Examination,
    Rival,
    SlopeEquivalence,
    examine,
)
from ilr_check.theory.relaxation import memory_rate

TEXT = ClaimText(
    id="mixing-time",
    title="Equilibrium after a time of order 1/lambda_e",
    statement=(
        "The norm forgets its start at the rate 4*lambda_e, so that the time to equilibrium is proportional "
        "to 1/lambda_e; and two populations with equal lambda_e and different LR become the same functions."
    ),
    equation="γ′ = −4λₑγ + 2G²,  T ∝ 1/λₑ",
    source="Li, Lyu, Arora 2020, Theorem 5.1 and fast equilibrium conjecture; asked by reviewer 1",
    kind="statistical",
    chapter="mean-field",
    groups=("core", "mean-field"),
    rivals=("slope 1/2", "slope 2", "rate 2 lambda_e", "rate 8 lambda_e"),
    meaning=(
        "The memory of the initial scale does not fade at the rate lr * weight_decay: the decay is applied "
        "more or less often than once a step, or scales with lr otherwise than linearly."
    ),
    blind=(
        "a gradient that is wrong in the noise-reference runs too, such as one of other labels: its size is "
        "not "
        "predicted."
    ),
)

TOLERANCE = 0.05
"""What we tolerate in log(rate) and in the slope; the rivals are 0.69 and 0.5 away."""

_RATE_RIVALS = {"rate 2 lambda_e": 0.5, "rate 8 lambda_e": 2.0}

PLANNED_LOSS, PLANNED_PREDICTIONS = (0.06, 0.3), (0.12, 0.45)
"""Run-to-run standard deviation and control's effect that the comparison of functions is planned for,
measured on digits."""

THETA = 0.25
"""Two populations count as equal when they differ by less than this share of what the control's intrinsic LR
makes: as the response is near linear in log lambda_e, less than a factor 8^(1/4) = 1.7 in lambda_e does."""


def plan(profile: Profile, seed: int) -> tuple[Unit, ...]:
    """The reference net on digits with label noise 0.5, generated nets, others in ``standard``."""
    sweeps, shorter = [Sweep(**DIGITS._asdict())], generated(TEXT.id, profile, seed)
    if profile != "quick":
        shorter = (BESIDE["BatchNorm CNN"], BESIDE["LayerNorm"], *shorter)
    levels = (2e-3, 4e-3, 8e-3, 1.6e-2, 3.2e-2, 6.4e-2)
    sweeps += [Sweep(levels=levels, compare=(8e-3, 8e-3), length=2.0, **s._asdict()) for s in shorter]
    return tuple(
        Unit(
            claim=TEXT.id,
            title=f"{TEXT.id}: {sweep.title}",
            subject=msgspec.to_builtins(sweep),
            decisions=tuple(_decision(sweep, name) for name in _decided(sweep)),
        )
        for sweep in sweeps
    )


def judge(subject: dict[str, Any], context: Context, *, rule: UpdateRule = plain) -> Judged:
    """Judge one sweep: rate and slope of the norm's relaxation, then the two populations as functions."""
    sweep = msgspec.convert(subject, type=Sweep)
    runs = SweepRuns(sweep, context, rule=rule)
    findings: list[Finding] = []
    figures: list[Figure] = []
    for group, tensors in judged_groups(sweep.net).items():

        def alpha(quantity: str, group: str = group) -> float:
            return context.alpha(_decision(sweep, f"{quantity} of {group}"))

        rate = examine_rate(runs, tensors, alpha("rate"))
        slope = examine_slope(runs, tensors, alpha("slope"))
        if not (rate.runs_used and slope.runs_used):
            untrained: dict[str, Any] = {"group": group, "subject": subject, "figure": "", "n_steps": 0}
            findings += [finding_of(e, form="transfer", **untrained) for e in (slope, rate)]
            continue
        meeting = runs.meeting_times(tensors, sweep.looks[0])
        figures.append(_norm_figure(runs, group, tensors, rate.runs_used, meeting))
        steps = sum(sweep.steps(level) for level in sweep.levels)
        about: dict[str, Any] = {
            "group": group,
            "subject": subject,
            "figure": figures[-1].name,
            "n_steps": steps,
        }
        reach = max(sweep.levels) / min(sweep.levels)
        words = f"{len(sweep.levels)} levels of lambda_e, {reach:g}-fold range"
        rivals = {name: math.log(factor) for name, factor in _RATE_RIVALS.items()}
        findings += [
            finding_of(e, form="transfer", message=words, rival_values=rivals, **about) for e in (slope, rate)
        ]
        findings.append(_raw(sweep, meeting, **about))
    if _compares(sweep):
        new, figure = _judge_functions(runs, context, subject)
        findings += new
        figures.append(figure)
    return Judged(tuple(findings), tuple(figures))


def _compares(sweep: Sweep) -> bool:
    return sweep.compare[0] != sweep.compare[1]


def _decided(sweep: Sweep) -> list[str]:
    names = [f"{quantity} of {group}" for group in judged_groups(sweep.net) for quantity in ("rate", "slope")]
    return names + (["loss", "predictions"] if _compares(sweep) else [])


def _decision(sweep: Sweep, name: str) -> str:
    return f"{TEXT.id}/{sweep.title}/{name}"


def examine_rate(runs: SweepRuns, tensors: tuple[str, ...], alpha: float) -> Examination:
    """The relaxation rate at all levels at once, against -4 log(1 - lambda_e)."""
    levels = runs.sweep.levels
    design = CurveEquivalence(
        estimand="log(relaxation rate of the norm / theory), every level",
        points=len(levels),
        margin=(-TOLERANCE, TOLERANCE),
        margin_reason=f"tolerance {TOLERANCE}; the fit uses the discrete recursion, which leaves nothing out",
        rivals=tuple(
            Rival(name=name, expected=(math.log(factor),) * len(levels))
            for name, factor in _RATE_RIVALS.items()
        ),
        looks=runs.sweep.looks,
        false_fail=alpha,
        sd=runs.sweep.planned_sd,
    )
    return examine(design, lambda n: np.stack([runs.log_rates(tensors, x, n) for x in levels], axis=1))


def examine_slope(runs: SweepRuns, tensors: tuple[str, ...], alpha: float) -> Examination:
    """The slope of log relaxation time against log 1/lambda_e, against 1."""
    levels = runs.sweep.levels
    design = SlopeEquivalence(
        estimand="slope of log(relaxation time) against log(1/lambda_e)",
        levels=tuple(1.0 / level for level in levels),
        theory=1.0,
        margin=(1.0 - TOLERANCE, 1.0 + TOLERANCE),
        margin_reason=f"tolerance {TOLERANCE}; the rate's lambda_e^2 term is in the prediction",
        response="log",
        rivals=(Rival(name="slope 1/2", expected=0.5), Rival(name="slope 2", expected=2.0)),
        looks=runs.sweep.looks,
        false_fail=alpha,
        sd=runs.sweep.planned_sd,
    )

    def log_times(n: int) -> tuple[Any, ...]:
        # What theory predicts beyond 1/(4 lambda_e) is divided out, so that its slope is exactly 1.
        return tuple(-runs.log_rates(tensors, level, n) - math.log(4.0 * level) for level in levels)

    return examine(design, log_times)


def _raw(sweep: Sweep, meeting: MeetingTimes, **about: Any) -> Finding:
    """The plot that the paper's first reviewer asked for, as a number: its log-log slope."""
    good = np.isfinite(meeting.measured) & (meeting.measured > 0)
    x, y = -np.log(np.array(sweep.levels)[good]), np.log(meeting.measured[good])

    def scaled(times: Any) -> str:
        return ", ".join(f"{t * level:.2f}" for t, level in zip(times, sweep.levels, strict=True))

    return Finding(
        form="raw",
        verdict="skipped",
        quantity="slope of log(time until two LRs agree within 10 %) against log(1/lambda_e)",
        measured=Measured(value=float(np.polyfit(x, y, 1)[0]) if good.sum() >= 3 else None),
        expected=1.0,
        margin=Margin(),
        n_runs=sweep.looks[0],
        dtype="float32",
        counts=False,
        message=(
            "reported, not judged: the first passage of a mean curve has no run-to-run interval; "
            f"times x lambda_e at the levels: {scaled(meeting.measured)}; from the noise of other runs: "
            f"{scaled(meeting.predicted)}; for constant noise: {scaled(meeting.constant_noise)}"
        ),
        **about,
    )


def _judge_functions(
    runs: SweepRuns, context: Context, subject: dict[str, Any]
) -> tuple[list[Finding], Figure]:
    """Equal lambda_e and different LR against a control of another lambda_e: in loss, in predictions."""
    sweep = runs.sweep
    level, control = sweep.compare
    populations: tuple[tuple[Kind, float], ...] = (("fast", level), ("slow", level), ("fast", control))

    def samples(part: int, n: int) -> tuple[Any, ...]:
        return tuple(runs.functions(kind, at, n)[part] for kind, at in populations)

    reason = (
        f"a quarter of the difference that lambda_e = {control:g} instead of {level:g} makes, "
        f"which less than a factor {(control / level) ** THETA:.2g} in lambda_e would make"
    )
    loss = ContrastEquivalence(
        estimand="loss difference at equal lambda_e, less a quarter of the control's",
        theta=THETA,
        margin_reason=reason,
        looks=sweep.looks,
        false_fail=context.alpha(_decision(sweep, "loss")),
        sd=PLANNED_LOSS[0],
        effect=PLANNED_LOSS[1],
    )
    predictions = DistributionEquivalence(
        estimand="energy distance of predictions at equal lambda_e, less a quarter of the control's",
        theta=THETA,
        margin_reason=reason,
        looks=sweep.looks,
        false_fail=context.alpha(_decision(sweep, "predictions")),
        sd=PLANNED_PREDICTIONS[0],
        effect=PLANNED_PREDICTIONS[1],
        seed=context.seed % 2**31,
    )
    figure = _function_figure(runs, populations)
    about: dict[str, Any] = {"subject": subject, "n_steps": sweep.steps(level), "figure": figure.name}
    examinations = {
        "loss": examine(loss, lambda n: samples(0, n)),
        "predictions": examine(predictions, lambda n: samples(1, n)),
    }
    return [finding_of(e, form="transfer", group=name, **about) for name, e in examinations.items()], figure


def _norm_figure(
    runs: SweepRuns, group: str, tensors: tuple[str, ...], n: int, meeting: MeetingTimes
) -> Figure:
    sweep = runs.sweep
    levels = np.array(sweep.levels)
    inverse, theory = 1.0 / levels, 1.0 / memory_rate(levels)
    logs = np.stack([runs.log_rates(tensors, level, n) for level in sweep.levels])
    middle, half = -logs.mean(axis=1), 4.0 * logs.std(axis=1, ddof=1) / math.sqrt(n)
    centre = len(levels) // 2

    def through_centre(slope: float) -> Any:
        return theory[centre] * (inverse / inverse[centre]) ** slope

    return Figure(
        name=file_name(TEXT.id, sweep.title, group),
        title=f"{sweep.title}, {group}",
        x_label="1 / lambda_e",
        y_label="steps",
        x_log=True,
        y_log=True,
        series=(
            Series(name="theory: 1/(4 lambda_e)", kind="line", role="predicted", x=inverse, y=theory),
            Series(
                name="relaxation time of the norm (4 standard errors)",
                kind="interval",
                role="measured",
                x=inverse,
                y=theory * np.exp(middle),
                low=theory * np.exp(middle - half),
                high=theory * np.exp(middle + half),
            ),
            *(
                Series(name=f"rival: slope {name}", kind="line", role="rival", x=inverse, y=through_centre(v))
                for name, v in (("1/2", 0.5), ("2", 2.0))
            ),
            Series(
                name=f"lr and lr/{sweep.lr_ratio:g} agree within 10 %",
                kind="points",
                role="control",
                x=inverse,
                y=meeting.measured,
            ),
            Series(
                name="the same, predicted from other runs' noise",
                kind="line",
                role="reference",
                x=inverse,
                y=meeting.predicted,
            ),
        ),
        caption=(
            "Time to equilibrium against 1/lambda_e on logarithmic axes: proportional means slope 1. "
            "Circles: the fitted relaxation time of the norm. Squares: the time until two populations with "
            "equal lambda_e and different lr agree. Every level starts at the same multiple of its "
            "equilibrium; from one fixed initial scale, its distance from equilibrium would change with "
            "lambda_e, which adds a logarithm and pulls the raw slope below 1."
        ),
    )


def _function_figure(runs: SweepRuns, populations: tuple[tuple[Kind, float], ...]) -> Figure:
    sweep, series = runs.sweep, []
    roles = ("measured", "predicted", "control")
    for (kind, level), role in zip(populations, roles, strict=True):
        loss = runs.mean_loss(kind, level, sweep.looks[0])
        width = max(1, len(loss) // 100)
        smooth = loss[: len(loss) // width * width].reshape(-1, width).mean(axis=1)
        time = (np.arange(len(smooth)) + 0.5) * width * level
        name = f"lambda_e = {level:g}, lr = {sweep.lr_of(kind):g}"
        name = f"control: {name}" if role == "control" else name
        series.append(Series(name=name, kind="line", role=role, x=time, y=smooth))  # type: ignore[arg-type]
    return Figure(
        name=file_name(TEXT.id, sweep.title, "functions"),
        title=f"{sweep.title}: two learning rates, one intrinsic LR",
        x_label="steps x lambda_e",
        y_label="minibatch loss, mean over runs",
        series=tuple(series),
        caption=(
            "Equal lambda_e and a tenfold different lr end at the same loss, and at the same predictions; "
            "another lambda_e does not. The verdict is on the end of training, over independent runs."
        ),
    )


CLAIM = Claim(text=TEXT, plan=plan, judge=judge)
