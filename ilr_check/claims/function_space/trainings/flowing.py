"""Trainings in two phases: noise at some lr * weight_decay, then gradient flow with the decay off."""

from __future__ import annotations

import math

from ilr_check.claims.function_space.trainings.functions import History, Stage

LR = 0.5
LEVEL = 1.6e-2
"""lambda_e of the noisy phase that most courses end with."""
LENGTH = 5.0
"""Steps of a noisy phase times lambda_e: e^-5 of the old direction is left, e^-20 of the old gamma."""

DROP = 20.0
"""The factor by which the LR falls as the flow begins. Over a given time of flow the noise adds a variance in
proportion to the effective LR, so a twentieth of it is left."""
FLOW_STEPS = 200


def noisy(length: float, level: float, lr: float = LR) -> Stage:
    """Return ``length / level`` steps at lr * weight_decay = ``level``."""
    return Stage(steps=round(length / level), lr=lr, weight_decay=level / lr)


def flow(level: float, lr: float = LR) -> Stage:
    """Return the flow after an equilibrium at ``level`` and ``lr``.

    It has the same number of steps and the same effective LR for all of them.

    At equilibrium r^2 = lr * sqrt(G^2 / (2 lambda_e)), so the effective LR of a flow at ``lr'`` is
    lr' / lr * sqrt(2 lambda_e / G^2), which is the same for all where lr' is proportional to
    lr / sqrt(lambda_e).
    With the decay off it falls by d log r^2 = (lr' |g| / r^2)^2 a step, 2 lambda_e / DROP^2 = 8e-5.
    """
    return Stage(steps=FLOW_STEPS, lr=lr / DROP * math.sqrt(LEVEL / level), weight_decay=0.0)


def finer(course: History, name: str) -> History:
    """Return the same time of flow at half the LR, in two phases as long as the flow of the course."""
    *before, last = course.phases
    half = Stage(steps=last.steps, lr=0.5 * last.lr, weight_decay=last.weight_decay)
    return History(name=name, phases=(*before, half, half), initial_norm=course.initial_norm)


def two_phases(
    name: str,
    *before: Stage,
    level: float = LEVEL,
    lr: float = LR,
    length: float = LENGTH,
    norm: float = 3.0,
) -> History:
    """Return the phases ``before``, a noisy phase at ``level``, and the flow."""
    return History(name=name, phases=(*before, noisy(length, level, lr), flow(level, lr)), initial_norm=norm)
