"""At equilibrium every step turns every layer by the same angle, arccos(1 - lambda_e)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ilr_check.claims.claim import Profile
from ilr_check.claims.mean_field.trainings.equilibrium import Equilibrium, EquilibriumRuns, Level
from ilr_check.claims.mean_field.trainings.levels import LevelQuestion
from ilr_check.claims.settings.subjects import BESIDE, subjects
from ilr_check.evidence import ClaimText

TEXT = ClaimText(
    id="angular-update",
    title="The same rotation in every layer",
    statement=(
        "At equilibrium a step of SGD turns every scale-invariant group by arccos(1 - lambda_e), about "
        "sqrt(2 lambda_e), whatever its loss, noise and size; by arccos(1 - lr*wd/(1+momentum)) with heavy "
        "ball."
    ),
    equation="cos θ* = 1 − ηλ/(1 + μ)",
    source="Li, Lyu, Arora 2020, section 5; Wan et al. 2021; exact up to the change of log ‖w‖",
    kind="statistical",
    chapter="mean-field",
    groups=("mean-field",),
    rivals=("sqrt(lambda_e)", "(1 - mu) for (1 + mu)"),
    meaning=(
        "The step is not lr times the gradient plus lr times wd times the weights: decay counted twice or "
        "not at all, or momentum in another form than stated."
    ),
    blind="a constant factor on the gradient: it changes the norm of equilibrium, and the angle stays.",
)

NORM_CHANGE = 0.05
"""How much log r may change over the window: its run-to-run sd is 0.02 to 0.04, and the noise drifts."""

LEVELS = (
    Level(lr=0.5, weight_decay=0.016),
    Level(lr=0.5, weight_decay=0.064),
    Level(lr=0.05, weight_decay=0.016, rule="heavy-ball", momentum=0.9),
    Level(lr=0.05, weight_decay=0.032, rule="nesterov", momentum=0.9),
)


SLOWER = (
    Level(lr=0.5, weight_decay=0.002),
    Level(lr=0.5, weight_decay=0.004),
    Level(lr=0.05, weight_decay=0.002, rule="heavy-ball", momentum=0.9),
)
"""For LayerNorm in batches of 4: at lambda_e = 0.032 it loses its gradient and half of its norm."""

DEAR = (
    Level(lr=0.5, weight_decay=0.032),
    Level(lr=0.05, weight_decay=0.032, rule="heavy-ball", momentum=0.9),
)
"""Few steps, for the four-layer CNN, which is the dearest net of all."""


def experiments(profile: Profile, seed: int) -> list[Equilibrium]:
    """The reference net at two levels of plain SGD and two of momentum; others beyond ``quick``.

    Nesterov's form alone presumes that noise dominates the gradient. On the reference net it does, within
    1 %; on the others its level is left out.
    """
    measured = partial(Equilibrium, burn_in=3.0, window=8.0, planned_sd=0.02)
    beside = ("BatchNorm CNN", "BatchNorm, batch 128")
    first, *others = subjects(TEXT.id, profile, seed, beside=beside)
    found = [measured(levels=LEVELS, **first._asdict())]
    found += [measured(levels=LEVELS[:3], **s._asdict()) for s in others]
    if profile != "quick":
        found += [
            measured(levels=SLOWER, **BESIDE["LayerNorm, batch 4"]._asdict()),
            measured(levels=DEAR, burn_in=6.0, looks=(32, 64, 128), **BESIDE["MNIST CNN"]._asdict()),
        ]
    return found


def deviations(runs: EquilibriumRuns, tensors: tuple[str, ...], n: int) -> NDArray[np.float64]:
    """mean(log cos) / log cos* less 1, halved: the angle's deviation to first order, [n, levels]."""
    columns = [
        0.5 * (runs.window("judged", level, tensors, n).log_cosine / np.log(level.cosine) - 1.0)
        for level in runs.experiment.levels
    ]
    return np.stack(columns, axis=1)


def rivals(experiment: Equilibrium) -> Mapping[str, Sequence[float]]:
    """Half of the relative deviation of 1 - cos, level by level."""

    def half(level: Level, other: float) -> float:
        return 0.5 * (math.log1p(-other) / math.log(level.cosine) - 1.0)

    return {
        "sqrt(lambda_e)": [half(level, 0.5 * (1.0 - level.cosine)) for level in experiment.levels],
        "(1 - mu) for (1 + mu)": [
            half(level, level.lr * level.weight_decay / (1.0 - level.momentum)) for level in experiment.levels
        ],
    }


def corrections(experiment: Equilibrium) -> tuple[float, str]:
    """What a change of log r makes of the angle.

    With plain SGD sum log cos = T log a - log(r_T/r_0). With momentum <w', w> + mu <w, w_before> =
    (1 + mu - lr wd) r^2, so that a growth d of log r a step makes log cos smaller by d (1 - mu)/(1 + mu);
    over a log cos* of lr wd/(1 + mu) and window / lambda_e steps both make the same of the angle.
    """
    return 0.5 * NORM_CHANGE / experiment.window, "change of the norm over the window (half of 0.05 / window)"


def premise(runs: EquilibriumRuns, tensors: tuple[str, ...], n: int) -> str:
    """How far the norm is from standing still, and what that alone makes of the deviation, level by level."""
    experiment = runs.experiment
    growths = [float(runs.window("judged", level, tensors, n).growth.mean()) for level in experiment.levels]
    parts = [
        f"log r changed by {g:+.3f}, which makes {0.5 * g / experiment.window:+.3f} of the deviation"
        for g in growths
    ]
    verdict = "at equilibrium"
    if max(map(abs, growths)) > NORM_CHANGE:
        verdict = f"not at equilibrium: the margin allows for {NORM_CHANGE:g}"
    return f"Over the window, level by level: {'; '.join(parts)} ({verdict})"


LAW = LevelQuestion(
    text=TEXT,
    experiments=experiments,
    deviations=deviations,
    points=lambda experiment: tuple(float(np.arccos(level.cosine)) for level in experiment.levels),
    rivals=rivals,
    corrections=corrections,
    tolerance=0.03,
    estimand="rotation per step / theory, less 1, at every level",
    x_label="rotation per step in theory, radian",
    caption="Rotation per step over arccos(1 - lr wd / (1 + momentum)), in units that need no noise at all.",
    populations=1,
    premise=premise,
).law()
CLAIM = LAW.claim()
