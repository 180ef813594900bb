"""While lr decays to 0, the gradient norm of scale-invariant matrices rises because their norms fall."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ilr_check.claims.claim import Profile
from ilr_check.claims.figures import line, points
from ilr_check.claims.language_models.trainings.decaying import (
    BLOCKS,
    KINDS,
    WINDOW,
    Decay,
    Tail,
    TailRuns,
)
from ilr_check.claims.language_models.trainings.every_step import every_step
from ilr_check.claims.language_models.trainings.hidden import (
    FLUCTUATION,
    invariant_kinds,
    kinds,
    trained_with,
)
from ilr_check.claims.language_models.trainings.readings import ALONG, STILL, orthogonal, stands_still
from ilr_check.claims.law import Examined, Part, StatisticalLaw
from ilr_check.claims.mistakes import Mistake, mistake
from ilr_check.evidence import ClaimText, Figure
from ilr_check.evidence.records import Premise
from ilr_check.nets.transformer_specs import Placement
from ilr_check.stats import CurveEquivalence, Design, MeanEquivalence, Rival

Array = NDArray[np.float64]
Form = Literal["noise", "norms", "each", "gradient"]

TEXT = ClaimText(
    id="lm-tail",
    title="In a language model the gradient norm rises while lr decays, because the weight norm falls",
    statement=(
        "In a language model with post-norm, lr decays linearly to 0. With the usual weight decay the norms "
        "of the scale-invariant matrices fall as predicted, and near the end they no longer follow lr. With "
        "corrected weight decay, which is multiplied by lr / (largest lr), they stay. The noise, which is "
        "gradient times norm, is the same in both trainings, although their norms differ. So gradients grow "
        "as 1 / norm: with the usual weight decay at the end, and hardly with corrected weight decay."
    ),
    equation="‖g‖ = G/‖w‖,  E‖w′‖² = (1 − ηλ)² E‖w‖² + what the updates add,  G of other runs",
    source="Li, Lyu, Arora 2020, Theorem 5.1 with time-varying LR; Defazio 2025; Kosson et al. 2024",
    kind="statistical",
    chapter="language-models",
    groups=(),
    rivals=("the norm is always at the equilibrium of the current lr", "the norm stays as it is"),
    meaning=(
        "Weight decay does not follow the lr of the schedule, the corrected weight decay does not follow it "
        "in the right power, or some matrix is left out."
    ),
    blind=(
        "in norms and gradients an lr that is late by one step, and a weight decay that is too strong, or "
        "too weak by less than about two thirds, because norms are compared with their own value before lr "
        "decays. The finding `every step` sees both."
    ),
)

TOLERANCE = 0.1
"""The tolerance on the log of the norm, and so on that of the gradient norm. It is that of lm-drop, which
judges the same theory of white gradients after another change of lr."""
TOLERANCE_OF_A_MATRIX = 0.2
"""The tolerance on one matrix: twice that on the mean, because single matrices are farther from white noise.
A matrix without weight decay is 0.3 away and more."""
EVERY = 5
"""Every fifth step is drawn."""
END = 2
"""Noise and gradients are compared over so many of the last blocks: the last 40 per cent of the decay."""
PLANNED_SD: dict[Form, float] = {"noise": 0.11, "norms": 0.04, "each": 0.06, "gradient": 0.11}
"""In a pilot with seed 4242: 0.11 for the noise of a pair of runs, because single models have noise of
different size, and 0.02 and 0.04 for the norms."""

NOISE = "noise at the end, with the usual over with corrected weight decay"
NORMS, EACH = "norms along the decay of lr", "norm of each matrix at the end"
GRADIENT: dict[Decay, str] = {
    "usual": "gradient norm at the end with the usual weight decay",
    "corrected": "gradient norm at the end with corrected weight decay",
}
ROLES: dict[Decay, str] = {"usual": "measured", "corrected": "control"}


def experiments(profile: Profile, seed: int) -> list[Tail]:
    """Return OLMo-2 with Muon; beyond ``quick`` also with AdamW and SGD, and Gemma-3, and the gradient norms
    as a whole, which take more runs than their parts."""
    if profile == "quick":
        return [tail("post", "muon", quick=True)]
    return [tail(placement, rule, quick=False) for placement in ("post", "sandwich") for rule in RULES]


Rule = Literal["adamw", "muon", "sgd"]
RULES: tuple[Rule, ...] = ("adamw", "muon", "sgd")


def tail(placement: Placement, rule: Rule, *, quick: bool) -> Tail:
    """Return the experiment for one architecture and one optimizer.

    lr * weight_decay is that of lm-drop. AdamW and SGD need more time before lr decays, because their norms
    start farther from equilibrium.
    """
    rates = {"adamw": (0.06, 0.4), "muon": (0.1, 0.25), "sgd": (0.5, 0.05)}[rule]
    return Tail(
        **trained_with(placement, rule, *rates),
        before=130 if rule == "muon" else 150,
        decay=160,
        looks=(32, 64) if quick else (64, 128),
        gradients=not quick,
    )


def parts(spec: Tail) -> tuple[Part, ...]:
    """Return the noise, the norms, and that of each matrix; with ``gradients`` also the gradient norms."""
    names = tuple(name for kind in invariant_kinds(spec.net) for name in kinds(spec.net)[kind])
    found = (
        Part(NOISE, names, what=("noise", ""), figure="gradients"),
        Part(NORMS, names, what=("norms", ""), figure="norms"),
        Part(EACH, names, what=("each", ""), figure="norms"),
    )
    whole = (Part(words, names, what=("gradient", of), figure="gradients") for of, words in GRADIENT.items())
    return (*found, *whole) if spec.gradients else found


def gap(spec: Tail, which: Decay, log_norm: Array) -> Array:
    """Return the deviation from theory of log norm in each block if the norms were these."""
    return np.asarray(spec.blocks(log_norm) - spec.blocks(spec.log_norm(which)))


def at_the_end(blocks: Array) -> Array:
    """Return the mean over the last blocks of [blocks, ...]."""
    return np.asarray(blocks[-END:].mean(axis=0))


def apart(spec: Tail) -> float:
    """Return log of the norm with the usual over that with corrected weight decay, at the end, in theory."""
    usual, corrected = (spec.blocks(spec.log_norm(kind)) for kind in KINDS)
    return float(at_the_end(usual - corrected))


def rival_norms(spec: Tail) -> dict[str, Array]:
    """Return log of the norm with the usual weight decay at each step under each rival."""
    norms = spec.log_equilibrium(), np.zeros(spec.steps)
    return dict(zip(TEXT.rivals, norms, strict=True))


def weaker(spec: Tail, size: float) -> Array:
    """Return log of the norm if the usual weight decay were too weak by this share."""
    return spec.log_norm("usual", 1.0 - size) if size < 1.0 else np.zeros(spec.steps)


def design(spec: Tail, part: Part, alpha: float) -> Design:
    """Return the design for the gradients at the end, for both curves of the norm, or for all matrices."""
    form, which = part.what
    fluctuation = FLUCTUATION if spec.rule == "adamw" else 0.0
    tolerance = TOLERANCE_OF_A_MATRIX if form == "each" else TOLERANCE
    room = tolerance + fluctuation
    words = f"fluctuation of v (1 - beta2) {fluctuation:g} + " if fluctuation else ""
    about: dict[str, Any] = {
        "margin": (-room, room),
        "margin_reason": f"{words}tolerance {tolerance:g}",
        "looks": spec.looks,
        "false_fail": alpha,
        "sd": PLANNED_SD[form],
    }
    usual = {name: gap(spec, "usual", norm) for name, norm in rival_norms(spec).items()}
    fallen = gap(spec, "corrected", spec.log_norm("usual"))
    uncorrected = "the norm falls as with the usual weight decay"
    if form == "noise":
        return MeanEquivalence(
            estimand="log(noise with the usual / with corrected weight decay)",
            rivals=(Rival(name="gradients do not depend on the norm", expected=apart(spec)),),
            **about,
        )
    if form == "gradient":
        gaps = usual if which == "usual" else {uncorrected: fallen}
        return MeanEquivalence(
            estimand=f"log({part.group} / prediction)",
            rivals=tuple(Rival(name=name, expected=-float(at_the_end(x))) for name, x in gaps.items()),
            **about,
        )
    still = np.zeros(BLOCKS)
    if form == "norms":
        curves = {name: np.concatenate([x, still]) for name, x in usual.items()}
        curves[uncorrected] = np.concatenate([still, fallen])
    else:
        kept = usual[TEXT.rivals[1]][-1]
        curves = {"one matrix keeps its norm": np.array([kept, *(0.0,) * (len(part.tensors) - 1)])}
    return CurveEquivalence(
        estimand="log(norm / prediction)" + (" at the end" if form == "each" else ""),
        points=len(next(iter(curves.values()))),
        rivals=tuple(Rival(name=name, expected=tuple(x.tolist())) for name, x in curves.items()),
        **about,
    )


def mistakes(spec: Tail, part: Part) -> tuple[Mistake, ...]:
    """Return a weight decay that is too weak, or a corrected one that falls too slowly."""
    form, which = part.what

    def weak(size: float) -> Array:
        return gap(spec, "usual", weaker(spec, size))

    def slow(size: float) -> Array:
        return gap(spec, "corrected", spec.log_norm("corrected", power=1.0 - size))

    too_weak, too_slow = "weight decay {} too weak", "lr in a power {} too small in corrected weight decay"
    if form == "noise":
        return (mistake("gradients ~ norm^-p, p {} too small", lambda size: size * apart(spec)),)
    if form == "norms":
        return (mistake(too_weak, lambda size: [*map(float, weak(size)), *(0.0,) * BLOCKS]),)
    if form == "each":
        return ()
    if which == "usual":
        return (mistake(too_weak, lambda size: -float(at_the_end(weak(size)))),)
    return (mistake(too_slow, lambda size: -float(at_the_end(slow(size)))),)


def sample(runs: TailRuns, part: Part, n: int) -> Array:
    """Return the deviations of each pair of runs, [n], [n, blocks of both curves] or [n, matrices]."""
    form, which = part.what
    if form == "noise":
        usual, corrected = (runs.tail.blocks(runs.log_noise(kind, part.tensors, n)) for kind in KINDS)
        return at_the_end(usual - corrected[:, ::-1])
    if form == "gradient":
        return at_the_end(runs.log_gradients(which, part.tensors, n))
    if form == "each":
        return np.asarray(runs.log_norms("usual", part.tensors, n)[-1].T)
    return np.concatenate([runs.log_norms(kind, part.tensors, n).mean(axis=1) for kind in KINDS]).T


def premises(seen: Examined[Tail, TailRuns]) -> tuple[Premise, ...]:
    """The norms must stand still before the decay of lr, and the gradients be orthogonal to the weights."""
    spec, runs, n = seen.spec, seen.runs, seen.n
    norms = runs.logs("usual", seen.tensors, n).norm[spec.before - WINDOW : spec.before]
    return (
        stands_still(norms, "over the window before the decay of lr"),
        orthogonal(tuple(runs.populations.values()), seen.tensors, n),
    )


def message(seen: Examined[Tail, TailRuns]) -> str:
    """Say by how much gradients and noise change, and where the norm leaves equilibrium."""
    spec, runs, n = seen.spec, seen.runs, seen.n
    told = [f"largest lr {spec.lr:g}, weight_decay {spec.weight_decay:g}"]
    for which, words in GRADIENT.items():
        norm, gradient = (float(at_the_end(spec.blocks(rows))) for rows in runs.grown(which, seen.tensors, n))
        times = f"{math.exp(gradient):.2f} times as large as before, noise {math.exp(gradient + norm):.2f}"
        told.append(f"{words}: {times} times")
    measured = spec.where_it_leaves(runs.grown("usual", seen.tensors, n).norm)
    told.append(
        f"with the usual weight decay the norm leaves the equilibrium of the current lr after "
        f"{100 * measured:.0f} % of the decay of lr "
        f"({100 * spec.where_it_leaves(spec.log_norm('usual')):.0f} % predicted)"
    )
    return ". ".join(told)


def gradients_drawn(seen: Examined[Tail, TailRuns]) -> Figure:
    """Draw the gradient norm with both kinds of weight decay, over its value before the decay of lr."""
    spec, runs, n, names = seen.spec, seen.runs, seen.n, seen.tensors
    steps = np.arange(spec.before, spec.steps)
    centres = np.array([block.mean() for block in np.array_split(steps, BLOCKS)])
    series = []
    for which, role in ROLES.items():
        measured = spec.blocks(runs.grown(which, names, n).gradient)
        predicted = measured - runs.log_gradients(which, names, n).mean(axis=1)
        series += [
            points(f"measured, {which} weight decay", role, centres, np.exp(measured)),
            line(f"prediction, {which} weight decay", "predicted", centres, np.exp(predicted)),
        ]
        if which == "usual":
            series += [
                line(f"rival: {name}", "rival", centres, np.exp(predicted - gap(spec, "usual", norm)))
                for name, norm in rival_norms(spec).items()
            ]
    return Figure(
        name="",
        title=f"Gradient norm while lr decays to 0, {spec.title}",
        x_label="step",
        y_label="gradient norm, 1 before the decay of lr",
        y_log=True,
        series=tuple(series),
        caption=(
            "Nothing is wrong with a training whose gradients grow at the end: weight decay shrinks the "
            "weights, and the gradient of a normalised matrix is inversely proportional to its norm. If "
            "weight decay is multiplied by lr / (largest lr), the norm stays, and the growth is gone."
        ),
    )


def norms_drawn(seen: Examined[Tail, TailRuns]) -> Figure:
    """Draw the norms with both kinds of weight decay, and the equilibrium of the current lr."""
    spec, runs, n = seen.spec, seen.runs, seen.n
    at = np.arange(spec.before - WINDOW, spec.steps, EVERY)
    series = [line("equilibrium of the current lr", "rival", at, np.exp(spec.log_equilibrium()[at]))]
    for which, role in ROLES.items():
        measured = runs.grown(which, seen.tensors, n).norm
        predicted = spec.grown(runs.log_predicted(which, seen.tensors, n).mean(axis=(1, 2)))
        series += [
            points(f"measured, {which} weight decay", role, at, np.exp(measured[at])),
            line(f"prediction, {which} weight decay", "predicted", at, np.exp(predicted[at])),
        ]
    return Figure(
        name="",
        title=f"Weight norm while lr decays to 0, {spec.title}",
        x_label="step",
        y_label="weight norm, 1 before the decay of lr",
        series=tuple(series),
        caption=(
            f"From step {spec.before} on lr falls in a straight line to 0. The norm follows equilibrium at "
            "the current lr with a delay of 1 / (2 lr * weight_decay) steps, which grows as lr falls. So in "
            "the end the norm stands still, far above that equilibrium. Corrected weight decay is multiplied "
            "by lr / (largest lr); with it the norm hardly changes."
        ),
    )


LAW = StatisticalLaw(
    text=TEXT,
    spec=Tail,
    experiments=experiments,
    run_steps=lambda spec: 2 * spec.looks[0] * spec.steps,
    trained=TailRuns,
    parts=parts,
    design=design,
    sample=sample,
    steps=lambda spec, part: 2 * spec.steps,
    form=lambda spec, part: "prediction" if part.figure == "norms" and spec.rule != "sgd" else "transfer",
    message=message,
    figure=lambda seen: (gradients_drawn if seen.part.figure == "gradients" else norms_drawn)(seen),
    mistakes=mistakes,
    closing=every_step,
    premises=premises,
    presupposes=(
        f"log of the mean norm moves by {STILL:g} at most over the {WINDOW} steps before the decay of lr, "
        f"and gradients are orthogonal to the weights up to {ALONG:g}."
    ),
)
CLAIM = LAW.claim()
