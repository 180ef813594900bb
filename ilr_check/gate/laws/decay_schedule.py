"""Decay follows the schedule: each step uses its own lr and wd."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ilr_check.gate.law import Circumstances, GateLaw, Reading, law_text, needs_decay, needs_schedule
from ilr_check.gate.reference.comparison import compared
from ilr_check.gate.reference.trajectory import record_trajectory
from ilr_check.gate.subject import Subject

ORDER = 12
LRS = (0.3, 0.11, 0.11, 0.05, 0.17, 0.6)
WEIGHT_DECAYS = (0.2, 0.2, 0.31, 0.07, 0.0, 0.13)


def applies(subject: Subject) -> str:
    """Return why the law is not judged: lr and wd are not both in ``param_groups``."""
    return needs_decay(subject) or needs_schedule(subject)


def check(subject: Subject, circumstances: Circumstances) -> Iterable[Reading]:
    """Judge a change of lr alone, of wd alone, and of both, under zero gradients."""
    start = circumstances.generator().uniform(0.5, 2.0, size=(2, 3))
    zeros = [[np.zeros((2, 3))]] * len(LRS)
    schedules: dict[str, list[dict[str, Any]]] = {
        "lr changes": [{"lr": lr, "weight_decay": WEIGHT_DECAYS[0]} for lr in LRS],
        "wd changes": [{"lr": LRS[0], "weight_decay": wd} for wd in WEIGHT_DECAYS],
        "both change": [{"lr": lr, "weight_decay": wd} for lr, wd in zip(LRS, WEIGHT_DECAYS, strict=True)],
    }
    for group, schedule in schedules.items():
        trajectory = record_trajectory(subject, [start], zeros, schedule=schedule, **schedule[0])
        yield compared(subject, trajectory, schedule[0], group=group)


LAW = GateLaw(
    text=law_text(
        "decay-schedule",
        "Decay follows the schedule",
        "At zero gradients each step decays with the lr and the wd that are set for that step.",
        equation="w_{t+1} = (1 − lr_t·wd_t) w_t at g = 0",
        source="theory P10: under a schedule lr*wd and wd alone end in different equilibria",
        meaning="lr or wd is cached, taken from another step, or not multiplied at all.",
        rivals=("the lr of the step before", "the first lr", "the next lr"),
    ),
    tier="exact",
    blind_to="a constant factor in the decay that the other decay laws see as well",
    check=check,
    applies=applies,
)
