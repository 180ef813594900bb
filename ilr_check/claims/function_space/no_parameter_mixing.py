"""At equilibrium the function is forgotten and the weights are not: they stay near one place."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from ilr_check.claims.claim import Profile
from ilr_check.claims.figures import interval, line
from ilr_check.claims.function_space.trainings.functions import (
    FunctionRuns,
    Functions,
    History,
    Stage,
)
from ilr_check.claims.lab import Lab
from ilr_check.claims.law import Examined, Part, StatisticalLaw
from ilr_check.claims.settings.nets import REFERENCE
from ilr_check.data import DataSpec, SplitDigitsSpec
from ilr_check.evidence import ClaimText, Figure
from ilr_check.nets.specs import NetSpec
from ilr_check.stats import MeanEquivalence, Rival
from ilr_check.theory.mixing import free_cosine

Array = NDArray[np.float64]

TEXT = ClaimText(
    id="no-parameter-mixing",
    title="The weights do not mix",
    statement=(
        "At equilibrium the weights of one run, many times 1/lambda_e steps apart, are much closer to each "
        "other than those of two runs are; lambda_e is the learning rate times the weight decay. So "
        "averaging weights along one run gives a better net, and averaging over initialisations does not."
    ),
    equation="⟨u_t, u_{t+D}⟩ ≫ ⟨u, u_other⟩ at λₑD = 5,  (1 − λₑ)^D if nothing held them",
    source="Li, Lyu, Arora 2020, on mixing and averages of weights; the cosine is a sharper form",
    kind="statistical",
    chapter="function-space",
    groups=("function-space",),
    rivals=("mixed: as far apart as two runs",),
    meaning=(
        "The weights move freely: noise is larger than the gradient, or the learning rate is far too "
        "large; or the runs did not start from initialisations of their own."
    ),
    blind=(
        "whether the cosine has a plateau that lasts for ever: it still falls slowly at the longest lag. "
        "The theory derives no value of the plateau or of the gain. The distance of functions is not "
        "judged here."
    ),
)

LAGS = (0.0, 0.5, 1.0, 2.0, 3.0, 5.0)
"""The lags in units of 1/lambda_e; the last one is judged."""

LONGEST, ALONG, OVER = (
    Part(name, figure="cosines", inequality=True)
    for name in ("weights at the longest lag", "average along a run", "average over inits")
)


class Mixing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Runs at constant settings, seen after ``burn_in`` over lambda_e steps and at each of ``LAGS`` later."""

    title: str
    net: NetSpec
    data: DataSpec
    lr: float = 0.5
    weight_decay: float = 0.032
    burn_in: float = 4.0
    looks: tuple[int, ...] = (64, 128)

    @property
    def intrinsic_lr(self) -> float:
        """lr * weight_decay."""
        return self.lr * self.weight_decay

    @property
    def seen(self) -> tuple[int, ...]:
        """Steps at which weights are kept."""
        return tuple(round((self.burn_in + lag) / self.intrinsic_lr) for lag in LAGS)


class Readings:
    """Cosines between the weights of runs at several lags, and the accuracy of averaged weights."""

    def __init__(self, mixing: Mixing, lab: Lab) -> None:
        self._mixing = mixing
        self._runs = FunctionRuns(lab, mixing.net, mixing.data)
        phase = Stage(steps=mixing.seen[-1], lr=mixing.lr, weight_decay=mixing.weight_decay)
        course = History(name=mixing.title, phases=(phase,))
        self._population = self._runs.population(course, mixing.seen, weights=True)
        self._cache: dict[int, dict[Part, Array]] = {}

    def read(self, part: Part, n: int) -> Array:
        """Return what a part judges, [n]."""
        if part is LONGEST:
            return np.asarray(self.cosines(n)[-1] - self.across(n))
        return self.gains(n)[part]

    def cosines(self, n: int) -> Array:
        """Return the cosine of the first weights and those at each time, mean over tensors, [times, n]."""
        parts = self._functions(n)
        return np.stack([_cosine(parts[0], part, 0) for part in parts])

    def across(self, n: int) -> Array:
        """Return the cosine of one run's first weights and the next run's last weights, [n].

        Each run belongs to two pairs.
        """
        parts = self._functions(n)
        return _cosine(parts[0], parts[-1], 1)

    def gains(self, n: int) -> dict[Part, Array]:
        """Return the accuracy of averaged weights less the mean accuracy of what was averaged, each [n]."""
        if n not in self._cache:
            parts = self._functions(n)
            # An average over inits takes one init at each time, so both averages have the same parts.
            own = self._mean(parts, 0)
            other = self._mean(parts, 1)
            alone = np.stack([part.accuracy for part in parts])
            shuffled = np.stack([np.roll(row, k) for k, row in enumerate(alone)])
            self._cache[n] = {
                ALONG: own.accuracy - alone.mean(axis=0),
                OVER: other.accuracy - shuffled.mean(axis=0),
            }
        return self._cache[n]

    def _functions(self, n: int) -> list[Functions]:
        return [self._population.at(step, n) for step in self._mixing.seen]

    def _mean(self, parts: list[Functions], shift: int) -> Functions:
        """Return the functions of averaged weights, with the norm statistics of the average."""
        return self._runs.functions_of(
            {
                name: torch.from_numpy(
                    np.mean(
                        [np.roll(part.weights[name], k * shift, axis=0) for k, part in enumerate(parts)], 0
                    )
                )
                for name in parts[0].weights
            }
        )


