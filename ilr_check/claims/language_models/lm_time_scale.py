"""Trainings with equal lr * weight_decay end alike, if lr changes for the scale-invariant matrices alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ilr_check.claims.claim import Judged, Profile
from ilr_check.claims.figures import interval, line
from ilr_check.claims.lab import Lab, Population
from ilr_check.claims.language_models.trainings.every_step import every_step
from ilr_check.claims.language_models.trainings.hidden import (
    STRIDE,
    LanguageRuns,
    LanguageTraining,
    held_out_log_shares,
    judged_kinds,
    kinds,
    of_kind,
    trained_with,
)
from ilr_check.claims.law import Departure, Examined, Part, StatisticalLaw, file_name
from ilr_check.claims.mistakes import Mistake, mistake
from ilr_check.evidence import ClaimText, Figure
from ilr_check.nets.transformer_specs import Placement
from ilr_check.stats import ContrastEquivalence, CurveEquivalence, Design, DistributionEquivalence, Rival
from ilr_check.train.trace import Trace

Array = NDArray[np.float64]
Quantity = Literal["rotation", "held-out loss", "predictions"]
QUANTITIES: tuple[Quantity, ...] = ("rotation", "held-out loss", "predictions")

TEXT = ClaimText(
    id="lm-time-scale",
    title="Equal lr * weight_decay, equal language model: if lr changes for invariant matrices alone",
    statement=(
        "Two trainings of a language model with post-norm have equal lr * weight_decay on their hidden "
        "matrices, and one has twice the lr and half of the weight decay. All other tensors are trained "
        "alike. Both start with weights of one size and forget it. In the end every scale-invariant matrix "
        "turns equally far in a step, and its norm is proportional to lr. With enough runs the held-out loss "
        "and the distribution of predictions are seen to be equal too. A training with an eighth of the "
        "weight decay differs in all of this."
    ),
    equation="(η, λ) ~ (cη, λ/c) with AdamW and Muon, for scale-invariant weights",
    source="Li, Lyu, Arora 2020, section 5; AdamW's time scale 1/(lr wd): Wang and Aitchison 2024",
    kind="statistical",
    chapter="language-models",
    groups=(),
    rivals=("lr alone sets the rotation", "the norm does not depend on lr"),
    meaning=(
        "Some hidden matrix is not scale-invariant, weight decay is not multiplied by lr, or the training is "
        "too short to forget the initial norms."
    ),
    blind=(
        "in its comparisons a weight decay that is wrong by the same factor in all trainings (the finding "
        "`every step` sees it); an lr that is late by one step, because lr is constant; and "
        "differences below the stated share of what a factor of 8 in weight decay makes. 32 runs, as in "
        "quick, cannot tell whether losses are equal to that share."
    ),
)

FACTOR = 2.0
"""The ratio of the lr of the two trainings."""
CONTROL = 8.0
"""The control has this many times less weight decay at the same lr."""
THETA: dict[Quantity, float] = {"rotation": 0.1, "held-out loss": 0.25, "predictions": 0.1}
"""The share of the control's difference that counts as no difference.

The control rotates sqrt(8) times less in a step, so a tenth is 11 per cent. The loss is nearly linear in the
log of lr * weight_decay, so a quarter is a factor of 8^(1/4) = 1.7 in lr * weight_decay. An energy distance
grows like the square of a small difference, so a tenth is a factor of 8^0.32 = 1.9.
"""
ROWS = 64
"""The number of held-out rows on which the models are compared, 32 predictions each."""
REFERENCE, HIDDEN, EVERY, LESS = (
    "the reference",
    "twice the lr of the hidden matrices",
    "twice the lr of all tensors",
    "an eighth of the weight decay",
)
SHOWN = 64
"""The largest number of runs with twice the lr of all tensors. They are shown and not judged."""


EACH: dict[str, str] = {
    "turns": "rotation of each kind of matrix",
    "norms": "norm of each kind of matrix",
}
ROOM = 0.2 * 0.5 * math.log(CONTROL)
"""The margin of log rotation and log norm of each kind, 0.208: a fifth of the control's effect in theory.

