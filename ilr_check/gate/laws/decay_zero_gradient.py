"""Under zero gradients at every step only weight decay moves the weights."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ilr_check.gate.law import Circumstances, GateLaw, Reading, law_text, needs_decay
from ilr_check.gate.reference.comparison import compared
from ilr_check.gate.reference.trajectory import record_trajectory
from ilr_check.gate.subject import Subject

ORDER = 10
STEPS = 5
LR, WEIGHT_DECAY = 0.3, 0.2


def check(subject: Subject, circumstances: Circumstances) -> Iterable[Reading]:
    """Judge each setting."""
    start = circumstances.generator().uniform(0.5, 2.0, size=(2, 3))
    zeros = [[np.zeros((2, 3))]] * STEPS
    for setting in subject.settings:
        hyper: dict[str, Any] = {**setting, "lr": LR, "weight_decay": WEIGHT_DECAY}
        trajectory = record_trajectory(subject, [start], zeros, **hyper)
        yield compared(subject, trajectory, hyper, group=subject.words(setting), prefix="at zero gradient, ")


LAW = GateLaw(
    text=law_text(
        "decay-zero-gradient",
        "Decay acts where the gradient is zero",
        "With zero gradients each step takes from the weights what the contract's decay says, and no more.",
        equation="w′ = (1 − lr·wd) w, or decay through the family's step where it is coupled",
        source="torch's test-suite skips this case: the one in which decay is seen alone",
        meaning="Decay is skipped without a gradient, missing, repeated, or has another size or sign.",
    ),
    tier="exact",
    blind_to="decay that depends on the gradient, and schedules",
    check=check,
    applies=needs_decay,
)
