"""Laws in the limit lambda_e = 0: they are measured at levels of falling lambda_e and extrapolated."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ilr_check.claims.claim import Finding
from ilr_check.claims.mean_field.trainings.equilibrium import Equilibrium, EquilibriumRuns, Level
from ilr_check.evidence import Margin, Measured, RivalOutcome
from ilr_check.stats import MeanEquivalence, Rival

Array = NDArray[np.float64]

REACH = 30.0
"""The ratio of the outer levels of lambda_e that a sequence needs to be extrapolated to 0."""
TOLERANCE = 0.02
"""The tolerance at lambda_e = 0, where no finite-size correction is left."""


def approaches_zero(levels: Sequence[Level]) -> bool:
    """Return whether these levels are a sequence towards lambda_e = 0, at one LR and with one optimizer."""
    values = [level.intrinsic_lr for level in levels]
    alike = len({(level.lr, level.rule) for level in levels}) == 1
    return alike and len(levels) >= 4 and max(values) >= REACH * min(values)


def intercept_weights(levels: Sequence[Level]) -> Array:
    """Return c, so that sum_k c_k d_k is the least-squares line of d against lambda_e, at lambda_e = 0.

    It is a line, because the corrections are of first order in lambda_e; see ``finite_lambda``. The lowest
    levels have nearly all the weight.
    """
    x = np.array([level.intrinsic_lr for level in levels])
    return np.asarray(np.linalg.pinv(np.stack([np.ones_like(x), x], axis=1))[0])


def limit_design(experiment: Equilibrium, rivals: Mapping[str, float], alpha: float) -> MeanEquivalence:
    """Return the design for the deviation at lambda_e = 0: one number a run, since a row has all levels."""
    sd, weights = experiment.planned_sd, intercept_weights(experiment.levels)
    return MeanEquivalence(
        estimand="effective LR / prediction from other runs' G, less 1, extrapolated to lambda_e = 0",
        theory=0.0,
        margin=(-TOLERANCE, TOLERANCE),
        margin_reason=f"tolerance {TOLERANCE}; the line in lambda_e takes the finite-size correction out",
        rivals=tuple(Rival(name=name, expected=value) for name, value in rivals.items()),
        looks=experiment.looks,
        false_fail=alpha,
        sd=None if sd is None else sd * float(np.sqrt((weights**2).sum())),
    )


def local_exponents(runs: EquilibriumRuns, tensors: tuple[str, ...], n: int, **about: Any) -> Finding:
    """Report the statement of the paper: d log(effective LR) / d log(lambda_e) of each pair of levels.

    It is 1/2 if the trace of the noise does not change with lambda_e. The raw ratio across an LR drop by k
    tends to k to this power. No line is fitted, because no theory says how the noise of a net depends on
    lambda_e.
    """
    levels = sorted(runs.experiment.levels, key=lambda level: -level.intrinsic_lr)
    logs = [math.log(level.lr) - 2.0 * runs.window("judged", level, tensors, n).log_norm for level in levels]
    steps = np.diff(np.log([level.intrinsic_lr for level in levels]))
    means = np.array([y.mean() for y in logs])
    variances = np.array([y.var(ddof=1) for y in logs]) / n
    exponents = np.diff(means) / steps
    halves = 3.0 * np.sqrt(variances[:-1] + variances[1:]) / np.abs(steps)
    value, half = float(exponents[-1]), float(halves[-1])
    pairs = ", ".join(
        f"{p:.3f} +- {h:.3f} at {math.sqrt(a.intrinsic_lr * b.intrinsic_lr):.2g}"
        for p, h, a, b in zip(exponents, halves, levels[:-1], levels[1:], strict=True)
    )
    rivals = {"exponent 1": 1.0, "exponent 1/3": 1.0 / 3.0}
    return Finding(
        form="raw",
        verdict="skipped",
        quantity="exponent of the effective LR in lambda_e, at the lowest pair of levels",
        measured=Measured(value=value, low=value - half, high=value + half),
        expected=0.5,
        margin=Margin(),
        n_runs=n,
        dtype="float32",
        counts=False,
        message=(
            "reported, not judged: the exponent is 1/2 where the trace of the noise stays, and the measured "
            f"one says how it changes (exponents, 3 standard errors, by lambda_e: {pairs}); the raw ratio "
            f"across a tenfold drop at the lowest pair: {10.0**value:.2f}, where sqrt(10) = 3.16"
        ),
        rivals=tuple(
            RivalOutcome(name=name, expected=x, excluded=not value - half <= x <= value + half)
            for name, x in rivals.items()
        ),
        **about,
    )
