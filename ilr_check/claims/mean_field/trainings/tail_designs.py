"""Designs and samples of the three decisions about a net under noise of a given tail index.

Corrections, planned deviations and the levels of rivals are those of the scalar recursion of the norm, at the
settings of the experiment. Nothing in a design comes from trainings.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ilr_check.claims.mean_field.trainings.tail_recursion import PATHS, median_squared_length, predicted
from ilr_check.claims.mean_field.trainings.tailed import Tailed, TailedRuns
from ilr_check.stats import CurveEquivalence, Design, MeanEquivalence, Rival, SlopeEquivalence
from ilr_check.theory.heavy_tails import effective_lr_exponent

Array = NDArray[np.float64]

LINEAR, TYPICAL = "gamma linear in the squared gradient", "every step rotates as a typical one"

TOLERANCE = 0.05
"""The tolerance beyond the derived corrections, in exponents and in relative deviations."""

OWN_SHARE = 0.03
"""The largest squared gradient of the net itself, over ``size`` squared, with which anything is decided."""

SPREAD = 1.25
"""Factor on the deviations of the recursion when a design is planned, because runs may scatter more."""


def slope_design(tailed: Tailed, alpha: float) -> Design:
    """Return the design for the exponent over the levels; the recursion gives its finite-size correction."""
    theory = effective_lr_exponent(tailed.noise.tail)
    logs, moved = (np.log(predicted(tailed, own=own).effective_lr[:-1]) for own in (0.0, OWN_SHARE))
    x = np.log(tailed.intrinsic_lrs[:-1])
    contrast = (x - x.mean()) / ((x - x.mean()) ** 2).sum()
    return SlopeEquivalence(
        estimand="slope of log effective LR against log lambda_e",
        theory=theory,
        levels=tailed.intrinsic_lrs[:-1],
        sd=SPREAD * float(logs.std(axis=1).max()),
        **_about_exponent(tailed, contrast @ logs, contrast @ moved),
        looks=tailed.looks,
        false_fail=alpha,
    )


def slope_data(runs: TailedRuns, tensors: tuple[str, ...], n: int) -> list[Array]:
    """Return the mean effective LR of each run at each level."""
    return [runs.effective_lr(level, tensors, n) for level in range(len(runs.tailed.decays))]


def end_design(tailed: Tailed, alpha: float) -> Design:
    """Return the design for the exponent in k with which the effective LR ends after lr is divided by k."""
    ends, moved = (
        -np.log(found[-1] / found[0]) / math.log(tailed.factor)
        for found in (predicted(tailed, own=own).effective_lr for own in (0.0, OWN_SHARE))
    )
    return MeanEquivalence(
        estimand=f"log(effective LR before / long after lr -> lr/{tailed.factor:g}) / log {tailed.factor:g}",
        theory=effective_lr_exponent(tailed.noise.tail),
        sd=SPREAD * float(ends.std()),
        **_about_exponent(tailed, ends, moved),
        looks=tailed.looks,
        false_fail=alpha,
    )


def end_data(runs: TailedRuns, tensors: tuple[str, ...], n: int) -> Array:
    """Return the exponent that each run shows, [n]."""
    before, after = (runs.effective_lr(stage, tensors, n) for stage in (0, len(runs.tailed.decays)))
    return np.asarray(np.log(before / after) / math.log(runs.tailed.factor))


def level_design(tailed: Tailed, alpha: float) -> Design:
    """Return the design for effective LR and log cos over their predictions, as means over the stages."""
    paths, moved = predicted(tailed), predicted(tailed, own=OWN_SHARE)
    levels = (paths.effective_lr / paths.means[:, None]).mean(axis=0)
    rotations = paths.rotation.mean(axis=0)
    # A path of the recursion has E log cos = log a, except for what it still remembers of its start.
    own, start = abs(float((moved.means / paths.means).mean()) - 1.0), abs(float(rotations.mean()) - 1.0)
    error = 3.0 * float(max(levels.std(), rotations.std())) / math.sqrt(PATHS)
    room = TOLERANCE + max(own, start) + error
    lambdas = np.array(tailed.intrinsic_lrs)
    typical = median_squared_length(tailed.noise) * paths.square.mean(axis=1) / (-2.0 * np.log1p(-lambdas))
    rivals = [Rival(name=TYPICAL, expected=(0.0, float(typical.mean()) - 1.0))]
    if tailed.noise.tail < 2.0:
        # For a tail index above 2 this rival is the law itself in the limit of small lambda_e.
        linear = predicted(tailed, "linear").means / paths.means
        rivals.append(Rival(name=LINEAR, expected=(float(linear.mean()) - 1.0, 0.0)))
    return CurveEquivalence(
        estimand="effective LR / the recursion's, then log cos / log(1 - lr*wd), less 1, over the stages",
        points=2,
        margin=(-room, room),
        margin_reason=(
            f"the larger of a gradient of the net's own that is {OWN_SHARE} of size squared {own:.3f} and "
            f"what is left of the start {start:.3f}, + error of {PATHS} paths {error:.3f} + tolerance "
            f"{TOLERANCE}"
        ),
        rivals=tuple(rivals),
        sd=SPREAD * float(max(levels.std(), rotations.std())),
        looks=tailed.looks,
        false_fail=alpha,
    )


def level_data(runs: TailedRuns, tensors: tuple[str, ...], n: int) -> Array:
    """Return the mean deviations over the stages, [n, 2]; runs of different stages are independent."""
    means = predicted(runs.tailed).means
    levels = [runs.effective_lr(stage, tensors, n) / mean for stage, mean in enumerate(means)]
    rotations = [runs.rotation(stage, tensors, n) for stage in range(len(means))]
    return np.stack([np.mean(levels, axis=0), np.mean(rotations, axis=0)], axis=1) - 1.0


DESIGNS = {"exponent": slope_design, "end of the drop": end_design, "level and rotation": level_design}
"""The design of each decision about a group, by its name."""
SAMPLES = {"exponent": slope_data, "end of the drop": end_data, "level and rotation": level_data}
"""What each decision is made on."""


def _about_exponent(tailed: Tailed, values: Array, moved: Array) -> dict[str, Any]:
    """Return margin and rivals of an exponent; paths of the recursion show ``values`` at these settings."""
    tail, theory = tailed.noise.tail, effective_lr_exponent(tailed.noise.tail)
    finite, own = abs(float(values.mean()) - theory), abs(float((moved - values).mean()))
    error = 3.0 * float(values.std()) / math.sqrt(PATHS)
    room = TOLERANCE + finite + own + error
    others = {"1/2": 0.5, "1/alpha^2": tail**-2} if tail < 2.0 else {"1/alpha": 1.0 / tail}
    others |= {"1": 1.0, "0": 0.0}
    return {
        "margin": (theory - room, theory + room),
        "margin_reason": (
            f"finite lambda_e and window {finite:.3f} (the recursion shows {float(values.mean()):.3f} "
            f"here) and a gradient of the net's own that is {OWN_SHARE} of size squared {own:.3f}, both by "
            f"the recursion, + error of {PATHS} paths {error:.3f} + tolerance {TOLERANCE}"
        ),
        "rivals": tuple(Rival(name=f"exponent {name}", expected=value) for name, value in others.items()),
    }
