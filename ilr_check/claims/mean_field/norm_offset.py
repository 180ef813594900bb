"""Runs with equal lambda_e and different lr have norms sqrt(lr1/lr2) apart, and stay so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ilr_check.claims.claim import Profile
from ilr_check.claims.mean_field.trainings.equilibrium import Equilibrium, EquilibriumRuns, Level
from ilr_check.claims.mean_field.trainings.levels import LevelQuestion, finite_lambda
from ilr_check.claims.mistakes import wrong_exponent
from ilr_check.claims.settings.subjects import subjects
from ilr_check.evidence import ClaimText

TEXT = ClaimText(
    id="norm-offset",
    title="At equal lr * weight_decay the norms differ as sqrt(lr)",
    statement=(
        "Two trainings with equal lambda_e = lr * weight_decay and different lr reach the same effective LR, "
        "lr / ||w||^2. Therefore the ratio of their norms is the square root of the ratio of their learning "
        "rates."
    ),
    equation="log ‖w₁‖ − log ‖w₂‖ = ½ log(η₁/η₂)",
    source="Li, Lyu, Arora 2020, section 5: equal lr/‖w‖²; asked by reviewer 1",
    kind="statistical",
    chapter="mean-field",
    groups=("mean-field",),
    rivals=("1/4", "1"),
    meaning=(
        "The effective LR of equilibrium depends on lr itself and not only on lr * weight_decay. Weight "
        "decay or the gradient step has another power of lr than 1."
    ),
    blind=(
        "a gradient that is off by a constant factor, which cancels in the ratio of the norms. So do a decay "
        "that is off and a part of the gradient along the weights; they show in the steps alone."
    ),
)


def experiments(profile: Profile, seed: int) -> list[Equilibrium]:
    """Return the reference net at three LRs with one lambda_e; beyond ``quick`` also other nets."""
    levels = tuple(Level(lr=lr, weight_decay=0.008 / lr) for lr in (0.5, 0.125, 2.0))
    beside = ("GroupNorm CNN", "GroupNorm, batch 256")
    return [
        Equilibrium(levels=levels, **s._asdict()) for s in subjects(TEXT.id, profile, seed, beside=beside)
    ]


def deviations(runs: EquilibriumRuns, tensors: tuple[str, ...], n: int) -> NDArray[np.float64]:
    """Return log(norm / norm at the first level) less half the log of the ratio of the LRs, [n, levels - 1].

    Both columns use the runs of the first level. The columns are dependent, and the rows are not.
    """
    first, *others = runs.experiment.levels
    base = runs.window("judged", first, tensors, n).log_norm
    columns = [
        runs.window("judged", level, tensors, n).log_norm - base - 0.5 * np.log(level.lr / first.lr)
        for level in others
    ]
    return np.stack(columns, axis=1)


def rivals(experiment: Equilibrium) -> Mapping[str, Sequence[float]]:
    """Return another power of the ratio of the learning rates than 1/2."""
    return {name: _of_power(experiment, power) for name, power in (("1/4", 0.25), ("1", 1.0))}


def _of_power(experiment: Equilibrium, power: float) -> list[float]:
    first, *others = experiment.levels
    return [(power - 0.5) * float(np.log(level.lr / first.lr)) for level in others]


LAW = LevelQuestion(
    text=TEXT,
    experiments=experiments,
    deviations=deviations,
    points=lambda experiment: tuple(level.lr / experiment.levels[0].lr for level in experiment.levels[1:]),
    rivals=rivals,
    mistakes=lambda spec: (wrong_exponent(0.5, lambda power: _of_power(spec, power)),),
    corrections=finite_lambda,
    tolerance=0.03,
    estimand="log(ratio of the norms) less half the log of the ratio of the LRs",
    x_label="ratio of the learning rates",
    caption="The ratio of the norms over the square root of the ratio of the LRs, at one lambda_e.",
    populations=1,
    form="prediction",
).law()
CLAIM = LAW.claim()
