"""The effect of a drifting norm on the angle, as `angular-update` computes it, against simulated
trajectories."""

from __future__ import annotations

import re
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from ilr_check.claims.claim import Context
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
    told = re.search(r"which makes ([+-][\d.]+) of the deviation", angular_update.words(runs, (), RUNS))
    assert told is not None
    assert measured > 0.02
    assert float(told[1]) == pytest.approx(measured, rel=0.1)


@pytest.mark.parametrize(("growth", "met"), [(0.04, True), (-0.04, True), (0.06, False), (-0.06, False)])
def test_a_norm_that_does_not_stand_still_leaves_the_verdict_open(growth: float, met: bool) -> None:
    """Its margin is fixed, and an angle within its own margin does not help."""
    levels = (
        Level(lr=0.5, weight_decay=0.032),
        Level(lr=0.05, weight_decay=0.032, rule="heavy-ball", momentum=0.9),
    )
    experiment = Equilibrium(
        title="walk", net=NARROW, data=DigitsSpec(), levels=levels, looks=(64,), planned_sd=0.02, window=8.0
    )
    noise = 1e-3 * np.random.default_rng(0).standard_normal(64)

    def window(role: str, level: Level, tensors: tuple[str, ...], n: int) -> SimpleNamespace:
        moves = growth if level is levels[1] else 0.0
        return SimpleNamespace(growth=moves + noise, log_cosine=np.log(level.cosine) * (1.0 + noise))

    runs = SimpleNamespace(experiment=experiment, window=window)
    law = replace(angular_update.LAW, trained=lambda spec, lab: runs, figure=None)
    for finding in law.judge(msgspec.to_builtins(experiment), Context(seed=0, profile="quick")).findings:
        (premise,) = finding.premises
        assert (premise.met, premise.margin.high) == (met, 0.05)
        assert finding.verdict == ("holds" if met else "inconclusive")
        assert ("not met" in finding.message) == (not met)
