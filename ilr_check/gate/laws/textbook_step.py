"""Every step agrees with the reference implementation from the same weights, gradient and settings."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ilr_check.gate.law import Circumstances, GateLaw, Reading, law_text, needs
from ilr_check.gate.reference.comparison import compared
from ilr_check.gate.reference.trajectory import probing_gradients, record_trajectory
from ilr_check.gate.subject import Subject

ORDER = 20
STEPS = 7
LRS = (0.3, 0.3, 0.11, 0.017, 0.17, 0.05, 0.6)
"""The lr goes up and down without equal ratios, so that no other step's lr can pass for this one's."""
PAUSED = (0.0, 0.2, 0.3, 0.0, 0.1)
WEIGHT_DECAYS = (0.2, 0.2, 0.2, 0.07, 0.07, 0.31, 0.0)


def check(subject: Subject, circumstances: Circumstances) -> Iterable[Reading]:
    """Judge each setting of the contract, extreme sizes, and steps at lr = 0."""
    contract = subject.contract
    assert contract is not None
    for number, setting in enumerate(subject.settings):
        rng = circumstances.generator(number)
        shapes = ((3, 4), (5, 2)) if contract.matrices_only else ((5,), (3, 4), (2, 2, 3))
        starts = [rng.normal(size=shape) for shape in shapes]
        gradients = probing_gradients(contract, rng, shapes, STEPS)
        schedule = [{"lr": lr, "weight_decay": wd} for lr, wd in zip(LRS, WEIGHT_DECAYS, strict=True)]
        if not subject.can_vary("weight_decay"):
            schedule = [{"lr": s["lr"]} for s in schedule]
        hyper: dict[str, Any] = {**setting, **schedule[0]}
        trajectory = record_trajectory(subject, starts, gradients, schedule=schedule, **hyper)
        yield compared(subject, trajectory, hyper, group=subject.words(setting))
    for words, reason in subject.refused.items():
        yield Reading(group=words, verdict="skipped", message=f"the target refuses this setting: {reason}")
    yield corners(subject, circumstances)
    yield pauses(subject, circumstances)


def pauses(subject: Subject, circumstances: Circumstances) -> Reading:
    """Judge lr = 0 at the first step, as warm-ups have it, and later; the state goes on meanwhile."""
    contract = subject.contract
    assert contract is not None
    rng = circumstances.generator("pauses")
    shape = (4, 3)
    starts = [rng.normal(size=shape)]
    schedule = [{"lr": lr} for lr in PAUSED]
    hyper: dict[str, Any] = {"lr": LRS[0]}
    if subject.can_vary("weight_decay"):
        hyper["weight_decay"] = WEIGHT_DECAYS[0]
    gradients = probing_gradients(contract, rng, [shape], len(PAUSED))
    trajectory = record_trajectory(subject, starts, gradients, schedule=schedule, **hyper)
    return compared(subject, trajectory, hyper, group="lr = 0 at times", prefix="with lr = 0 at times, ")


def corners(subject: Subject, circumstances: Circumstances) -> Reading:
    """Judge weights of zero and of hundreds under gradients that grow from 1e-9 to 1e4 and fall back."""
    contract = subject.contract
    assert contract is not None
    rng = circumstances.generator("corners")
    shape = (4, 3)
    starts = [np.zeros(shape), 300.0 * rng.normal(size=shape), rng.normal(size=shape)]
    sizes = (1e-9, 1e-6, 1e-3, 1.0, 1e4, 1e-3)
    gradients = [
        [size * g for g in row if g is not None]
        for size, row in zip(sizes, probing_gradients(contract, rng, [shape] * 3, len(sizes)), strict=True)
    ]
    hyper: dict[str, Any] = {"lr": 0.1}
    if subject.can_vary("weight_decay"):
        hyper["weight_decay"] = 0.3
    trajectory = record_trajectory(subject, starts, gradients, **hyper)
    return compared(
        subject, trajectory, hyper, group="corners of size", prefix="gradients from 1e-9 to 1e4: "
    )


LAW = GateLaw(
    text=law_text(
        "textbook-step",
        "Every step is that of the reference implementation",
        "From the same weights, gradient and hyper-parameters, each step gives the weights of the reference.",
        equation="w′ = reference(w, g, state, lr, wd, t)",
        source="the paper that the contract names; bound by running error analysis (Higham, section 3.3)",
        meaning="The update rule is not the family's. The diagnosis names a mutation that it follows.",
    ),
    tier="exact",
    blind_to="gradients that depend on the weights; more than seven steps; other tensor shapes and dtypes",
    check=check,
    milder={"corners of size": ("fragility", "plain training has no such gradients or weights")},
    applies=needs("lr"),
)
