"""At equilibrium the function is forgotten and the weights are not: they stay near where they were."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from ilr_check.claims.claim import Claim, Context, Finding, Judged, Profile, Unit
from ilr_check.claims.function_space.trainings.functions import Course, FunctionRuns, Functions, Phase
from ilr_check.claims.populations import file_name, finding_of
from ilr_check.claims.settings.nets import REFERENCE
from ilr_check.data import DataSpec, SplitDigitsSpec
from ilr_check.evidence import ClaimText, Figure, Series
from ilr_check.nets.specs import NetSpec
from ilr_check.optim.rules import Rule
from ilr_check.optim.sgd import UpdateRule, plain
from ilr_check.stats import MeanEquivalence, Rival, examine
from ilr_check.theory.mixing import free_cosine

Array = NDArray[np.float64]

TEXT = ClaimText(
    id="no-parameter-mixing",
    title="The weights do not mix",
    statement=(
        "At equilibrium, lags of many 1/lambda_e apart, the weights of a run are still much nearer to each "
        "other than those of two runs are. So averaging them along one run finds a better net, and averaging "
        "over inits does not."
    ),
    equation="⟨u_t, u_{t+D}⟩ ≫ ⟨u, u_other⟩ at λₑD = 5,  (1 − λₑ)^D if nothing held them",
    source="Li, Lyu, Arora 2020, on mixing and averages of weights; the cosine is a sharper form",
    kind="statistical",
    chapter="function-space",
    groups=("function-space",),
    rivals=("mixed: as far apart as two runs",),
    meaning=(
        "The weights wander freely: noise outweighs the gradient, or the lr is far too large; or runs did "
        "not start from inits of their own."
    ),
    blind=(
        "whether the cosine has a plateau that lasts for ever: it still falls slowly at the longest lag. The "
        "theory derives no value of the plateau or of the gain. The distance of functions is not judged here."
    ),
)

LAGS = (0.0, 0.5, 1.0, 2.0, 3.0, 5.0)
"""In units of 1/lambda_e; the last one is judged."""

PARTS = ("weights at the longest lag", "average along a run", "average over inits")


class Mixing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Runs at constant settings, seen after ``burn_in`` over lambda_e and at every one of ``LAGS`` after
    it."""

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
    """What n runs say of lag cosines and of averages; everything is [n]."""

    def __init__(self, mixing: Mixing, context: Context, rule: UpdateRule | Rule) -> None:
        self._mixing = mixing
        self._runs = FunctionRuns(
            mixing.net,
            mixing.data,
            context,
            planned_run_steps=mixing.looks[0] * mixing.seen[-1],
            rule=rule,
        )
        phase = Phase(steps=mixing.seen[-1], lr=mixing.lr, weight_decay=mixing.weight_decay)
        course = Course(name=mixing.title, phases=(phase,))
        self._population = self._runs.population(course, mixing.seen, weights=True)
        self._cache: dict[int, dict[str, Array]] = {}

    def cosines(self, n: int) -> Array:
        """Mean cosine over tensors between the first look and each, [looks, n]."""
        parts = self._functions(n)
        return np.stack([_cosine(parts[0], part, 0) for part in parts])

    def across(self, n: int) -> Array:
        """Cosine between one run's first and the next run's last look: pairs overlap, each run is in two."""
        parts = self._functions(n)
        return _cosine(parts[0], parts[-1], 1)

    def gains(self, n: int) -> dict[str, Array]:
        """Accuracy on probes less that of the average's parts in the mean, by kind of average."""
        if n not in self._cache:
            parts = self._functions(n)
            # Of as many inits as looks, and every init at another of the looks: the same parts, shuffled.
            own = self._mean(parts, 0)
            other = self._mean(parts, 1)
            alone = np.stack([part.accuracy for part in parts])
            shuffled = np.stack([np.roll(row, k) for k, row in enumerate(alone)])
            self._cache[n] = {
                PARTS[1]: own.accuracy - alone.mean(axis=0),
                PARTS[2]: other.accuracy - shuffled.mean(axis=0),
            }
        return self._cache[n]

    def _functions(self, n: int) -> list[Functions]:
        return [self._population.at(step, n) for step in self._mixing.seen]

    def _mean(self, parts: list[Functions], shift: int) -> Functions:
        """Functions of averaged weights; norm statistics are those of the average on the training set."""
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


