"""Full-batch gradient descent with weight decay leaves gradient flow at the edge and never comes to rest."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ilr_check.claims.claim import Judged, Profile
from ilr_check.claims.figures import band, line, points
from ilr_check.claims.function_space.trainings.descent import EDGE_EVERY, Descent, Descents
from ilr_check.claims.law import Part, StatisticalLaw, file_name, rivals_at
from ilr_check.claims.mistakes import Mistake, mistake, too_much_decay
from ilr_check.data import DigitsSpec
from ilr_check.evidence import ClaimText, Figure
from ilr_check.nets.specs import MLPSpec
from ilr_check.stats import MeanEquivalence

Array = NDArray[np.float64]

TEXT = ClaimText(
    id="gd-is-not-gradient-flow",
    title="Gradient descent is not gradient flow",
    statement=(
        "With weight decay, full-batch gradient descent never converges. At any learning rate lr its "
        "direction rotates by -log(1 - lambda_e) a step in the mean, where lambda_e = lr * weight decay. "
        "It leaves gradient flow when decay alone has brought it to the edge of stability, Phi lambda_max "
        "= 2, at a step that the sharpness predicts. Phi = lr/norm^2 is the effective learning rate, and "
        "lambda_max is the largest curvature of the loss at unit norm. Without decay it comes to rest."
    ),
    equation="⟨−log cos θ⟩ = −log(1 − λₑ),  K* = ln(2‖w₀‖² / (η λ_max)) / (2λₑ)",
    source="Li, Lyu, Arora 2020, section on gradient descent; the mean is the rotation budget over its time",
    kind="statistical",
    chapter="function-space",
    groups=("function-space",),
    rivals=("comes to rest", "turns twice as fast", "turns on", "rate lambda_e", "rate 4 lambda_e"),
    meaning=(
        "Decay is not applied exactly once a step, or something else than decay and the gradient moves the "
        "weights; or the net is not scale-invariant, so that smaller weights change nothing."
    ),
    blind=(
        "the path beyond the edge, and whether the loss there is worse. If the norm neither vanishes nor "
        "grows, the mean rotation follows by algebra, and this is what is measured."
    ),
)

NORM_CHANGE = 0.2
"""How much the logarithm of the norm may change over the window: this is the boundary term of the mean."""

TOLERANCE = 0.03
"""Tolerated beyond that in the mean rotation; the rivals are 1 away."""

CROSSING_TOLERANCE = 0.1
"""Tolerated in log K*: the effect of a sharpness that drifts by a quarter, where the edge starts at 0.1."""

NET = MLPSpec(inputs=64, widths=(16,), classes=10)


WITH, WITHOUT, CROSSING = (
    Part(name, figure="edge") for name in ("rotation with decay", "rotation without decay", "first crossing")
)


def experiments(profile: Profile, seed: int) -> list[Descent]:
    """Return 64 digits at one lr; beyond ``quick`` at lr over three decades and at a smaller lambda_e."""
    levels = [(0.1, 0.01)] if profile == "quick" else [(0.1, 0.01), (1e-2, 0.01), (1e-4, 0.01), (0.1, 0.004)]
    return [
        Descent(
            title=f"64 digits, lr {lr:g}, lambda_e {rate:g}",
            net=NET,
            data=DigitsSpec(),
            lr=lr,
            intrinsic_lr=rate,
        )
        for lr, rate in levels
    ]


def design(descent: Descent, part: Part, alpha: float) -> MeanEquivalence:
    """Return the design of one part."""
    about: dict[str, Any] = {"looks": descent.looks, "false_fail": alpha}
    if part is CROSSING:
        return MeanEquivalence(
            estimand="log(first step above Phi lambda_max = 2 / K* from the sharpness at the start)",
            theory=0.0,
            margin=(-CROSSING_TOLERANCE, CROSSING_TOLERANCE),
            margin_reason=f"tolerance {CROSSING_TOLERANCE:g}: the sharpness drifts during the free decay",
            rivals=rivals_at((TEXT.rivals[3], math.log(2.0)), (TEXT.rivals[4], -math.log(2.0))),
            sd=0.08,
            **about,
        )
    boundary = NORM_CHANGE / descent.window
    room = TOLERANCE + boundary
    reason = f"boundary term {boundary:g} (log norm changes by {NORM_CHANGE:g}) + tolerance {TOLERANCE:g}"
    if part is WITH:
        return MeanEquivalence(
            estimand="mean of -log cos over -log(1 - lambda_e), full batch, with decay",
            theory=1.0,
            margin=(1.0 - room, 1.0 + room),
            margin_reason=reason,
            rivals=rivals_at((TEXT.rivals[0], 0.0), (TEXT.rivals[1], 2.0)),
            sd=0.03,
            **about,
        )
    return MeanEquivalence(
        estimand="the same without decay, over the lambda_e of the other arm",
        theory=0.0,
        margin=(-room, room),
        margin_reason=reason,
        rivals=rivals_at((TEXT.rivals[2], 1.0)),
        sd=0.03,
        **about,
    )


def mistakes(descent: Descent, part: Part) -> tuple[Mistake, ...]:
    """Return the mistake near the margin of each part."""
    if part is CROSSING:
        return (too_much_decay(lambda factor: -math.log(factor)),)
    if part is WITH:
        return (too_much_decay(float),)
    return (mistake("a hidden decay, {} of that of the other arm", float),)


def sample(runs: Descents, part: Part, n: int) -> Array:
    """Return what a part judges, [n]."""
    read = runs.take(n)
    if part is CROSSING:
        return np.asarray(np.log(read.crossing / read.crossing_predicted))
    return read.rotation if part is WITH else read.rotation_without


def closing(descent: Descent, runs: Descents, subject: dict[str, Any], n: int) -> Judged:
    """Draw Phi lambda_max / 2 after decay was switched on."""
    edge = runs.take(n).edge
    t = np.arange(edge.shape[1], dtype=np.float64) * (EDGE_EVERY * descent.intrinsic_lr)
    low, middle, high = np.quantile(edge, (0.05, 0.5, 0.95), axis=0)
    free = descent.edge_start * (1.0 - descent.intrinsic_lr) ** (-2.0 * t / descent.intrinsic_lr)
    figure = Figure(
        name=file_name(TEXT.id, descent.title, "edge"),
        title=descent.title,
        x_label="steps x lambda_e since decay was switched on",
        y_label="Phi lambda_max / 2",
        y_log=True,
        series=(
            band("runs, 5 % to 95 %", "measured", t, low, high),
            points("measured, median of the runs", "measured", t, middle),
            line("free decay, up to the edge", "predicted", t, np.minimum(free, 1.0)),
        ),
        caption=(
            "A settled net whose weights were enlarged: gradient flow would stay there. Decay brings the "
            "effective LR to the edge of stability along the line. From there on the net turns by lambda_e a "
            "step for ever."
        ),
    )
    return Judged((), (figure,))


LAW = StatisticalLaw(
    text=TEXT,
    spec=Descent,
    experiments=experiments,
    run_steps=lambda descent: descent.looks[0] * (descent.settle + 2 * descent.steps),
    trained=Descents,
    parts=lambda descent: (WITH, WITHOUT, CROSSING),
    design=design,
    mistakes=mistakes,
    sample=sample,
    steps=lambda descent, part: descent.settle + 2 * descent.steps,
    form="prediction",
    findings=lambda seen, main: (replace(main, dtype="float64"),),
    closing=closing,
)
CLAIM = LAW.claim()
"""The descent is deterministic: runs differ by their initial weights."""