It is twice the share of all matrices together, because the runs tell less about one kind.
"""
PLANNED_SD_OF_A_KIND = 0.09
"""The run-to-run standard deviation of the difference of two runs, a little above the 0.08 of the pilot."""

QUICK: dict[str, tuple[float, float] | None] = {"rotation": (0.05, 0.8)}
MORE: dict[str, tuple[float, float] | None] = {
    **QUICK,
    "held-out loss": (0.05, 0.08),
    "predictions": None,
}
"""In a pilot with seed 4242 the standard deviation was 0.045 for log rotation and for the loss. The effect of
the control was 0.85 and 0.08."""


class Pair(LanguageTraining, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A training of ``steps`` steps. Its last ``window`` steps are measured.

    ``planned`` gives for each quantity that is compared with the control the run-to-run standard deviation
    and the control's effect, with which the design is checked before any training, or None.
    """

    steps: int
    window: int
    planned: Mapping[str, tuple[float, float] | None]


def experiments(profile: Profile, seed: int) -> list[Pair]:
    """Return OLMo-2 with AdamW; beyond ``quick`` also with Muon, and Gemma-3 with both."""
    found: list[tuple[Placement, Literal["adamw", "muon"]]] = [("post", "adamw")]
    if profile != "quick":
        found += [("post", "muon"), ("sandwich", "adamw"), ("sandwich", "muon")]
    runs, planned = (32, QUICK) if profile == "quick" else (512, MORE)
    return [pair(*subject, runs=runs, planned=planned) for subject in found]


def pair(
    placement: Placement,
    rule: Literal["adamw", "muon"],
    *,
    runs: int = 32,
    planned: Mapping[str, tuple[float, float] | None] = QUICK,
) -> Pair:
    """Return the experiment for one architecture and one optimizer."""
    rates = {"adamw": (0.06, 0.4), "muon": (0.1, 0.25)}[rule]
    return Pair(
        **trained_with(placement, rule, *rates),
        steps=200,
        window=50,
        planned=planned,
        looks=(runs,),
    )


class PairRuns(LanguageRuns):
    """The four populations, and what is read off each run."""

    def __init__(self, spec: Pair, lab: Lab) -> None:
        super().__init__(spec, lab)
        self.pair = spec

        def constant(name: str, factor: float, decay: float, rest: float) -> Population:
            steps = np.ones(spec.steps)
            lr, wd = factor * spec.lr * steps, decay * spec.weight_decay * steps
            return self.population(name, lr, wd, rest=rest)

        self.populations: dict[str, Population] = {
            REFERENCE: constant(REFERENCE, 1.0, 1.0, 1.0),
            HIDDEN: constant(HIDDEN, FACTOR, 1.0 / FACTOR, 1.0),
            EVERY: constant(EVERY, FACTOR, 1.0 / FACTOR, FACTOR),
            LESS: constant(LESS, 1.0, 1.0 / CONTROL, 1.0),
        }

    def count(self, name: str, n: int) -> int:
        """Return the runs of a population where the judged ones have ``n``."""
        return min(n, SHOWN) if name == EVERY else n

    def read(self, name: str, quantity: Quantity, n: int) -> Array:
        """Return a quantity of ``n`` runs, [n] or, for predictions, [n, tokens]."""
        population = self.populations[name]
        if quantity == "rotation":
            return population.gather(n, self._rotation)
        log_shares = population.gather(n, lambda trace: held_out_log_shares(self.fleet, trace, ROWS))
        return np.asarray(-log_shares.mean(axis=0) if quantity == "held-out loss" else np.exp(log_shares).T)

    def rotation_of(self, name: str, matrices: tuple[str, ...], n: int) -> Array:
        """Return log of the rotation per step of some matrices, mean over them and the window, [n]."""
        return self.populations[name].gather(n, lambda trace: self._turned(trace, matrices))

    def log_norm_of(self, name: str, matrices: tuple[str, ...], n: int) -> Array:
        """Return log of the norm of some matrices, mean over them and the window, [n]."""

        def logs(trace: Trace) -> Array:
            return np.asarray(
                0.5 * np.log(of_kind(trace, matrices, "norm2")[self._first :]).mean(axis=(0, 2))
            )

        return self.populations[name].gather(n, logs)

    @property
    def _first(self) -> int:
        """The first measured step of the window."""
        return (self.pair.steps - self.pair.window) // STRIDE

    def _rotation(self, trace: Trace) -> Array:
        found = kinds(self.pair.net)
        judged = judged_kinds(self.pair.net)
        return self._turned(trace, tuple(name for kind in judged for name in found[kind]))

    def _turned(self, trace: Trace, matrices: tuple[str, ...]) -> Array:
        turned2, norm2, inner = (
            of_kind(trace, matrices, field)[self._first :] for field in ("turned2", "norm2", "inner")
        )
        return np.asarray(np.log(np.sqrt(turned2 * norm2) / inner).mean(axis=(0, 2)))


