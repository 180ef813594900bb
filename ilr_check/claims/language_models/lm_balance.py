"""Norm and rotation of the hidden matrices from the updates of other runs, without a model of the updates."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from ilr_check.claims.claim import Profile
from ilr_check.claims.figures import interval, line
from ilr_check.claims.lab import Lab, Population
from ilr_check.claims.language_models.trainings.every_step import every_step
from ilr_check.claims.language_models.trainings.hidden import (
    STRIDE,
    LanguageRuns,
    LanguageTraining,
    kinds,
    of_kind,
    trained_with,
)
from ilr_check.claims.law import Examined, Part, StatisticalLaw
from ilr_check.claims.mistakes import Mistake, too_much_decay
from ilr_check.evidence import ClaimText, Figure
from ilr_check.nets.transformer_specs import Placement
from ilr_check.nets.transformers import hidden_matrices
from ilr_check.stats import MeanEquivalence, Rival
from ilr_check.theory.adaptive import balanced_norm, turned_by
from ilr_check.train.trace import Trace

Array = NDArray[np.float64]
Quantity = Literal["norm", "rotation"]

TEXT = ClaimText(
    id="lm-balance",
    title="In a language model weight decay and the updates of other runs set norm and rotation",
    statement=(
        "In each step weight decay takes the share 1 - (1 - lr * weight_decay)^2 of the squared norm of a "
        "hidden matrix, and the update gives back its squared length and what it has along the weights. Both "
        "are measured on other runs, in single steps whose weight decay is 0. They and the stated lr * "
        "weight_decay predict the norms and the rotations of the judged runs. No model of the updates "
        "enters, and no matrix needs to be scale-invariant."
    ),
    equation="E‖w‖² (1 − a²) = E‖u‖² + 2a E⟨w, u⟩ − change of E‖w‖²,  a = 1 − ηλ",
    source="Kosson et al. 2024, with the correlation of the updates; Wan et al. 2021",
    kind="statistical",
    chapter="language-models",
    groups=(),
    rivals=("the updates are not correlated with the weights",),
    meaning=(
        "Weight decay does not take lr * weight_decay of the weights in each step: it has another size, or "
        "it misses some matrix."
    ),
    blind=(
        "a weight decay that is wrong by less than 2 per cent; one that acts after the update, which is "
        "lr * weight_decay of itself weaker; and an lr that is late by one step, because lr is constant. "
        "lm-step-identity sees all three."
    ),
)

TOLERANCE = 0.01
"""The tolerance on log of norm and rotation. Weight decay that is wrong by 2 per cent moves both by 0.01, and
one that is wrong by 5 per cent, which a user should hear of, by 0.024."""
PAUSES = 0.1
"""This many times lr * weight_decay is the error of log norm that the measurement makes.

The balance is algebra for each step of one run. The weight decay of the other runs is 0 in every fifth step
and twice as large in the next one. So an update that is made in such a step has lost lr * weight_decay more
of itself until the next measurement than it would have lost otherwise. One update in five is made in such a
step. What they have along the weights is smaller by a fifth of lr * weight_decay, and log norm by a tenth.
"""
FLOOR = 0.01
"""A predicted norm is at least this share of the measured one, and a predicted rotation too. Without weight
decay the balance would predict a norm of 0 up to chance."""
PLANNED_SD = {"adamw": 0.028, "muon": 0.013, "lion": 0.028}
"""The standard deviation of a pair of a judged run and another one, a little above that of pilots with seed
4242: 0.011 (norm) and 0.012 (rotation) with Muon, 0.026 with AdamW."""
LOOKS = {"adamw": (128, 256), "muon": (32, 64, 128), "lion": (128, 256)}


class Balanced(LanguageTraining, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A training of ``before`` steps and ``window`` measured ones. The squared norms start at those of theory
    for white gradients."""

    before: int
    window: int

    @property
    def steps(self) -> int:
        """Steps of one run."""
        return self.before + self.window

    def decays(self, *, paused: bool) -> Array:
        """Return weight decay at each step; ``paused`` leaves it out where a step is measured and makes up
        for it in the next one."""
        at = np.arange(self.steps) % STRIDE
        factor = np.where(at == 0, 0.0, np.where(at == 1, 2.0, 1.0)) if paused else np.ones(self.steps)
        return np.asarray(self.weight_decay * factor)


