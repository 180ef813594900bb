"""Judge the equilibrium of norm and rotation, and the new equilibrium after a drop of the LR."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch

from ilr_check.evidence import Margin, Measured, RivalOutcome
from ilr_check.gate.law import Circumstances, GateLaw, Reading, law_text, needs
from ilr_check.gate.stimuli.noise import (
    FAMILIES,
    FLUCTUATION,
    RUNS,
    Array,
    NoiseTrajectories,
    Predict,
    noise_trajectories,
)
from ilr_check.gate.subject import Subject
from ilr_check.seeds import derive

ORDER = 60
DROP = 2.0
"""The LR is divided by this number in the middle."""
TOLERANCE = 0.03
RIVALS = {"half of the decay": 0.5, "twice the decay": 2.0}
DECISIONS = 3
"""Each setting has three verdicts: norm, rotation, recovery."""


def applies(subject: Subject) -> str:
    """Return why the law is not judged: these equilibria need an update that is a filter of gradients."""
    reason = needs("lr", "weight_decay")(subject)
    if reason:
        return reason
    assert subject.contract is not None
    if subject.contract.name not in FAMILIES:
        return f"no closed form is known for {subject.contract.name}; known are {', '.join(FAMILIES)}"
    if subject.declared:
        return "the closed forms are those of the family as it is, without declared variations"
    if not _settings(subject):
        return "none of the settings with a closed form can be given to this target"
    return "" if subject.can_schedule("lr") else "lr cannot be changed in param_groups"


def check(subject: Subject, circumstances: Circumstances) -> Iterable[Reading]:
    """Judge independent runs of each setting, each decided once; they share the error budget of 1e-3."""
    from ilr_check.stats import ErrorBudget

    assert subject.contract is not None
    predict, _ = FAMILIES[subject.contract.name]
    settings = _settings(subject)
    names = [f"{i}/{what}" for i in range(len(settings)) for what in ("norm", "rotation", "recovery")]
    alphas = ErrorBudget().plan(names)
    for i, hyper in enumerate(settings):
        seed = derive("gate", circumstances.law, circumstances.seed, i)
        runs = noise_trajectories(subject, hyper, predict, DROP, torch.Generator().manual_seed(seed))
        yield from _readings(subject, hyper, predict, runs, [alphas[n] for n in names[3 * i : 3 * i + 3]])


def _settings(subject: Subject) -> list[dict[str, Any]]:
    assert subject.contract is not None
    _, settings = FAMILIES[subject.contract.name]
    fixed = subject.fixed_names
    return [h for h in settings if subject.can_vary(*h) and not fixed & set(h)]


def _readings(
    subject: Subject, hyper: dict[str, Any], predict: Predict, runs: NoiseTrajectories, alphas: list[float]
) -> Iterable[Reading]:
    assert subject.contract is not None
    dropped = {**hyper, "lr": hyper["lr"] / DROP}
    now, later = predict(hyper), predict(dropped)
    kept = {k: v for k, v in hyper.items() if k not in ("eps",)}
    words = ", ".join(f"{k}={v:g}" for k, v in kept.items())
    norm = runs.log_norm - 0.5 * math.log(now.norm2)
    turn = 0.5 * (runs.log_cosine / math.log(now.cosine) - 1.0)
    recovery = runs.log_norm_after - 0.5 * math.log(later.norm2)
    extra = FLUCTUATION[subject.contract.name] + 2.0 * hyper["lr"] * hyper["weight_decay"]

    def rivals(at: dict[str, Any], of_norm: bool) -> dict[str, float]:
        found = {}
        for name, factor in RIVALS.items():
            other, own = predict({**at, "weight_decay": factor * at["weight_decay"]}), predict(at)
            norm_gap = 0.5 * math.log(other.norm2 / own.norm2)
            turn_gap = 0.5 * (math.log(other.cosine) / math.log(own.cosine) - 1.0)
            found[name] = norm_gap if of_norm else turn_gap
        return found

    parts = (
        ("norm", norm, "log(norm / closed form)", rivals(hyper, True)),
        ("rotation", turn, "rotation per step / closed form, less 1", rivals(hyper, False)),
        ("recovery", recovery, f"log(norm after lr/{DROP:g} / closed form)", rivals(dropped, True)),
    )
    for (what, values, quantity, others), alpha in zip(parts, alphas, strict=True):
        yield _reading(f"{what}, {words}", quantity, values, others, extra, alpha, runs.steps)


def _reading(
    group: str, quantity: str, values: Array, others: dict[str, float], extra: float, alpha: float, steps: int
) -> Reading:
    from ilr_check.stats import MeanEquivalence, Rival

    room = TOLERANCE + extra
    design = MeanEquivalence(
        estimand=quantity,
        margin=(-room, room),
        margin_reason=f"1 - beta2 and 2 lr wd: {extra:.3f}, + tolerance {TOLERANCE}",
        looks=(RUNS,),
        false_fail=alpha,
        rivals=tuple(Rival(name=name, expected=value) for name, value in others.items()),
        sd=0.02,
    )
    decision = design.decide(values)
    measured = math.exp(decision.estimate)  # the deviations are logarithms, to first order
    diagnosis = ""
    if decision.verdict == "violated":
        near = min(others, key=lambda name: abs(others[name] - decision.estimate))
        like = f", as {near} would" if abs(others[near] - decision.estimate) < room else ""
        diagnosis = (
            f"{group}: settles at about {measured:.2g} times the family's closed form{like}; weight decay "
            "and step do not balance as lr and weight_decay say"
        )
    return Reading(
        group=group,
        verdict=decision.verdict,
        quantity=quantity,
        measured=Measured(value=decision.estimate, low=decision.low, high=decision.high),
        expected=0.0,
        margin=Margin(low=-room, high=room),
        message=f"{RUNS} runs settle at {measured:.4g} times theory; margin: {decision.margin_reason}",
        diagnosis=diagnosis,
        rivals=tuple(
            RivalOutcome(name=r.name, expected=r.expected, excluded=r.excluded) for r in decision.rivals
        ),
        n_steps=steps,
        n_runs=RUNS,
        false_fail=decision.false_fail,
        false_pass=decision.false_pass,
        detectable=decision.detectable,
    )


LAW = GateLaw(
    text=law_text(
        "equilibrium",
        "Norm and rotation settle where the family's do",
        "Under pure noise the norm and the rotation per step reach the family's closed forms, and reach "
        "those of the smaller LR after a drop.",
        equation="SGD ‖w‖⁴ = ηG²/(λ(2 − ηλ));  AdamW ‖w‖² ≈ ηC/(2λ)",
        source="ilr-check verify --claims momentum-equilibrium,adaptive-equilibrium",
        meaning="Over thousands of steps decay and update balance otherwise than the family's do.",
        rivals=tuple(RIVALS),
    ),
    tier="statistical",
    blind_to="what changes neither the mean decay nor the size and memory of the update",
    check=check,
    applies=applies,
)