def parts(spec: Pair) -> tuple[Part, ...]:
    """Return rotation and norm of every kind of matrix, and the quantities that the control decides."""
    names = judged_kinds(spec.net)
    kinds_too = EACH if "rotation" in spec.planned else {}
    each = (Part(words, names, what=key, figure="rotation") for key, words in kinds_too.items())
    judged = (
        Part(q, what=q, figure="rotation" if q == "rotation" else "loss")
        for q in QUANTITIES
        if q in spec.planned
    )
    return (*each, *judged)


def design(spec: Pair, part: Part, alpha: float) -> Design:
    """Return the design: both lr must agree in this quantity, and the control must not."""
    if part.what in EACH:
        count, turns = len(part.tensors), part.what == "turns"
        gap = math.log(FACTOR) if turns else -math.log(FACTOR)
        return CurveEquivalence(
            estimand="log(rotation at twice the lr / rotation)"
            if turns
            else "log(norm at twice the lr / twice the norm)",
            points=count,
            margin=(-ROOM, ROOM),
            margin_reason="0.2 of the effect of an eighth of the weight decay, in theory",
            rivals=(Rival(name=TEXT.rivals[0 if turns else 1], expected=(gap,) * count),),
            looks=spec.looks,
            false_fail=alpha,
            sd=PLANNED_SD_OF_A_KIND,
        )
    theta = THETA[part.what]
    sd, effect = spec.planned.get(part.what) or (None, None)
    about: dict[str, Any] = {
        "theta": theta,
        "margin_reason": f"{theta:g} of the difference that an eighth of the weight decay makes",
        "looks": spec.looks,
        "false_fail": alpha,
        "sd": sd,
        "effect": effect,
    }
    if part.what == "predictions":
        words = "energy distance of the predictions of two lr"
        return DistributionEquivalence(estimand=f"{words}, less {theta:g} of the control's", **about)
    words = {"rotation": "log of the rotation per step", "held-out loss": "held-out loss"}[part.what]
    return ContrastEquivalence(
        estimand=f"{words}: difference of two lr, less {theta:g} of the control's", **about
    )


def mistakes(spec: Pair, part: Part) -> tuple[Mistake, ...]:
    """Return a power of lr that is too large where weight decay stays: the angle has half of it."""
    if part.what not in EACH:
        return ()
    power = 0.5 * math.log(FACTOR)
    words = "lr in a power that is {} too large"
    return (mistake(words, lambda size: [size * power] * len(part.tensors)),)


def sample(runs: PairRuns, part: Part, n: int) -> Any:
    """Return the differences of each kind, or the quantity of both lr and of the control."""
    if part.what not in EACH:
        return tuple(runs.read(name, part.what, n) for name in (REFERENCE, HIDDEN, LESS))
    found = kinds(runs.pair.net)
    columns = []
    for kind in part.tensors:
        first, second = (
            runs.rotation_of(name, found[kind], n)
            if part.what == "turns"
            else runs.log_norm_of(name, found[kind], n)
            for name in (REFERENCE, HIDDEN)
        )
        columns.append(second - first - (0.0 if part.what == "turns" else math.log(FACTOR)))
    return np.stack(columns, axis=1)


def message(seen: Examined[Pair, PairRuns]) -> str:
    """Say what the quantity is in every population."""
    spec, quantity = seen.spec, seen.part.what
    told = [f"lr {spec.lr:g}, weight_decay {spec.weight_decay:g} of the hidden matrices"]
    if quantity == "predictions" or quantity in EACH:
        return told[0]
    for name in seen.runs.populations:
        values = seen.runs.read(name, quantity, seen.runs.count(name, seen.n))
        words = "log rotation" if quantity == "rotation" else "held-out loss"
        error = values.std(ddof=1) / np.sqrt(len(values))
        told.append(f"{words} of {name}: {values.mean():.3f} +- {error:.3f}")
    return ". ".join(told)


