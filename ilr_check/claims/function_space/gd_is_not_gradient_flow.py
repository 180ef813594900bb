"""Full-batch gradient descent with weight decay leaves gradient flow at the edge and never comes to rest."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ilr_check.claims.claim import Claim, Context, Finding, Judged, Profile, Unit
from ilr_check.claims.function_space.trainings.descent import EDGE_EVERY, Descended, Descent, Descents
from ilr_check.claims.populations import file_name, finding_of
from ilr_check.data import DigitsSpec
from ilr_check.evidence import ClaimText, Figure, Series
from ilr_check.nets.specs import MLPSpec
from ilr_check.optim.sgd import UpdateRule, plain
from ilr_check.stats import MeanEquivalence, Rival, examine

Array = NDArray[np.float64]

TEXT = ClaimText(
    id="gd-is-not-gradient-flow",
    title="Gradient descent is not gradient flow",
    statement=(
        "With weight decay, full-batch gradient descent never converges: at any lr its direction turns "
        "by -log(1 - lambda_e) a step in the mean. It leaves gradient flow when free decay has brought "
        "it to the edge Phi lambda_max = 2, at a step that the sharpness foretells. Without decay it rests."
    ),
    equation="⟨−log cos θ⟩ = −log(1 − λₑ),  K* = ln(2‖w₀‖² / (η λ_max)) / (2λₑ)",
    source="Li, Lyu, Arora 2020, section on gradient descent; the mean is the rotation budget over its time",
    kind="statistical",
    chapter="function-space",
    groups=("function-space",),
    rivals=("comes to rest", "turns twice as fast", "turns on", "rate lambda_e", "rate 4 lambda_e"),
    meaning=(
        "Decay is applied more or less often than once a step, or something else than decay and the gradient "
        "moves the weights; or the net is not scale-invariant, so that shrinking the weights changes nothing."
    ),
    blind=(
        "what the path beyond the edge looks like, and whether the loss there is any worse. Given that the "
        "norm neither vanishes nor grows, the mean rotation follows by algebra: what is measured is that."
    ),
)

NORM_CHANGE = 0.2
"""What the logarithm of the norm may change over the window: its change is the mean's boundary term."""

TOLERANCE = 0.03
"""What we tolerate beyond it in the mean rotation; the rivals are 1 away."""

CROSSING_TOLERANCE = 0.1
"""Tolerated in log K*: at an edge of 0.1 at first, what a drift of the sharpness by a quarter does to it."""

NET = MLPSpec(inputs=64, widths=(16,), classes=10)


def plan(profile: Profile, seed: int) -> tuple[Unit, ...]:
    """64 digits at one lr; beyond ``quick`` at lr over three decades and at a smaller lambda_e."""
    levels = [(0.1, 0.01)] if profile == "quick" else [(0.1, 0.01), (1e-2, 0.01), (1e-4, 0.01), (0.1, 0.004)]
    descents = [
        Descent(
            title=f"64 digits, lr {lr:g}, lambda_e {rate:g}",
            net=NET,
            data=DigitsSpec(),
            lr=lr,
            intrinsic_lr=rate,
        )
        for lr, rate in levels
    ]
    return tuple(
        Unit(
            claim=TEXT.id,
            title=f"{TEXT.id}: {descent.title}",
            subject=msgspec.to_builtins(descent),
            decisions=tuple(f"{TEXT.id}/{descent.title}/{part}" for part in PARTS),
        )
        for descent in descents
    )


PARTS = ("rotation with decay", "rotation without decay", "first crossing")


