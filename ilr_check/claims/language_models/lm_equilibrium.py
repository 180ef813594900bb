"""Norm and rotation of the hidden matrices at equilibrium, as functions of lr and of weight decay."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

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
    invariant_kinds,
    kinds,
    of_kind,
    theory,
    trained_with,
)
from ilr_check.claims.law import Examined, Part, StatisticalLaw
from ilr_check.claims.mistakes import Mistake, mistake, too_much_decay
from ilr_check.evidence import ClaimText, Figure
from ilr_check.evidence.records import Premise
from ilr_check.nets.build import parameter_shapes
from ilr_check.nets.transformer_specs import Placement
from ilr_check.stats import CurveEquivalence, Rival
from ilr_check.train.trace import Trace

Array = NDArray[np.float64]
Quantity = Literal["rotation", "norm"]

TEXT = ClaimText(
    id="lm-equilibrium",
    title="In a language model sqrt(lr * wd) sets the rotation and sqrt(lr / wd) the norm",
    statement=(
        "In a language model with post-norm, the rotation per step of the scale-invariant matrices is "
        "proportional to sqrt(lr * weight_decay), and their norm is proportional to sqrt(lr / weight_decay), "
        "whether lr or weight decay changes. Both have the size that the optimizer would give to them if all "
        "gradients were white noise, without any measurement on the model: in the mean over the matrices, "
        "and more coarsely in each of them. This is shown for Muon, and beyond quick also for AdamW."
    ),
    equation="cos θ ≈ 1 − ηλ/(1 + 2D),  E‖w‖² ≈ η U² (1 + 2D)/(2λ),  D = Σ aᵏρₖ,  a = 1 − ηλ",
    source="Kosson et al. 2024, Wen et al. 2025; length and correlation of Muon's updates of white noise",
    kind="statistical",
    chapter="language-models",
    groups=(),
    rivals=("proportional to lr * weight_decay, or to lr / weight_decay", "neither depends on weight decay"),
    meaning=(
        "Weight decay does not act as lr * weight_decay times the weights, or acts not on all matrices, or "
        "the updates of successive steps are correlated in another way than by the optimizer's averages."
    ),
    blind=(
        "in norms and rotations a weight decay that is wrong by less than a third, which is within the "
        "margin (the finding `every step` sees it, and lm-balance sees 5 per cent); and an lr that is "
        "late by one step, because lr is constant."
    ),
)

FOURFOLD = 4.0
"""lr or weight decay is divided by this, and in ``standard`` also by its square."""
TOLERANCE = 0.15
"""The tolerance on the sizes. Gradients of a language model are not white: in pilots with seed 4242 the mean
over the matrices was off by 3 per cent with Muon and by 12 per cent with AdamW. The rivals are a factor of 2
away."""
TOLERANCE_OF_A_MATRIX = 0.3
"""The tolerance on the sizes of one matrix, mean over the levels: twice that on the mean over the matrices,
because single matrices are farther from white noise. Without weight decay the norm of a matrix would be more
than twice as large as in theory."""
TOLERANCE_OF_POWER = 0.06
"""The tolerance on the powers. A power 0.44 in place of 0.5 is 0.083 away over a factor of 4."""
STILL = 0.1
"""How far log of the norm may move over the window while it counts as standing still."""

SIZE: Mapping[Quantity, str] = {"rotation": "size of the rotation", "norm": "size of the norm"}
POWER: Mapping[Quantity, str] = {"rotation": "power of the rotation", "norm": "power of the norm"}
EACH: Mapping[Quantity, str] = {"rotation": "rotation of each matrix", "norm": "norm of each matrix"}
PLANNED_SD_OF_A_MATRIX = 0.1
SIGN: Mapping[Quantity, float] = {"rotation": 1.0, "norm": -1.0}
"""The sign of the power of weight decay."""


class Levels(LanguageTraining, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Trainings with ``lr`` and ``weight_decay`` divided by ``divisors``, each from about its equilibrium.

    At each level there are ``before`` steps, or ``burn_in`` / lambda_e where this is more, and then
    ``window`` steps that are measured, lambda_e = lr * weight_decay. The squared norms start at ``size``
    times those of the theory of white gradients, and forget it at the rate 2 lambda_e.
    """

    divisors: tuple[tuple[float, float], ...]
    before: int
    window: int
    planned_sd: float
    burn_in: float = 2.0
    size: float = 1.5

    def level(self, number: int) -> tuple[float, float]:
        """Return lr and weight decay of a level."""
        by_lr, by_decay = self.divisors[number]
        return self.lr / by_lr, self.weight_decay / by_decay

    def steps_before(self, number: int) -> int:
        """Return the steps before the window of a level, a multiple of the stride."""
        lr, wd = self.level(number)
        return STRIDE * round(max(self.before, self.burn_in / (lr * wd)) / STRIDE)

    def steps(self, number: int) -> int:
        """Return all steps of a level."""
        return self.steps_before(number) + self.window

    def without_decay(self) -> float:
        """Return log of the norm over theory, mean over the levels, of a matrix that has no weight decay.

        What weight decay takes at equilibrium, 2 lambda_e of the squared norm in each step, adds up.
        """
        found = []
        for number in range(len(self.divisors)):
            lr, wd = self.level(number)
            middle = self.steps_before(number) + 0.5 * self.window
            found.append(0.5 * math.log(self.size + 2.0 * lr * wd * middle))
        return sum(found) / len(found)

    @property
    def total(self) -> int:
        """Steps of one run at every level."""
        return sum(self.steps(number) for number in range(len(self.divisors)))


