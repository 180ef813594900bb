"""Length and autocorrelation of the updates of Muon set its norm and its rotation at equilibrium."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from ilr_check.claims.claim import Profile
from ilr_check.claims.mean_field.trainings.equilibrium import Equilibrium, EquilibriumRuns, Level
from ilr_check.claims.mean_field.trainings.levels import LevelQuestion
from ilr_check.claims.mistakes import Mistake, too_much_decay
from ilr_check.claims.settings.subjects import NOISE
from ilr_check.data import DigitsSpec
from ilr_check.evidence import ClaimText
from ilr_check.nets.build import parameter_shapes
from ilr_check.nets.specs import MLPSpec, NetSpec
from ilr_check.optim.muon import muon
from ilr_check.theory.adaptive import correlations, decoupled, nesterov_average

Array = NDArray[np.float64]

TEXT = ClaimText(
    id="muon-equilibrium",
    title="Measured updates predict the equilibrium of Muon under noise",
    statement=(
        "If noise dominates the gradient, the weight norm and the rotation per step of Muon at equilibrium "
        "follow from weight decay and from the length and autocorrelation of the updates that Muon makes "
        "from white noise."
    ),
    equation="E‖w‖² = η²U²/(1 − a²) (1 + 2D),  D = Σ aᵏρₖ,  a = 1 − ηλ",
    source="shared form of Kosson et al. 2024 and Wen et al. 2025; Muon: Jordan et al. 2024",
    kind="statistical",
    chapter="mean-field",
    groups=("mean-field",),
    rivals=("the correlation of the momentum", "updates uncorrelated with the weights", "half of the decay"),
    meaning=(
        "The decay of a step is not lr * weight_decay times the weights, momentum is averaged in another "
        "way, or the update is not the orthogonalised momentum."
    ),
    blind=(
        "the orthogonalisation itself, because its output on white noise is measured with the same code; and "
        "nets whose gradient is not mostly noise."
    ),
)

MOMENTUM = 0.9
LAGS = 120
"""The number of lags that are summed. Then 0.9^120 = 3e-6 of a gradient is left in the momentum."""
STREAM = 3 * LAGS
"""The number of updates in a stream that are correlated, after ``LAGS`` others that are left out."""


def initial_norm(net: NetSpec, level: Level) -> float:
    """Return the norm by the closed form for the correlation of the momentum, which is near equilibrium."""
    return math.sqrt(_closed_form(_shape(net), level)[0])


def experiments(profile: Profile, seed: int) -> list[Equilibrium]:
    """Return a wide and a square weight matrix, each dominated by tangent noise of constant size."""
    widths = (24,) if profile == "quick" else (24, 64)
    decays = (0.5, 1.0) if profile == "quick" else (0.25, 0.5, 1.0)
    levels = tuple(
        Level(lr=0.01, weight_decay=wd, rule="muon", momentum=MOMENTUM, memory_rate=0.01 * wd)
        for wd in decays
    )
    found = []
    for width in widths:
        net = MLPSpec(inputs=64, widths=(width,), classes=10)
        found.append(
            Equilibrium(
                title=f"control: digits, a matrix of {width} by 64, dominated by noise",
                net=net,
                data=DigitsSpec(),
                levels=levels,
                noise=NOISE,
                burn_in=2.5,
                window=3.0,
                initial_norms=tuple(initial_norm(net, level) for level in levels),
                planned_sd=0.03,
                looks=(32, 64),
            )
        )
    return found


def autocovariances(shape: tuple[int, ...], momentum: float, seeds: Sequence[int]) -> Array:
    """Return <u_t, u_(t+k)> of updates on white noise, k = 0 .. LAGS, as time means, [n, LAGS + 1].

    The rule itself makes the updates, at lr = 1, weight decay 0 and weights 0.
    """
    ones = {"lr": 1.0, "weight_decay": 0.0, "momentum": momentum}
    columns = {name: np.full((1, 1), value) for name, value in ones.items()}
    numbers = tuple(torch.tensor(float(v.item())) for v in muon.coefficients(columns))
    found = []
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        noise = torch.randn(LAGS + STREAM, *shape, generator=generator)
        buffer, rest = torch.zeros(1, *shape), torch.zeros(1, *shape)
        # The momentum is a filter of the noise, so all steps but the averaging are made at once.
        momenta = torch.empty_like(noise)
        for t in range(len(noise)):
            buffer = torch.lerp(buffer, noise[t : t + 1], numbers[2])
            momenta[t] = buffer[0]
        previous = torch.cat([torch.zeros(1, *shape), momenta[:-1]])
        update, _ = muon.step(rest.expand_as(noise), noise, (previous,), numbers)
        flat = update[LAGS:].reshape(STREAM, -1)
        gram = (flat @ flat.mT).double().numpy()
        found.append([np.diagonal(gram, k).mean() for k in range(LAGS + 1)])
    return np.asarray(found)


def predicted(level: Level, covariance: Array) -> tuple[Array, Array]:
    """Return (E r^2, E <w, w'>) from autocovariances [..., LAGS + 1]; both are linear in them.

    R = lr^2 / (1 - a^2) (c_0 + 2 S) and <w, w'> = a R + lr^2 S / a, with S = sum of a^k c_k.
    """
    a = 1.0 - level.lr * level.weight_decay
    lagged = covariance[..., 1:] @ (a ** np.arange(1.0, covariance.shape[-1]))
    norm2 = level.lr**2 / (1.0 - a * a) * (covariance[..., 0] + 2.0 * lagged)
    return norm2, a * norm2 + level.lr**2 * lagged / a


def deviations(runs: EquilibriumRuns, tensors: tuple[str, ...], n: int) -> Array:
    """Return half of r^2, then of 1 - cos, over the prediction less 1, to first order, for every level.

    Streams of white noise are the noise references. Both predictions are linear in their autocovariances, so
    that the value of a stream is its pseudo-value. 1 - cos = (R - <w, w'>) / R is a ratio of two such
    quantities; it is linearised at the predicted one.
    """
    shape = _shape(runs.experiment.net)
    levels = runs.experiment.levels
    noise_references = runs.streams(levels[0], n, lambda seeds: autocovariances(shape, MOMENTUM, seeds))
    norms, rotations = [], []
    for level in levels:
        norm2, inner = predicted(level, noise_references)
        middle, turn = norm2.mean(), (norm2 - inner).mean()
        window = runs.window("judged", level, tensors, n)
        longer = (window.norm2 - norm2) / middle
        norms.append(0.5 * longer)
        measured = window.norm2 - window.inner
        rotations.append(0.5 * ((measured - (norm2 - inner)) / turn - longer))
    return np.stack(norms + rotations, axis=1)


def rivals(experiment: Equilibrium) -> Mapping[str, Sequence[float]]:
    """Return norm and rotation of each rival on the scale of ``deviations``, from a few fixed streams."""
    shape = _shape(experiment.net)
    covariance = autocovariances(shape, MOMENTUM, range(8)).mean(axis=0)
    uncorrelated = np.concatenate([covariance[:1], np.zeros(LAGS)])
    norms: dict[str, list[float]] = {name: [] for name in TEXT.rivals}
    turns: dict[str, list[float]] = {name: [] for name in TEXT.rivals}
    for level in experiment.levels:
        norm2, inner = (float(v) for v in predicted(level, covariance))
        halved = 1.0 - 0.5 * level.lr * level.weight_decay
        lagged = float(covariance[1:] @ halved ** np.arange(1.0, LAGS + 1.0))
        wrong = level.lr**2 / (1.0 - halved**2) * (float(covariance[0]) + 2.0 * lagged)
        a = 1.0 - level.lr * level.weight_decay
        closed, cosine = _closed_form(shape, level)
        bare = float(predicted(level, uncorrelated)[0])
        others = (
            (closed, cosine),
            (bare, a),
            (wrong, halved + level.lr**2 * lagged / halved / wrong),
        )
        for name, (other, turned) in zip(TEXT.rivals, others, strict=True):
            norms[name].append(0.5 * (other / norm2 - 1.0))
            turns[name].append(0.5 * ((1.0 - turned) / (1.0 - inner / norm2) - 1.0))
    return {name: norms[name] + turns[name] for name in TEXT.rivals}


def decayed(experiment: Equilibrium) -> Mistake:
    """Return too much decay: norm^2 falls by its factor and 1 - cos grows by it, to first order in lr wd."""
    count = len(experiment.levels)
    return too_much_decay(
        lambda factor: [0.5 * (1.0 / factor - 1.0)] * count + [0.5 * (factor - 1.0)] * count
    )


def corrections(experiment: Equilibrium) -> tuple[float, str]:
    """Return 2 lr wd of the largest level: the noise is tangent to the weights of its own step only."""
    return 2.0 * max(level.intrinsic_lr for level in experiment.levels), "noise tangent once (2 lr wd)"


def _shape(net: NetSpec) -> tuple[int, ...]:
    (shape,) = parameter_shapes(net).values()
    return tuple(shape)


def _closed_form(shape: tuple[int, ...], level: Level) -> tuple[float, float]:
    """Return (E r^2, cos) if U^2 were the number of rows and rho that of the momentum: a likely mistake."""
    kernel = nesterov_average(level.momentum)
    return decoupled(level.lr, level.weight_decay, float(shape[0]), correlations(kernel))


LAW = LevelQuestion(
    text=TEXT,
    experiments=experiments,
    deviations=deviations,
    points=lambda experiment: tuple(float(i) for i in range(1, 2 * len(experiment.levels) + 1)),
    rivals=rivals,
    mistakes=lambda spec: (decayed(spec),),
    corrections=corrections,
    tolerance=0.03,
    estimand="half of norm^2 and of 1 - cos / prediction from white noise, less 1, at every level",
    x_label="norms, then rotations, by weight decay",
    caption="Norm and rotation of Muon at equilibrium over the formula with measured updates.",
    populations=1,
).law()
CLAIM = LAW.claim()
