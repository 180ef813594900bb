"""Laws that hold in a limit: which deviations the extrapolation to lambda_e = 0 removes, and which not."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ilr_check.claims.mean_field.equilibrium_effective_lr import LAW, experiments
from ilr_check.claims.mean_field.trainings.equilibrium import Level
from ilr_check.claims.mean_field.trainings.levels import LIMIT
from ilr_check.claims.mean_field.trainings.limits import (
    approaches_zero,
    intercept_weights,
    local_exponents,
)
from ilr_check.stats import examine

(SEQUENCE, *_) = [e for e in experiments("standard", 0) if "towards 0" in e.title]
LAMBDAS = np.array([level.intrinsic_lr for level in SEQUENCE.levels])


def examined(offset: float, slope: float) -> Any:
    """Return the verdict on made-up deviations offset + slope lambda_e with a standard deviation of 0.02
    between runs."""
    rng = np.random.default_rng(5)

    def deviations(n: int) -> Any:
        return offset + slope * LAMBDAS + 0.02 * rng.standard_normal((n, len(LAMBDAS)))

    (limit, *_) = [part for part in LAW.parts(SEQUENCE) if part.what == LIMIT]
    return examine(
        LAW.design(SEQUENCE, limit, 1e-5), lambda n: deviations(n) @ intercept_weights(SEQUENCE.levels)
    ).decision


@pytest.mark.parametrize("slope", [0.0, 1.0, -1.0])
def test_corrections_of_first_order_are_taken_out(slope: float) -> None:
    assert examined(0.0, slope).verdict == "holds"


@pytest.mark.parametrize("offset", [-0.06, 0.06])
def test_what_is_left_at_zero_is_violated(offset: float) -> None:
    assert examined(offset, 1.0).verdict == "violated"


def test_the_weights_are_those_of_a_line() -> None:
    assert intercept_weights(SEQUENCE.levels) @ (3.0 + 7.0 * LAMBDAS) == pytest.approx(3.0)


def test_only_far_reaching_levels_of_one_lr_speak_of_zero() -> None:
    assert approaches_zero(SEQUENCE.levels)
    assert not approaches_zero(SEQUENCE.levels[:3])
    assert not approaches_zero(SEQUENCE.levels[1:4])
    assert not approaches_zero((*SEQUENCE.levels[1:], Level(lr=1.0, weight_decay=0.064)))


def test_the_limit_has_its_own_share_of_the_error_budget() -> None:
    (unit,) = [u for u in LAW.plan("standard", 0) if u.subject["title"] == SEQUENCE.title]
    limits = [name for name in unit.decisions if name.endswith("extrapolated to 0")]
    assert len(unit.decisions) == 2 * len(limits) == 4


@pytest.mark.parametrize("power", [0.5, 0.62])
def test_raw_exponents_are_those_of_the_norm(power: float) -> None:
    """r^2 = lr lambda_e^-p gives the effective LR the exponent p at every pair."""
    rng = np.random.default_rng(6)

    def window(role: str, level: Level, tensors: tuple[str, ...], n: int) -> Any:
        log_r = 0.5 * (np.log(level.lr) - power * np.log(level.intrinsic_lr))
        return SimpleNamespace(log_norm=log_r + 1e-3 * rng.standard_normal(n))

    runs = SimpleNamespace(experiment=SEQUENCE, window=window)
    finding = local_exponents(runs, (), 64, group="g", subject={}, figure="", n_steps=1)  # type: ignore[arg-type]
    low, high = finding.measured.low, finding.measured.high
    assert low is not None
    assert high is not None
    assert low < power < high < low + 0.01
    assert not finding.counts
    assert all(rival.excluded for rival in finding.rivals)