def experiments(profile: Profile, seed: int) -> list[Levels]:
    """Return OLMo-2 with Muon; beyond ``quick`` over a factor of 16, and also AdamW and Gemma-3.

    Gemma-3 has a factor of 4 alone, because the small levels take most of the time. Lion is not among them.
    In a pilot with seed 4242 its norms were 1.4 times those of white noise, because its updates hold a
    direction longer.
    """
    if profile == "quick":
        return [levels("post", "muon", far=False)]
    return [levels(placement, rule, far=placement == "post") for placement in PLACEMENTS for rule in RULES]


PLACEMENTS: tuple[Placement, ...] = ("post", "sandwich")
Rule = Literal["adamw", "muon"]
RULES: tuple[Rule, ...] = ("adamw", "muon")


def levels(placement: Placement, rule: Rule, *, far: bool) -> Levels:
    """Return the experiment for one architecture and one optimizer; ``far`` adds levels of a factor of 16."""
    rates = {"adamw": (0.03, 0.4), "muon": (0.05, 0.25)}[rule]
    factors = (FOURFOLD, FOURFOLD**2) if far else (FOURFOLD,)
    divisors = ((1.0, 1.0), *((1.0, d) for d in factors), *((d, 1.0) for d in factors))
    return Levels(
        **trained_with(placement, rule, *rates),
        divisors=divisors,
        before=240,
        window=60,
        # In pilots with seed 4242, 0.01 with Muon and up to 0.06 with AdamW, some of whose runs lie far out.
        planned_sd=0.03 if rule == "muon" else 0.06,
        looks=(32,) if rule == "muon" else (64, 128),
    )


def log_theory(
    quantity: Quantity, rule: str, lr: float, weight_decay: float, shape: tuple[int, ...]
) -> float:
    """Return log of the norm, or of the rotation, of one matrix in theory."""
    norm2, angle = theory(rule, lr, weight_decay, shape)
    return 0.5 * math.log(norm2) if quantity == "norm" else angle


