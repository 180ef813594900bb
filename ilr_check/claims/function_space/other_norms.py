"""The laws of equilibrium for every norm: batch, layer, instance, group, RMS, and norms of weights."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from ilr_check.claims.claim import Profile
from ilr_check.claims.function_space.trainings.norm_accuracy import AccuracyReport, NormAccuracy, Normed
from ilr_check.claims.law import SeveralLaws
from ilr_check.claims.mean_field.trainings.equilibrium import Equilibrium, EquilibriumRuns, Level
from ilr_check.claims.mean_field.trainings.levels import (
    LevelQuestion,
    finite_lambda,
    norm_deviations,
    norm_rival,
)
from ilr_check.claims.mistakes import too_much_decay
from ilr_check.data import DigitsSpec, TangentNoise
from ilr_check.evidence import ClaimText
from ilr_check.nets.specs import CNNSpec, MLPSpec, NetSpec, NormSpec

TEXT = ClaimText(
    id="other-norms",
    title="The laws hold for every kind of normalisation",
    statement=(
        "BatchNorm, LayerNorm, InstanceNorm, GroupNorm, RMSNorm and WeightNorm obey the same laws, each "
        "for its own scale-invariant groups. The rotation per step is arccos(1 - lambda_e) and the "
        "effective learning rate sqrt(2 lambda_e)/G, where lambda_e is the learning rate times the weight "
        "decay and G the gradient noise at unit norm. WeightNorm with added gradient noise obeys them too. "
        "The claim also reports, without judging, how well these nets classify, which the theory does not "
        "predict."
    ),
    equation="cos θ* = 1 − ηλ,  effLR* · G / √(2λₑ) = 1",
    source="Li, Lyu, Arora 2020, section 5; reviewers' questions on other norms and on WeightNorm with noise",
    kind="statistical",
    chapter="function-space",
    groups=("function-space",),
    rivals=("half of the decay", "twice the decay"),
    meaning="A norm breaks scale invariance, on which the law rests, or the decay is wrong.",
    blind=(
        "why the nets classify differently well: the accuracies are reported, and the theory says nothing "
        "about a gap between two norms, nor about whether noise closes it; and a gradient that is off by one "
        "factor in the noise-reference runs too. A gradient with 1 % of its length along the weights moves "
        "the effective LR by 0.053, which is inside the margin; it shows in the gradients alone."
    ),
)

NORMS: tuple[tuple[str, NormSpec], ...] = (
    ("batch", NormSpec(kind="batch")),
    ("layer", NormSpec(kind="layer")),
    ("group", NormSpec(kind="group", groups=4)),
    ("rms", NormSpec(kind="rms")),
    ("weight_norm", NormSpec(kind="weight_norm")),
)
LEVEL = Level(lr=0.5, weight_decay=0.032)
NOISE = 2.0
"""The size of the added noise. Its square is its trace; G^2 of the BatchNorm net at ``LEVEL`` is 4.05."""

NORM_CHANGE = 0.05
"""How much log r may change over the window, as in angular-update."""


IMAGES = CNNSpec(image=(1, 8, 8), channels=(6, 8), strides=(2, 1), classes=10, norm=NormSpec(kind="instance"))
"""InstanceNorm needs more than one pixel."""


def narrow(norm: NormSpec) -> MLPSpec:
    """Return the net of one layer with this norm."""
    return MLPSpec(inputs=64, widths=(24,), classes=10, norm=norm)


def experiments(profile: Profile, seed: int) -> list[Equilibrium]:
    """Return GroupNorm, and WeightNorm with noise, in ``quick``; beyond, all norms, one of them on images."""
    data = DigitsSpec(label_noise=0.5)
    nets: list[tuple[str, NetSpec, TangentNoise | None]] = [
        (name, narrow(norm), None) for name, norm in NORMS
    ]
    nets.append(("weight_norm and noise", nets[-1][1], TangentNoise(size=NOISE)))
    if profile == "quick":
        nets = [net for net in nets if net[0] in ("group", "weight_norm and noise")]
    else:
        nets.append(("instance, on images", IMAGES, None))
    return [
        Equilibrium(
            title=name,
            net=net,
            data=data,
            levels=(LEVEL,) if profile == "quick" else (LEVEL, Level(lr=0.1, weight_decay=0.16)),
            noise=noise,
            burn_in=2.0,
            window=4.0,
            planned_sd=0.05,
        )
        for name, net, noise in nets
    ]


def judges_norms(experiment: Equilibrium) -> bool:
    """Return whether the effective LR is judged too, and not the rotation alone.

    Without added noise the gradient of a WeightNorm net differs in size by a factor of two from run to run,
    so that other runs predict it too badly for any decision.
    """
    return experiment.net.norm.kind != "weight_norm" or experiment.noise is not None


def deviations(runs: EquilibriumRuns, tensors: tuple[str, ...], n: int) -> NDArray[np.float64]:
    """Return the deviations of the angle and then of the effective LR, level by level, [n, points]."""
    angles = [
        0.5 * (runs.window("judged", level, tensors, n).log_cosine / np.log(level.cosine) - 1.0)
        for level in runs.experiment.levels
    ]
    columns = [np.stack(angles, axis=1)]
    if judges_norms(runs.experiment):
        columns.append(norm_deviations(runs, tensors, n))
    return np.concatenate(columns, axis=1)


def rivals(experiment: Equilibrium) -> Mapping[str, Sequence[float]]:
    """Return the deviations of the angles and of the norms that another decay would cause."""
    return {"half of the decay": under(experiment, 0.5), "twice the decay": under(experiment, 2.0)}


def under(experiment: Equilibrium, factor: float) -> list[float]:
    """Return the deviations if weight decay acted ``factor`` times as much."""
    angles = [
        0.5 * (math.log1p(-factor * x.intrinsic_lr) / math.log1p(-x.intrinsic_lr) - 1.0)
        for x in experiment.levels
    ]
    norms = [norm_rival(1.0, 1.0 / factor) for _ in experiment.levels]
    return [*angles, *(norms if judges_norms(experiment) else ())]


def corrections(experiment: Equilibrium) -> tuple[float, str]:
    """Return the larger one of the corrections of angular-update and of equilibrium-effective-lr."""
    finite, _ = finite_lambda(experiment)
    change = 0.5 * NORM_CHANGE / experiment.window
    return max(finite, change), "finite lambda_e (2 lambda_e) and change of the norm over the window"


def points(experiment: Equilibrium) -> tuple[float, ...]:
    """Return the numbers of the columns: angles, then norms."""
    return tuple(1.0 + i for i in range(len(experiment.levels) * (2 if judges_norms(experiment) else 1)))


ACCURACY = (
    NormAccuracy(
        title="accuracy of the norms",
        nets=(
            *(Normed(name=name, net=narrow(norm)) for name, norm in NORMS),
            Normed(name="weight_norm and noise", net=narrow(NORMS[-1][1]), noise=TangentNoise(size=NOISE)),
        ),
        lr=LEVEL.lr,
        weight_decay=LEVEL.weight_decay,
    ),
    NormAccuracy(
        title="accuracy of the norms, on images",
        nets=tuple(
            Normed(name=norm.kind, net=msgspec.structs.replace(IMAGES, norm=norm))
            for norm in (NormSpec(kind="batch"), NormSpec(kind="instance"))
        ),
        lr=LEVEL.lr,
        weight_decay=LEVEL.weight_decay,
    ),
)
"""What is trained to report accuracies; with BatchNorm a net uses the statistics of the training set."""

LEVELS = LevelQuestion(
    text=TEXT,
    experiments=experiments,
    deviations=deviations,
    points=points,
    rivals=rivals,
    mistakes=lambda spec: (too_much_decay(lambda factor: under(spec, factor)),),
    corrections=corrections,
    tolerance=0.04,
    estimand="rotation per step and effective LR over theory, less 1",
    x_label="rotation (first half), then effective LR (second half), a point a level",
    caption="Rotation over arccos(1 - lambda_e) and effective LR over sqrt(2 lambda_e)/G for one norm.",
).law()

LAW = SeveralLaws(TEXT, LEVELS, AccuracyReport(TEXT.id, ACCURACY))
CLAIM = LAW.claim()
