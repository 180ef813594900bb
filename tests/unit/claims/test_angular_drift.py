"""What a drifting norm makes of the angle, as `angular-update` tells it, against simulated walks."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from ilr_check.claims.mean_field import angular_update
from ilr_check.claims.mean_field.trainings.equilibrium import Equilibrium, EquilibriumRuns, Level
from ilr_check.claims.settings.nets import NARROW
from ilr_check.data import DigitsSpec

RUNS, COORDINATES = 64, 300


def walk(level: Level, steps: int, growth: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """log norm and log cos of every step, [steps, RUNS], on noise whose size grows by ``growth`` a step."""
    rng = np.random.default_rng(0)
    w = rng.normal(size=(RUNS, COORDINATES))
    w *= level.gain**0.25 / np.linalg.norm(w, axis=1, keepdims=True)
    buffer = np.zeros_like(w)
    norms, cosines = [], []
    for t in range(steps):
        r = np.linalg.norm(w, axis=1, keepdims=True)
        g = rng.normal(size=w.shape) / np.sqrt(COORDINATES)
        g = np.exp(growth * t) * (g - (g * w).sum(1, keepdims=True) * w / r**2) / r
        buffer = level.momentum * buffer + g + level.weight_decay * w
        after = w - level.lr * buffer
        norms.append(np.log(r[:, 0]))
        cosines.append(np.log((w * after).sum(1) / r[:, 0] / np.linalg.norm(after, axis=1)))
        w = after
    return np.array(norms), np.array(cosines)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_a_drift_makes_of_the_angle_what_the_reader_is_told(momentum: float) -> None:
    level = Level(lr=0.5 * (1.0 - momentum), weight_decay=0.064, rule="heavy-ball", momentum=momentum)
    experiment = Equilibrium(
        title="walk", net=NARROW, data=DigitsSpec(), levels=(level,), burn_in=8.0, window=8.0
    )
    start = experiment.burn_steps(level)
    norms, cosines = walk(level, experiment.steps(level), growth=4e-3)
    window = SimpleNamespace(growth=norms[-1] - norms[start], log_cosine=cosines[start:].mean(axis=0))
    runs = cast(EquilibriumRuns, cast(Any, SimpleNamespace(experiment=experiment, window=lambda *_: window)))
    measured = angular_update.deviations(runs, (), RUNS).mean()
    told = re.search(r"which makes ([+-][\d.]+) of the deviation", angular_update.premise(runs, (), RUNS))
    assert told is not None
    assert measured > 0.02
    assert float(told[1]) == pytest.approx(measured, rel=0.1)