def experiments(profile: Profile, seed: int) -> list[Mixing]:
    """Return digits with label noise 0.5; beyond ``quick`` a smaller lambda_e too."""
    return [
        Mixing(
            title=f"digits, label noise 0.5, lambda_e {0.5 * decay:g}",
            net=REFERENCE,
            data=SplitDigitsSpec(label_noise=0.5),
            weight_decay=decay,
        )
        for decay in ((0.032,) if profile == "quick" else (0.032, 0.016))
    ]


_MIXED = (Rival(name=TEXT.rivals[0], expected=0.0),)
_QUESTIONS: dict[Part, tuple[str, float, tuple[float, float], str, tuple[Rival, ...]]] = {
    LONGEST: (
        "cosine of a run's weights 5/lambda_e apart, less that of two runs",
        0.5,
        (0.1, 0.9),
        "mixed weights give 0 and unmoved ones 1; a tenth of the way from either counts as neither",
        _MIXED,
    ),
    ALONG: (
        "accuracy on held-out digits of the average along a run, less that of its parts",
        0.1,
        (0.03, 0.3),
        "an average helps from 3 points on; theory gives its sign only",
        _MIXED,
    ),
    OVER: (
        "accuracy on held-out digits of the average over inits, less that of its parts",
        0.0,
        (-0.9, 0.03),
        "an average helps from 3 points on, and may do any harm",
        (),
    ),
}
"""By part: the estimand, a value inside the margin with which the design plans, the margin with its reason,
and the rivals. The theory gives none of the values, only the bounds."""


def design(mixing: Mixing, part: Part, alpha: float) -> MeanEquivalence:
    """Return the design of one part."""
    estimand, planned, margin, reason, rivals = _QUESTIONS[part]
    return MeanEquivalence(
        estimand=estimand,
        theory=planned,
        margin=margin,
        margin_reason=reason,
        rivals=rivals,
        looks=mixing.looks,
        false_fail=alpha,
        sd=0.05,
    )


def _cosine(a: Functions, b: Functions, shift: int) -> Array:
    cosines = []
    for name, w in a.weights.items():
        x = w.reshape(len(w), -1).astype(np.float64)
        y = np.roll(b.weights[name].reshape(len(w), -1).astype(np.float64), shift, axis=0)
        cosines.append((x * y).sum(1) / np.sqrt((x * x).sum(1) * (y * y).sum(1)))
    return np.asarray(np.mean(cosines, axis=0))


def figure(seen: Examined[Mixing, Readings]) -> Figure:
    """Draw the cosine by lag, beside that of two runs and that of a free rotation."""
    lags, cosines, rate = np.array(LAGS), seen.runs.cosines(seen.n), seen.spec.intrinsic_lr
    error = 2.0 * cosines.std(axis=1) / math.sqrt(seen.n)
    mean = cosines.mean(axis=1)
    return Figure(
        name="",
        title=seen.spec.title,
        x_label="lag x lambda_e",
        y_label="cosine of the weights",
        series=(
            interval("one run", lags, mean, mean - error, mean + error),
            line("two runs", "control", lags, np.full(len(lags), seen.runs.across(seen.n).mean())),
            line("free rotation", "rival", lags, free_cosine(rate, lags / rate)),
        ),
        caption=(
            "Weights that rotated freely would forget themselves along the falling line. The weights of a "
            "run stay far above it, and above the cosine of two runs: they stay near one place."
        ),
    )


LAW = StatisticalLaw(
    text=TEXT,
    spec=Mixing,
    experiments=experiments,
    run_steps=lambda mixing: mixing.looks[0] * mixing.seen[-1],
    trained=Readings,
    parts=lambda mixing: tuple(_QUESTIONS),
    design=design,
    sample=Readings.read,
    steps=lambda mixing, part: mixing.seen[-1],
    form="prediction",
    figure=figure,
)
CLAIM = LAW.claim()
"""The control is within: the same code judges averages along a run and over inits, which must differ."""