def experiments(profile: Profile, seed: int) -> list[Balanced]:
    """Return OLMo-2 with Muon; beyond ``quick`` all architectures with AdamW too, which needs more runs, and
    OLMo-2 with Lion."""
    if profile == "quick":
        return [balanced("post", "muon")]
    rules: tuple[Rule, ...] = ("adamw", "muon")
    every = [balanced(placement, rule) for placement in get_args(Placement) for rule in rules]
    return [*every, balanced("post", "lion")]


Rule = Literal["adamw", "muon", "lion"]


def balanced(placement: Placement, rule: Rule) -> Balanced:
    """Return the experiment for one architecture and one optimizer."""
    rates = {"adamw": (0.03, 0.4), "muon": (0.05, 0.25), "lion": (0.006, 2.0)}[rule]
    return Balanced(**trained_with(placement, rule, *rates), before=120, window=120, looks=LOOKS[rule])


class Updates(NamedTuple):
    """Means over the measured steps of single runs, each [matrices, n]."""

    length2: Array
    along: Array
    change: Array

    def mean(self) -> Updates:
        """Return the means over runs, [matrices]."""
        return Updates(*(values.mean(axis=-1) for values in self))

    def others(self) -> Updates:
        """Return for each run the means over all other runs, [matrices, n]."""
        return Updates(*map(_others, self))


def _others(values: Array) -> Array:
    return np.asarray((values.sum(axis=-1, keepdims=True) - values) / (values.shape[-1] - 1))


class BalancedRuns(LanguageRuns):
    """The judged runs, and the runs whose updates are measured."""

    def __init__(self, spec: Balanced, lab: Lab) -> None:
        super().__init__(spec, lab)
        self.balanced = spec
        scales = self.at_equilibrium(spec.lr, spec.weight_decay)
        lr = np.full(spec.steps, spec.lr)
        self.judged = self.settled("judged", lr, spec.decays(paused=False), scales)
        self.other: Population = self.settled("updates measured", lr, spec.decays(paused=True), scales)

    def measured(self, names: tuple[str, ...], quantity: Quantity, n: int) -> Array:
        """Return the squared norm, or the squared tangent of the rotation, mean over the window,
        [matrices, n]."""

        def read(trace: Trace) -> Array:
            norm2, inner, turned2 = self._window(trace, names)
            values = norm2 if quantity == "norm" else turned2 * norm2 / inner**2
            return np.asarray(values.mean(axis=0).T)

        return self.judged.gather(n, read)

    def updates(self, names: tuple[str, ...], n: int) -> Updates:
        """Return what the updates of the other runs are in steps without weight decay, where w' = w + u.

        The last run is first, so that what is wrong with the same runs of both populations does not cancel.
        """

        def read(trace: Trace) -> Array:
            norm2, inner, turned2 = self._window(trace, names)
            along = inner - norm2
            change = (norm2[-1] - norm2[0]) / (STRIDE * (len(norm2) - 1))
            return np.stack([(turned2 + along**2 / norm2).mean(axis=0).T, along.mean(axis=0).T, change.T])

        return Updates(*self.other.gather(n, read)[..., ::-1])

    def log_ratios(self, names: tuple[str, ...], quantity: Quantity, n: int) -> Array:
        """Return log(measured / predicted) of each matrix, as one jackknife pseudo-value a pair of runs,
        [matrices, n]."""
        norm2, updates = self.measured(names, "norm", n), self.updates(names, n)
        measured = self.measured(names, quantity, n)
        whole = self._log_ratio(measured.mean(axis=1), norm2.mean(axis=1), updates.mean(), quantity)
        without = self._log_ratio(_others(measured), _others(norm2), updates.others(), quantity)
        return np.asarray(n * whole[:, None] - (n - 1) * without)

    def _log_ratio(self, measured: Array, norm2: Array, updates: Updates, quantity: Quantity) -> Array:
        a = 1.0 - self.spec.intrinsic_lr
        predicted = np.maximum(balanced_norm(a, *updates), FLOOR**2 * norm2)
        if quantity == "rotation":
            predicted = turned_by(a, predicted, updates.length2, updates.along)
        return np.asarray(0.5 * np.log(measured / np.maximum(predicted, FLOOR**2 * measured)))

    def _window(self, trace: Trace, names: tuple[str, ...]) -> tuple[Array, Array, Array]:
        first = self.balanced.before // STRIDE
        norm2, inner, turned2 = (of_kind(trace, names, f)[first:] for f in ("norm2", "inner", "turned2"))
        return norm2, inner, turned2


