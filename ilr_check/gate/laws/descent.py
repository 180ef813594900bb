"""The first step goes downhill and moves every entry that has a gradient."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ilr_check.evidence import Margin, Measured
from ilr_check.gate.law import Circumstances, GateLaw, Reading, law_text
from ilr_check.gate.reference.trajectory import record_trajectory
from ilr_check.gate.stimuli.silence import silent_steps
from ilr_check.gate.subject import Subject

ORDER = 5
STEPS = 2


def check(subject: Subject, circumstances: Circumstances) -> Iterable[Reading]:
    """Judge the cosine between the first step and the gradient, without decay."""
    rng = circumstances.generator()
    start = rng.uniform(0.5, 2.0, size=(3, 3))
    gradient = np.eye(3)[rng.permutation(3)] * rng.choice((-1.0, 1.0), size=3)
    hyper: dict[str, Any] = {"lr": 0.01} if subject.can_vary("lr") else {}
    if subject.can_vary("weight_decay"):
        hyper["weight_decay"] = 0.0
    # Some optimizers collect moments first: schedule-free RAdam moves nothing in its first five steps.
    steps = STEPS + silent_steps(subject)
    trajectory = record_trajectory(subject, [start], [[gradient]] * steps, **hyper)
    moved = np.sum([trajectory.moved(t) for t in range(steps)], axis=0)
    size = float(np.linalg.norm(moved) * np.linalg.norm(gradient))
    cosine = float(np.sum(moved * gradient)) / size if size else 0.0
    words = "uphill" if cosine > 0 else "nowhere" if size == 0 else "sideways"
    good = cosine < 0 and bool(np.all(np.isfinite(moved)))
    yield Reading(
        group="two steps",
        verdict="holds" if good else "violated",
        quantity="cosine of step and gradient",
        measured=Measured(value=cosine),
        expected=-1.0,
        margin=Margin(high=0.0),
        message=f"{steps} steps along one gradient have cosine {cosine:.4g} with it",
        diagnosis="" if good else f"the step goes {words}: its cosine with the gradient is {cosine:.4g}",
        n_steps=steps,
    )


LAW = GateLaw(
    text=law_text(
        "descent",
        "The step goes downhill",
        "Two steps along one gradient have a negative product with it.",
        equation="⟨Δw, g⟩ < 0",
        source="what an optimizer is for; needs no contract",
        meaning="The sign of the step is wrong, or nothing moves, or the weights are not finite.",
    ),
    tier="exact",
    blind_to="the size of the step",
    check=check,
)