class LevelRuns(LanguageRuns):
    """The populations at every level."""

    def __init__(self, spec: Levels, lab: Lab) -> None:
        super().__init__(spec, lab)
        self.levels = spec
        self.shapes = parameter_shapes(spec.net)

    def at(self, number: int) -> Population:
        """Return the runs of a level, whose norms start near equilibrium."""
        spec = self.levels
        lr, wd = spec.level(number)
        ones = np.ones(spec.steps(number))
        scales = self.at_equilibrium(lr, wd, spec.size)
        return self.settled(f"level {number}", lr * ones, wd * ones, scales)

    def read(self, number: int, quantity: Quantity, names: tuple[str, ...], n: int) -> Array:
        """Return log(measured / theory) of each matrix, mean over the window, [matrices, n]."""
        spec = self.levels
        first = spec.steps_before(number) // STRIDE
        lr, wd = spec.level(number)
        expected = [log_theory(quantity, spec.rule, lr, wd, self.shapes[name]) for name in names]

        def logs(trace: Trace) -> Array:
            norm2, inner, turned2 = (
                of_kind(trace, names, field)[first:] for field in ("norm2", "inner", "turned2")
            )
            if quantity == "norm":
                return np.asarray(0.5 * np.log(norm2).mean(axis=0).T)
            return np.asarray(np.log(np.sqrt(turned2 * norm2) / inner).mean(axis=0).T)

        return np.asarray(self.at(number).gather(n, logs) - np.array(expected)[:, None])

    def drift(self, names: tuple[str, ...], n: int) -> float:
        """Return the largest mean change of log norm over the window, of all levels and matrices."""
        found = []
        for number in range(len(self.levels.divisors)):
            first = self.levels.steps_before(number) // STRIDE

            def change(trace: Trace, first: int = first) -> Array:
                norm2 = of_kind(trace, names, "norm2")
                return np.asarray(0.5 * np.log(norm2[-1] / norm2[first]).T)

            found += self.at(number).gather(n, change).mean(axis=1).tolist()
        return float(max(found, key=abs))


def parts(spec: Levels) -> tuple[Part, ...]:
    """Return power and size of rotation and norm, and the sizes of each matrix."""
    names = tuple(name for kind in invariant_kinds(spec.net) for name in kinds(spec.net)[kind])
    return tuple(
        Part(words[of], names, what=(form, of), figure=of)
        for of in ("rotation", "norm")
        for form, words in (("power", POWER), ("size", SIZE), ("each", EACH))
    )


def sample(runs: LevelRuns, part: Part, n: int) -> Array:
    """Return the mean over the matrices at every level, or less that of the first level, [n, points], or the
    mean over the levels of each matrix."""
    form, quantity = part.what
    rows = np.stack(
        [runs.read(number, quantity, part.tensors, n) for number in range(len(runs.levels.divisors))]
    )
    if form == "each":
        return np.asarray(rows.mean(axis=0).T)
    means = np.asarray(rows.mean(axis=1).T)
    return means[:, :1] - means[:, 1:] if form == "power" else means


def changes(spec: Levels, quantity: Quantity) -> Array:
    """Return log(first level / other level) in theory, to first order in lr * weight_decay."""
    logs = np.log(np.array(spec.divisors[1:]))
    return np.asarray(0.5 * (logs @ np.array([1.0, SIGN[quantity]])))


def design(spec: Levels, part: Part, alpha: float) -> CurveEquivalence:
    """Return the design for all levels, or all matrices, at once."""
    form, quantity = part.what
    room, words = TOLERANCE, ""
    if form == "power":
        room, words = TOLERANCE_OF_POWER, ", 0.043 in the power over a factor of 4"
        decays = np.log(np.array(spec.divisors)[1:, 1])
        rivals = dict(
            zip(TEXT.rivals, (changes(spec, quantity), -0.5 * decays * SIGN[quantity]), strict=True)
        )
    elif form == "size":
        ones = np.full(len(spec.divisors), math.log(2.0))
        rivals = {"twice as large": ones, "half as large": -ones}
    else:
        room = TOLERANCE_OF_A_MATRIX
        one = np.zeros(len(part.tensors))
        one[0] = -SIGN[quantity] * spec.without_decay()
        rivals = {"one matrix has no weight decay": one}
    about = {"power": ", less that of other levels", "each": " of each matrix, mean over the levels"}
    return CurveEquivalence(
        estimand=f"log({quantity} / theory)" + about.get(form, ""),
        points=len(next(iter(rivals.values()))),
        margin=(-room, room),
        margin_reason=f"tolerance {room:g}{words}",
        rivals=tuple(Rival(name=name, expected=tuple(gap.tolist())) for name, gap in rivals.items()),
        looks=spec.looks,
        false_fail=alpha,
        sd=PLANNED_SD_OF_A_MATRIX if form == "each" else spec.planned_sd,
    )


