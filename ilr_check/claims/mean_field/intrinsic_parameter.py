"""The intrinsic product is lr*wd for SGD, AdamW and Lion, and lr^2*wd for Adam and RMSprop with L2."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from ilr_check.claims.claim import Profile
from ilr_check.claims.mean_field.trainings.equilibrium import Equilibrium, EquilibriumRuns, Level
from ilr_check.claims.mean_field.trainings.levels import LevelQuestion
from ilr_check.claims.mistakes import mistake
from ilr_check.claims.settings.subjects import subjects
from ilr_check.evidence import ClaimText

TEXT = ClaimText(
    id="intrinsic-parameter",
    title="Which product of lr and weight decay sets the rotation",
    statement=(
        "Long after the start, two trainings with equal lr * weight_decay rotate the weights equally in a "
        "step, with SGD, AdamW and Lion. With Adam and RMSprop, if weight decay is inside the gradient (L2), "
        "trainings with equal lr^2 * weight_decay do."
    ),
    equation="ηλ (SGD, AdamW, Lion);  η²λ (Adam, RMSprop with L2)",
    source="Li, Lyu, Arora 2020, section 5 for SGD; the others from their scaling symmetries",
    kind="statistical",
    chapter="mean-field",
    groups=("mean-field",),
    rivals=("the other product is intrinsic",),
    meaning=(
        "Weight decay is coupled to the learning rate as in another family. It is multiplied by lr once too "
        "often or not at all, or it is inside the gradient where it should be outside."
    ),
    blind="a decay that is off by a constant factor, because both trainings of a pair have it.",
)

_BETAS = {"beta1": 0.9, "beta2": 0.98, "eps": 1e-12}
RATIO = 2.0
"""The ratio of the LRs of a pair."""

FIRST: tuple[Level, ...] = (
    Level(lr=0.5, weight_decay=0.016),
    Level(lr=0.01, weight_decay=0.8, rule="adamw", hyper=_BETAS),
    Level(lr=0.004, weight_decay=2.0, rule="lion", hyper={"beta1": 0.9, "beta2": 0.98}),
    Level(lr=0.01, weight_decay=0.02, rule="adam", hyper=_BETAS, memory_rate=8e-3),
    Level(lr=0.01, weight_decay=0.02, rule="rmsprop", hyper={"alpha": 0.98, "eps": 1e-12}, memory_rate=8e-3),
)
COUPLED = ("adam", "rmsprop")


def partner(level: Level) -> Level:
    """Return the level with twice the LR and the same intrinsic parameter."""
    decay = level.weight_decay / RATIO ** (2 if level.rule in COUPLED else 1)
    return Level(
        lr=RATIO * level.lr,
        weight_decay=decay,
        rule=level.rule,
        hyper=level.hyper,
        memory_rate=level.memory_rate,
    )


def experiments(profile: Profile, seed: int) -> list[Equilibrium]:
    """Return the reference net with pairs of levels of five optimizers; beyond ``quick`` also other nets."""
    beside = ("GroupNorm CNN", "BatchNorm, batch 128")
    found = []
    for subject in subjects(TEXT.id, profile, seed, beside=beside):
        firsts = [_slower(level) if subject.slow else level for level in FIRST]
        levels = tuple(level for first in firsts for level in (first, partner(first)))
        norms = (3.0,) * len(levels)
        found.append(Equilibrium(levels=levels, initial_norms=norms, planned_sd=0.04, **subject._asdict()))
    return found


def _slower(level: Level) -> Level:
    """Return the level with the slower memory of a tensor of a few dozen entries, as in small convolutions.

    Under noise Adam rotates d entries by about lr sqrt(d) / r in a step, and the norm forgets at half of the
    square of this angle: 2e-3 for the 72 entries of the first layer of the small CNN, and not 8e-3. After
    250 steps this layer still rotated 4.4 % +- 0.7 % faster in one training of the pair; after 670 steps,
    -0.1 % +- 0.5 %.
    """
    return msgspec.structs.replace(level, memory_rate=3e-3) if level.rule in COUPLED else level


def deviations(runs: EquilibriumRuns, tensors: tuple[str, ...], n: int) -> NDArray[np.float64]:
    """Return half the log ratio of 1 - cos in each pair: to first order that of the angles, [n, pairs]."""
    columns = []
    for first, second in _pairs(runs.experiment):
        one, other = (np.log(-runs.window("judged", x, tensors, n).log_cosine) for x in (first, second))
        columns.append(0.5 * (other - one))
    return np.stack(columns, axis=1)


def rivals(experiment: Equilibrium) -> Mapping[str, Sequence[float]]:
    """Return the log ratio of the angles of a pair if the other product set the angle.

    With twice the LR and equal lr*wd, lr^2*wd is doubled, and an angle proportional to its 1/3rd power grows
    by 2^(1/3). With equal lr^2*wd, lr*wd is halved, and an angle proportional to its root falls by 2^(1/2).
    """
    gaps = [
        -math.log(RATIO) / 2.0 if first.rule in COUPLED else math.log(RATIO) / 3.0
        for first, _ in _pairs(experiment)
    ]
    return {TEXT.rivals[0]: gaps}


def wrong_power(experiment: Equilibrium, size: float) -> list[float]:
    """Return the log ratios of the angles of all pairs if lr entered the product in too large a power.

    The angle is the product to the power 1/2, or 1/3 where weight decay passes through the gradient.
    """
    powers = [2.0 / 3.0 if first.rule in COUPLED else 0.5 for first, _ in _pairs(experiment)]
    return [size * power * math.log(RATIO) for power in powers]


def corrections(experiment: Equilibrium) -> tuple[float, str]:
    """Return the fluctuation of v, of order 1 - beta2, which does not scale with the weights."""
    return 0.02, "fluctuation of v (1 - beta2)"


def _pairs(experiment: Equilibrium) -> list[tuple[Level, Level]]:
    return list(zip(experiment.levels[::2], experiment.levels[1::2], strict=True))


LAW = LevelQuestion(
    text=TEXT,
    experiments=experiments,
    deviations=deviations,
    points=lambda experiment: tuple(float(i) for i in range(1, len(experiment.levels) // 2 + 1)),
    rivals=rivals,
    mistakes=lambda spec: (
        mistake("lr in a power that is {} too large", lambda size: wrong_power(spec, size)),
    ),
    corrections=corrections,
    tolerance=0.03,
    estimand="log(rotation at twice the LR and an equal intrinsic parameter / rotation)",
    x_label="SGD, AdamW, Lion, Adam with L2, RMSprop with L2",
    caption="Rotation per step of two trainings that differ by 2 in LR, with equal intrinsic parameter.",
    populations=1,
    form="prediction",
).law()
CLAIM = LAW.claim()