def judge(subject: dict[str, Any], context: Context, *, rule: UpdateRule = plain) -> Judged:
    """Judge rotation with and without decay, and the first crossing; tests plant defects through ``rule``."""
    descent = msgspec.convert(subject, type=Descent)
    runs = Descents(descent, context, rule=rule)
    designs = designs_of(descent, {p: context.alpha(f"{TEXT.id}/{descent.title}/{p}") for p in PARTS})
    readings: dict[str, Callable[[Descended], Array]] = {
        PARTS[0]: lambda d: d.rotation,
        PARTS[1]: lambda d: d.rotation_without,
        PARTS[2]: lambda d: np.log(d.crossing / d.crossing_predicted),
    }
    findings: list[Finding] = []
    name, used = file_name(TEXT.id, descent.title), 0
    for part, design in designs.items():
        examination = examine(design, lambda n, part=part: readings[part](runs.take(n)))  # type: ignore[misc]
        used = max(used, examination.runs_used)
        findings.append(
            finding_of(
                examination,
                form="transfer",
                group=part,
                subject=subject,
                n_steps=descent.settle + 2 * descent.steps,
                figure=name,
            )
        )
    return Judged(tuple(findings), (_figure(descent, runs.take(used), name),) if used else ())


def designs_of(descent: Descent, alphas: dict[str, float]) -> dict[str, MeanEquivalence]:
    """The three decisions about a descent."""
    boundary = NORM_CHANGE / descent.window
    mean = TOLERANCE + boundary
    reason = f"boundary term {boundary:g} (log norm changes by {NORM_CHANGE:g}) + tolerance {TOLERANCE:g}"
    return {
        PARTS[0]: MeanEquivalence(
            estimand="mean of -log cos over -log(1 - lambda_e), full batch, with decay",
            theory=1.0,
            margin=(1.0 - mean, 1.0 + mean),
            margin_reason=reason,
            rivals=(Rival(name=TEXT.rivals[0], expected=0.0), Rival(name=TEXT.rivals[1], expected=2.0)),
            looks=descent.looks,
            false_fail=alphas[PARTS[0]],
            sd=0.03,
        ),
        PARTS[1]: MeanEquivalence(
            estimand="the same without decay, over the lambda_e of the other arm",
            theory=0.0,
            margin=(-mean, mean),
            margin_reason=reason,
            rivals=(Rival(name=TEXT.rivals[2], expected=1.0),),
            looks=descent.looks,
            false_fail=alphas[PARTS[1]],
            sd=0.03,
        ),
        PARTS[2]: MeanEquivalence(
            estimand="log(first step above Phi lambda_max = 2 / K* from the sharpness at the start)",
            theory=0.0,
            margin=(-CROSSING_TOLERANCE, CROSSING_TOLERANCE),
            margin_reason=f"tolerance {CROSSING_TOLERANCE:g}: the sharpness drifts during the free decay",
            rivals=(
                Rival(name=TEXT.rivals[3], expected=math.log(2.0)),
                Rival(name=TEXT.rivals[4], expected=-math.log(2.0)),
            ),
            looks=descent.looks,
            false_fail=alphas[PARTS[2]],
            sd=0.08,
        ),
    }


def _figure(descent: Descent, read: Descended, name: str) -> Figure:
    t = np.arange(read.edge.shape[1], dtype=np.float64) * (EDGE_EVERY * descent.intrinsic_lr)
    low, middle, high = np.quantile(read.edge, (0.05, 0.5, 0.95), axis=0)
    free = descent.edge_start * (1.0 - descent.intrinsic_lr) ** (-2.0 * t / descent.intrinsic_lr)
    return Figure(
        name=name,
        title=descent.title,
        x_label="steps x lambda_e since decay was switched on",
        y_label="Phi lambda_max / 2",
        y_log=True,
        series=(
            Series(name="runs, 5 % to 95 %", kind="band", role="measured", x=t, low=low, high=high),
            Series(name="measured, median of the runs", kind="points", role="measured", x=t, y=middle),
            Series(
                name="free decay, up to the edge",
                kind="line",
                role="predicted",
                x=t,
                y=np.minimum(free, 1.0),
            ),
        ),
        caption=(
            "A settled net whose weights were enlarged: gradient flow would stay there. Decay brings the "
            "effective LR to the edge along the line; from there on it turns by lambda_e a step for ever."
        ),
    )


CLAIM = Claim(text=TEXT, plan=plan, judge=judge)
"""Full batch, deterministic: runs differ by their initial weights."""