def mistakes(spec: Levels, part: Part) -> tuple[Mistake, ...]:
    """Return another power than one half, or too much weight decay."""
    form, quantity = part.what
    if form == "power":
        law = changes(spec, quantity)
        return (mistake("power of lr and weight decay {} too small", lambda size: (-size * law).tolist()),)
    count = len(part.tensors) if form == "each" else len(spec.divisors)
    return (too_much_decay(lambda factor: [0.5 * SIGN[quantity] * math.log(factor)] * count),)


def premises(seen: Examined[Levels, LevelRuns]) -> tuple[Premise, ...]:
    """The law is about equilibrium, so the norms must stand still."""
    drift = seen.runs.drift(seen.tensors, seen.n)
    return (Premise.within("change of log norm over the window, worst level and matrix", drift, STILL),)


def message(seen: Examined[Levels, LevelRuns]) -> str:
    """Say the levels, and how far single matrices are from theory."""
    spec, quantity = seen.spec, seen.part.what[1]
    pairs = [spec.level(number) for number in range(len(spec.divisors))]
    told = ["lr, weight_decay of the levels: " + "; ".join(f"{lr:g}, {wd:g}" for lr, wd in pairs)]
    gaps = seen.runs.read(0, quantity, seen.tensors, seen.n).mean(axis=1)
    low, high = int(gaps.argmin()), int(gaps.argmax())
    told.append(
        f"{quantity} / theory at the first level: from {math.exp(gaps[low]):.2f} ({seen.tensors[low]}) to "
        f"{math.exp(gaps[high]):.2f} ({seen.tensors[high]})"
    )
    return ". ".join(told)


def figure(seen: Examined[Levels, LevelRuns]) -> Figure:
    """Draw rotation or norm, the geometric mean over the matrices, over lr * wd or lr / wd."""
    spec, quantity, names = seen.spec, seen.part.what[1], seen.tensors
    turns = quantity == "rotation"
    numbers = range(len(spec.divisors))
    pairs = np.array([spec.level(number) for number in numbers])
    x = pairs[:, 0] * pairs[:, 1] if turns else pairs[:, 0] / pairs[:, 1]
    expected = np.array(
        [
            np.mean([log_theory(quantity, spec.rule, lr, wd, seen.runs.shapes[name]) for name in names])
            for lr, wd in (spec.level(number) for number in numbers)
        ]
    )
    runs = np.stack([seen.runs.read(k, quantity, names, seen.n).mean(axis=0) for k in numbers])
    middle, error = expected + runs.mean(axis=1), 2.0 * runs.std(axis=1, ddof=1) / math.sqrt(seen.n)
    order = np.argsort(x, kind="stable")
    steeper = expected[0] + np.log(x / x[0])
    series = [
        line("prediction from the optimizer alone", "predicted", x[order], np.exp(expected[order])),
        line(f"rival: {TEXT.rivals[0]}", "rival", x[order], np.exp(steeper[order])),
    ]
    for words, column, role in (("weight decay changes", 0, "measured"), ("lr changes", 1, "reference")):
        chosen = [k for k in numbers if spec.divisors[k][column] == 1.0]
        ends = (np.exp(v[chosen]) for v in (middle, middle - error, middle + error))
        series.append(interval(f"measured, {words}", x[chosen], *ends, role=role))
    product = "lr * weight_decay" if turns else "lr / weight_decay"
    return Figure(
        name="",
        title=f"{quantity.capitalize()} at equilibrium, {spec.title}",
        x_label=product,
        y_label="rotation per step, radian" if turns else "norm, geometric mean of the matrices",
        x_log=True,
        y_log=True,
        series=tuple(series),
        caption=(
            f"The prediction is proportional to the square root of {product}, and its height follows from "
            "the optimizer alone. It does not matter whether lr or weight decay is changed. Bars are two "
            "standard errors."
        ),
    )


LAW = StatisticalLaw(
    text=TEXT,
    spec=Levels,
    experiments=experiments,
    run_steps=lambda spec: spec.looks[0] * spec.total,
    trained=LevelRuns,
    parts=parts,
    design=design,
    sample=sample,
    steps=lambda spec, part: spec.total,
    form="prediction",
    message=message,
    figure=figure,
    mistakes=mistakes,
    closing=every_step,
    premises=premises,
    presupposes=f"log of every norm moves by {STILL:g} at most over the window.",
)
CLAIM = LAW.claim()