def plan(profile: Profile, seed: int) -> tuple[Unit, ...]:
    """Digits with label noise 0.5; beyond ``quick`` a smaller lambda_e too."""
    decays = (0.032,) if profile == "quick" else (0.032, 0.016)
    mixings = [
        Mixing(
            title=f"digits, label noise 0.5, lambda_e {0.5 * decay:g}",
            net=REFERENCE,
            data=SplitDigitsSpec(label_noise=0.5),
            weight_decay=decay,
        )
        for decay in decays
    ]
    return tuple(
        Unit(
            claim=TEXT.id,
            title=f"{TEXT.id}: {mixing.title}",
            subject=msgspec.to_builtins(mixing),
            decisions=tuple(f"{TEXT.id}/{mixing.title}/{part}" for part in PARTS),
        )
        for mixing in mixings
    )


def judge(subject: dict[str, Any], context: Context, *, rule: UpdateRule | Rule = plain) -> Judged:
    """Judge the longest lag and both averages; tests plant defects through ``rule``."""
    mixing = msgspec.convert(subject, type=Mixing)
    readings = Readings(mixing, context, rule)
    read: dict[str, Callable[[int], Array]] = {
        PARTS[0]: lambda n: readings.cosines(n)[-1] - readings.across(n),
        PARTS[1]: lambda n: readings.gains(n)[PARTS[1]],
        PARTS[2]: lambda n: readings.gains(n)[PARTS[2]],
    }
    findings: list[Finding] = []
    name, used = file_name(TEXT.id, mixing.title), 0
    for part, (quantity, theory, margin, reason, rivals) in _QUESTIONS.items():
        design = MeanEquivalence(
            estimand=quantity,
            theory=theory,
            margin=margin,
            margin_reason=reason,
            rivals=rivals,
            looks=mixing.looks,
            false_fail=context.alpha(f"{TEXT.id}/{mixing.title}/{part}"),
            sd=0.05,
        )
        examination = examine(design, read[part])
        used = max(used, examination.runs_used)
        findings.append(
            finding_of(
                examination, form="raw", group=part, subject=subject, n_steps=mixing.seen[-1], figure=name
            )
        )
    return Judged(tuple(findings), (_figure(mixing, readings, used, name),) if used else ())


_MIXED = (Rival(name=TEXT.rivals[0], expected=0.0),)
_QUESTIONS: dict[str, tuple[str, float, tuple[float, float], str, tuple[Rival, ...]]] = {
    PARTS[0]: (
        "cosine of a run's weights 5/lambda_e apart, less that of two runs",
        0.5,
        (0.1, 0.9),
        "mixed weights give 0 and unmoved ones 1; a tenth of the way from either counts as neither",
        _MIXED,
    ),
    PARTS[1]: (
        "accuracy on held-out digits of the average along a run, less that of its parts",
        0.1,
        (0.03, 0.3),
        "an average helps from 3 points on; theory gives its sign only",
        _MIXED,
    ),
    PARTS[2]: (
        "accuracy on held-out digits of the average over inits, less that of its parts",
        0.0,
        (-0.9, 0.03),
        "an average helps from 3 points on, and may do any harm",
        (),
    ),
}


def _cosine(a: Functions, b: Functions, shift: int) -> Array:
    cosines = []
    for name, w in a.weights.items():
        x = w.reshape(len(w), -1).astype(np.float64)
        y = np.roll(b.weights[name].reshape(len(w), -1).astype(np.float64), shift, axis=0)
        cosines.append((x * y).sum(1) / np.sqrt((x * x).sum(1) * (y * y).sum(1)))
    return np.asarray(np.mean(cosines, axis=0))


def _figure(mixing: Mixing, readings: Readings, n: int, name: str) -> Figure:
    lags, cosines = np.array(LAGS), readings.cosines(n)
    error = 2.0 * cosines.std(axis=1) / math.sqrt(n)
    mean = cosines.mean(axis=1)
    free = free_cosine(mixing.intrinsic_lr, lags / mixing.intrinsic_lr)
    across = np.full(len(lags), readings.across(n).mean())

    def curve(title: str, kind: Any, role: Any, y: Array, **ends: Array) -> Series:
        return Series(name=title, kind=kind, role=role, x=lags, y=y, **ends)

    return Figure(
        name=name,
        title=mixing.title,
        x_label="lag x lambda_e",
        y_label="cosine of the weights",
        series=(
            curve("one run", "interval", "measured", mean, low=mean - error, high=mean + error),
            curve("two runs", "line", "control", across),
            curve("free rotation", "line", "rival", free),
        ),
        caption=(
            "Weights that rotated freely would forget themselves along the falling line. Those of a run stay "
            "far above it, and above the cosine of two runs: they have not left the place they came to."
        ),
    )


CLAIM = Claim(text=TEXT, plan=plan, judge=judge)
"""The control is within: the same code judges averages along a run and over inits, which must differ."""
