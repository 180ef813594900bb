"""Judge the first steps and the ten-thousandth step under a constant gradient."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ilr_check.gate.law import Circumstances, GateLaw, Reading, law_text, needs, ratio_reading
from ilr_check.gate.reference.comparison import compared
from ilr_check.gate.reference.trajectory import last_step_deviation, record_trajectory
from ilr_check.gate.subject import Subject

ORDER = 30
FIRST = 3
LATE = 10_000
LR = 2.0**-7


def check(subject: Subject, circumstances: Circumstances) -> Iterable[Reading]:
    """Compare steps 1 to 3 with the reference for every setting, and step 10 000 for the first."""
    rng = circumstances.generator()
    start = rng.uniform(0.5, 2.0, size=(2, 2))
    gradient = np.eye(2) * np.array([0.3, -0.3])
    for setting in subject.settings:
        hyper: dict[str, Any] = {**setting, "lr": LR}
        if subject.can_vary("weight_decay"):
            hyper["weight_decay"] = 0.0
        trajectory = record_trajectory(subject, [start], [[gradient]] * FIRST, **hyper)
        group = f"steps 1 to {FIRST}, {subject.words(setting)}"
        yield compared(subject, trajectory, hyper, group=group)
    hyper = {**subject.settings[0], "lr": LR}
    if subject.can_vary("weight_decay"):
        hyper["weight_decay"] = 0.0
    found = last_step_deviation(subject, start, gradient, LATE, **hyper)
    share = found.measured / found.expected if found.expected else float("inf")
    if found.bound == float("inf"):
        yield Reading(
            group=f"step {LATE}",
            verdict="skipped",
            message="rounding decides this step: its denominator is a difference of nearly equal numbers",
        )
        return
    yield ratio_reading(
        found.ratio,
        group=f"step {LATE}",
        n_steps=LATE,
        message=f"step {LATE} moves an entry by {found.measured!r}, expected {found.expected!r}",
        diagnosis=""
        if found.ratio <= 1.0
        else f"at step {LATE} the step is {share:.6g} times that of the reference under a constant gradient",
    )


LAW = GateLaw(
    text=law_text(
        "bias-correction",
        "The first steps are corrected, the late ones need it no more",
        "Under a constant gradient steps 1, 2, 3 and 10 000 are those of the reference implementation.",
        equation="m / (1 − β₁ᵗ), v / (1 − β₂ᵗ)",
        source="Kingma, Ba 2015, section 3",
        meaning="The step count is off, not kept, or kept in too small a type; or a correction is missing.",
        rivals=("t + 1", "t − 1", "no correction"),
    ),
    tier="exact",
    blind_to="decay; families without a step count pass it on their memory alone",
    check=check,
    applies=needs("lr"),
)