def closing(spec: Pair, runs: PairRuns, subject: dict[str, Any], n: int) -> Judged:
    """Draw the rotation of every kind of tensor in all populations, and the losses where they are judged."""
    told = "; ".join(
        f"{name}: {values.mean():.3f} +- {values.std(ddof=1) / math.sqrt(len(values)):.3f}"
        for name in runs.populations
        for values in (runs.read(name, "held-out loss", runs.count(name, n)),)
    )
    figures = [rotations(spec, runs, n, told)]
    if "held-out loss" in spec.planned:
        figures.append(losses(spec, runs, n))
    return Judged(every_step(spec, runs, subject, n).findings, tuple(figures))


def rotations(spec: Pair, runs: PairRuns, n: int, told: str) -> Figure:
    """Draw the rotation per step of every kind of tensor, over that of the reference."""
    tensors = {**kinds(spec.net), "embedding": ("embedding.weight",), "head": ("head.weight",)}
    if spec.net.tied:
        tensors.pop("head")
    x = np.arange(1.0, len(tensors) + 1.0)
    series = [line("equal rotation", "predicted", x, np.ones(len(x)))]
    roles = {HIDDEN: "measured", EVERY: "reference", LESS: "control"}
    for name, role in roles.items():
        count = runs.count(name, n)
        gaps = np.stack(
            [
                runs.rotation_of(name, m, count) - runs.rotation_of(REFERENCE, m, count)
                for m in tensors.values()
            ]
        )
        error = 2.0 * gaps.std(axis=1, ddof=1) / np.sqrt(count)
        middle = gaps.mean(axis=1)
        series.append(
            interval(name, x, np.exp(middle), np.exp(middle - error), np.exp(middle + error), role=role)
        )
    return Figure(
        name=file_name(TEXT.id, spec.title, "rotation"),
        title=f"{spec.title}: how far a step turns each kind of tensor",
        x_label=", ".join(f"{number:g} {name}" for number, name in zip(x, tensors, strict=True)),
        y_label="rotation per step / that of the reference",
        y_log=True,
        series=tuple(series),
        caption=(
            "With twice the lr and half of the weight decay the hidden matrices turn equally far in a step. "
            "The embedding and the head have no weight decay. If their lr is doubled too, they turn farther. "
            f"Bars are two standard errors. The held-out losses in nats per byte: {told}."
        ),
    )


def losses(spec: Pair, runs: PairRuns, n: int) -> Figure:
    """Draw the held-out loss of all populations."""
    names = list(runs.populations)
    x = np.arange(1.0, len(names) + 1.0)
    values = [runs.read(name, "held-out loss", runs.count(name, n)) for name in names]
    middle = np.array([v.mean() for v in values])
    error = np.array([2.0 * v.std(ddof=1) / np.sqrt(len(v)) for v in values])
    return Figure(
        name=file_name(TEXT.id, spec.title, "loss"),
        title=f"{spec.title}: held-out loss at the end",
        x_label=", ".join(f"{number:g} {name}" for number, name in zip(x, names, strict=True)),
        y_label="nats per byte",
        series=(
            line("the reference", "predicted", x, np.full(len(x), middle[0])),
            interval("mean of the runs, two standard errors", x, middle, middle - error, middle + error),
        ),
        caption=("The first two have equal lr * weight_decay and must be equal. The fourth is the control."),
    )


LAW = StatisticalLaw(
    text=TEXT,
    spec=Pair,
    experiments=experiments,
    run_steps=lambda spec: (3 * spec.looks[0] + min(spec.looks[0], SHOWN)) * spec.steps,
    trained=PairRuns,
    parts=parts,
    design=design,
    sample=sample,
    steps=lambda spec, part: (2 if part.what in EACH else 3) * spec.steps,
    form="prediction",
    mistakes=mistakes,
    message=message,
    closing=closing,
    departures=(
        Departure(
            spec=pair("pre", "adamw", runs=128, planned={"held-out loss": None}),
            expected={"": "violated"},
            reason=(
                "no matrix of Llama is scale-invariant: with twice the lr and half of the weight decay its "
                "held-out loss was 0.12 nats per byte higher in a pilot with seed 4242"
            ),
            profiles=("standard",),
        ),
    ),
)
CLAIM = LAW.claim()
