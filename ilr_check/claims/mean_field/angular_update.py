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
from ilr_check.claims.mistakes import too_much_decay
from ilr_check.claims.settings.subjects import BESIDE, subjects
from ilr_check.evidence import ClaimText
from ilr_check.evidence.records import Premise

TEXT = ClaimText(
    id="angular-update",
    title="A step at equilibrium rotates every layer by a known angle",
    statement=(
        "At equilibrium a step of SGD rotates the weights of every scale-invariant layer by "
        "arccos(1 - lambda_e), about sqrt(2 lambda_e), where lambda_e = lr * weight_decay. With heavy-ball "
        "momentum the angle is arccos(1 - lr * weight_decay / (1 + momentum)). It does not depend on loss, "
        "noise or size of the layer."
    ),
    equation="cos θ* = 1 − ηλ/(1 + μ)",
    source="Li, Lyu, Arora 2020, section 5; Wan et al. 2021; exact up to the change of log ‖w‖",
    kind="statistical",
    chapter="mean-field",
    groups=("mean-field",),
    rivals=("sqrt(lambda_e)", "(1 - mu) for (1 + mu)"),
    meaning=(
        "The step is not lr times the gradient plus lr times weight decay times the weights. Weight decay is "
        "counted twice or not at all, or momentum has another form than stated."
    ),
    blind="a constant factor on the gradient: it changes the norm of equilibrium and not the angle.",
)

NORM_CHANGE = 0.05
"""How far the mean of log r, r = ||w||, may move over the window while the norm counts as standing still.

It makes half of it, divided by the window, of the deviation: 0.003, which is in the margin. The sd over runs
is 0.02 to 0.04, so that 64 runs know the mean within 0.005. Beyond it the verdict is inconclusive.
"""

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

SLOW_NET = (
    Level(lr=0.5, weight_decay=0.032),
    Level(lr=0.05, weight_decay=0.032, rule="heavy-ball", momentum=0.9),
)
"""Few steps, for the four-layer CNN, which is the slowest net of all. It waits four times as long as the
other nets: after twice as long its first layer still grew by 0.07 over the window."""


def experiments(profile: Profile, seed: int) -> list[Equilibrium]:
    """Return the reference net at two levels of plain SGD and two of momentum; beyond ``quick`` other nets.

    Nesterov's form presupposes that noise dominates the gradient. On the reference net it does, within 1 %.
    On the others this level is left out.
    """
    measured = partial(Equilibrium, burn_in=3.0, window=8.0, planned_sd=0.02)
    beside = ("BatchNorm CNN", "BatchNorm, batch 128")
    first, *others = subjects(TEXT.id, profile, seed, beside=beside)
    found = [measured(levels=LEVELS, **first._asdict())]
    found += [measured(levels=LEVELS[:3], **s._asdict()) for s in others]
    if profile != "quick":
        found += [
            measured(levels=SLOWER, **BESIDE["LayerNorm, batch 4"]._asdict()),
            measured(levels=SLOW_NET, burn_in=12.0, looks=(32, 64, 128), **BESIDE["MNIST CNN"]._asdict()),
        ]
    return found


def deviations(runs: EquilibriumRuns, tensors: tuple[str, ...], n: int) -> NDArray[np.float64]:
    """Return mean(log cos) / log cos* less 1, halved: to first order that of the angle, [n, levels]."""
    columns = [
        0.5 * (runs.window("judged", level, tensors, n).log_cosine / np.log(level.cosine) - 1.0)
        for level in runs.experiment.levels
    ]
    return np.stack(columns, axis=1)


def rivals(experiment: Equilibrium) -> Mapping[str, Sequence[float]]:
    """Return half of the relative deviation of 1 - cos, level by level."""
    return {
        "sqrt(lambda_e)": [_half(level, 0.5 * (1.0 - level.cosine)) for level in experiment.levels],
        "(1 - mu) for (1 + mu)": [
            _half(level, level.lr * level.weight_decay / (1.0 - level.momentum))
            for level in experiment.levels
        ],
    }


def _half(level: Level, other: float) -> float:
    """Return half of the relative deviation of log cos if 1 - cos were ``other``."""
    return 0.5 * (math.log1p(-other) / math.log(level.cosine) - 1.0)


def corrections(experiment: Equilibrium) -> tuple[float, str]:
    """Return by how much a change of log r can change the angle.

    With plain SGD sum log cos = T log a - log(r_T/r_0). With momentum <w', w> + mu <w, w_before> =
    (1 + mu - lr wd) r^2, so that a growth d of log r a step makes log cos smaller by d (1 - mu)/(1 + mu);
    with log cos* = -lr wd/(1 + mu) and window / lambda_e steps, both change the angle equally.
    """
    return 0.5 * NORM_CHANGE / experiment.window, "change of the norm over the window (half of 0.05 / window)"


def _growths(runs: EquilibriumRuns, tensors: tuple[str, ...], n: int) -> list[float]:
    """Return the mean change of log r over the window, level by level."""
    levels = runs.experiment.levels
    return [float(runs.window("judged", level, tensors, n).growth.mean()) for level in levels]


def premises(runs: EquilibriumRuns, tensors: tuple[str, ...], n: int) -> tuple[Premise, ...]:
    """The law is about equilibrium: the norm must stand still, at every level."""
    worst = max(_growths(runs, tensors, n), key=abs)
    return (
        Premise.within(
            "the norm stands still: change of log norm over the window, at the worst level",
            worst,
            NORM_CHANGE,
        ),
    )


def words(runs: EquilibriumRuns, tensors: tuple[str, ...], n: int) -> str:
    """Say how much the norm changes, and how much of the deviation this change makes, level by level."""
    parts = [
        f"log r changed by {growth:+.3f}, which makes {0.5 * growth / runs.experiment.window:+.3f} of the "
        "deviation"
        for growth in _growths(runs, tensors, n)
    ]
    return f"Over the window, level by level: {'; '.join(parts)}"


LAW = LevelQuestion(
    text=TEXT,
    experiments=experiments,
    deviations=deviations,
    points=lambda experiment: tuple(float(np.arccos(level.cosine)) for level in experiment.levels),
    rivals=rivals,
    mistakes=lambda spec: (
        too_much_decay(lambda factor: [_half(x, factor * (1.0 - x.cosine)) for x in spec.levels]),
    ),
    corrections=corrections,
    tolerance=0.03,
    estimand="rotation per step / theory, less 1, at every level",
    x_label="rotation per step in theory, radian",
    form="prediction",
    caption="Rotation per step over arccos(1 - lr wd / (1 + momentum)), in units that need no noise at all.",
    populations=1,
    words=words,
    premises=premises,
    presupposes=f"the norm stands still: its mean log moves by {NORM_CHANGE:g} at most over the window.",
).law()
CLAIM = LAW.claim()