def parts(spec: Balanced) -> tuple[Part, ...]:
    """Return norm and rotation, the mean over all hidden matrices."""
    names = hidden_matrices(spec.net)
    return tuple(
        Part(words, names, what=quantity, figure=spec.rule)
        for quantity, words in (("norm", "norm of the matrices"), ("rotation", "rotation of the matrices"))
    )


def effect(part: Part, factor: float) -> float:
    """Return what a weight decay that is ``factor`` times too strong does to log of norm or rotation."""
    return (0.5 if part.what == "rotation" else -0.5) * math.log(factor)


def design(spec: Balanced, part: Part, alpha: float) -> MeanEquivalence:
    """Return the design for the mean over the matrices."""
    room = TOLERANCE + PAUSES * spec.intrinsic_lr
    # Without correlation the updates give back their squared length alone; Muon and AdamW add updates that
    # have a memory of 1 / (1 - momentum) steps, so that 1 + 2 D is nearly (1 + 0.9) / (1 - 0.9).
    memory = (1.0 + MEMORY) / (1.0 - MEMORY)
    return MeanEquivalence(
        estimand=f"log({part.what} / prediction from the updates of other runs)",
        margin=(-room, room),
        margin_reason=f"pauses of weight decay {room - TOLERANCE:.2g} + tolerance {TOLERANCE:g}",
        rivals=(Rival(name=TEXT.rivals[0], expected=effect(part, memory)),),
        looks=spec.looks,
        false_fail=alpha,
        sd=PLANNED_SD[spec.rule],
    )


MEMORY = 0.9
"""The first average of AdamW and the momentum of Muon."""


def mistakes(spec: Balanced, part: Part) -> tuple[Mistake, ...]:
    """Return too much weight decay."""
    return (too_much_decay(lambda factor: effect(part, factor)),)


def sample(runs: BalancedRuns, part: Part, n: int) -> Array:
    """Return the mean over the matrices of each pair of runs, [n]."""
    return np.asarray(runs.log_ratios(part.tensors, part.what, n).mean(axis=0))


def message(seen: Examined[Balanced, BalancedRuns]) -> str:
    """Say the settings, and how much of the norm the correlation makes."""
    spec, updates = seen.spec, seen.runs.updates(seen.tensors, seen.n).mean()
    share = 2.0 * updates.along / (updates.length2 + 2.0 * updates.along)
    return (
        f"lr {spec.lr:g}, weight_decay {spec.weight_decay:g}; what the updates have along the weights makes "
        f"{100.0 * share.min():.0f} to {100.0 * share.max():.0f} per cent of the squared norms"
    )


def figure(seen: Examined[Balanced, BalancedRuns]) -> Figure:
    """Draw norm and rotation of each kind of matrix over the prediction."""
    spec, n = seen.spec, seen.n
    found = kinds(spec.net)
    x = np.arange(1.0, len(found) + 1.0)
    series = [line("prediction from the updates of other runs", "predicted", x, np.ones(len(x)))]
    series.append(
        line("rival: a weight decay that is 5 % too strong", "rival", x, np.full(len(x), 1.05**-0.5))
    )
    quantities: tuple[tuple[Quantity, str], ...] = (("norm", "measured"), ("rotation", "reference"))
    for quantity, role in quantities:
        rows = np.stack([seen.runs.log_ratios(m, quantity, n).mean(axis=0) for m in found.values()])
        middle, error = rows.mean(axis=1), 2.0 * rows.std(axis=1, ddof=1) / math.sqrt(n)
        ends = (np.exp(v) for v in (middle, middle - error, middle + error))
        series.append(interval(quantity, x, *ends, role=role))
    return Figure(
        name="",
        title=f"Norm and rotation over what other runs predict, {spec.title}",
        x_label=", ".join(f"{place:g} {kind}" for place, kind in zip(x, found, strict=True)),
        y_label="measured / predicted",
        series=tuple(series),
        caption=(
            "Other runs say how long the updates are and how much of them points along the weights. With the "
            "stated lr and weight decay this gives the norm and the rotation of each kind of matrix. Bars "
            "are two standard errors."
        ),
    )


LAW = StatisticalLaw(
    text=TEXT,
    spec=Balanced,
    experiments=experiments,
    run_steps=lambda spec: 2 * spec.looks[0] * spec.steps,
    trained=BalancedRuns,
    parts=parts,
    design=design,
    sample=sample,
    steps=lambda spec, part: 2 * spec.steps,
    form="transfer",
    message=message,
    figure=figure,
    mistakes=mistakes,
    closing=every_step,
)
CLAIM = LAW.claim()
