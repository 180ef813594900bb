"""Runs with equal lambda_e and different lr have norms sqrt(lr1/lr2) apart, and stay so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ilr_check.claims.claim import Profile
from ilr_check.claims.mean_field.trainings.equilibrium import Equilibrium, EquilibriumRuns, Level
from ilr_check.claims.mean_field.trainings.levels import LevelQuestion, finite_lambda
from ilr_check.claims.settings.subjects import subjects
from ilr_check.evidence import ClaimText

TEXT = ClaimText(
    id="norm-offset",
    title="Why log-norm curves do not meet",
    statement=(
        "Two trainings with equal lambda_e = lr*wd and different lr reach the same effective LR, and "
        "therefore norms whose ratio is the square root of the ratio of their learning rates."
    ),
    equation="log ‖w₁‖ − log ‖w₂‖ = ½ log(η₁/η₂)",
    source="Li, Lyu, Arora 2020, section 5: equal lr/‖w‖²; asked by reviewer 1",
    kind="statistical",
    chapter="mean-field",
    groups=("mean-field",),
    rivals=("1/4", "1"),
    meaning=(
        "The effective LR of equilibrium depends on lr beside lr * weight_decay: decay scales with lr by "
        "another power than 1, or the gradient step does."
    ),
    blind=(
        "a decay or a gradient that is off by a constant factor, which the ratio of the norms does not "
        "notice."
    ),
)


def experiments(profile: Profile, seed: int) -> list[Equilibrium]:
    """The reference net at three LRs with one lambda_e; others too beyond ``quick``."""
    levels = tuple(Level(lr=lr, weight_decay=0.008 / lr) for lr in (0.5, 0.125, 2.0))
    beside = ("GroupNorm CNN", "GroupNorm, batch 256")
    return [
        Equilibrium(levels=levels, **s._asdict()) for s in subjects(TEXT.id, profile, seed, beside=beside)
    ]


def deviations(runs: EquilibriumRuns, tensors: tuple[str, ...], n: int) -> NDArray[np.float64]:
    """log of the norms' ratio to the first level's, less half the log of the LRs' ratio, [n, levels - 1].

    The first level's own runs serve both columns, so that the columns are dependent and the rows are not.
    """
    first, *others = runs.experiment.levels
    base = runs.window("judged", first, tensors, n).log_norm
    columns = [
        runs.window("judged", level, tensors, n).log_norm - base - 0.5 * np.log(level.lr / first.lr)
        for level in others
    ]
    return np.stack(columns, axis=1)


def rivals(experiment: Equilibrium) -> Mapping[str, Sequence[float]]:
    """Another power of the ratio of the learning rates than 1/2."""
    first, *others = experiment.levels
    return {
        name: [(power - 0.5) * float(np.log(level.lr / first.lr)) for level in others]
        for name, power in (("1/4", 0.25), ("1", 1.0))
    }


LAW = LevelQuestion(
    text=TEXT,
    experiments=experiments,
    deviations=deviations,
    points=lambda experiment: tuple(level.lr / experiment.levels[0].lr for level in experiment.levels[1:]),
    rivals=rivals,
    corrections=finite_lambda,
    tolerance=0.03,
    estimand="log(ratio of the norms) less half the log of the ratio of the LRs",
    x_label="ratio of the learning rates",
    caption="The ratio of the norms over the square root of the ratio of the LRs, at one lambda_e.",
    populations=1,
).law()
CLAIM = LAW.claim()
