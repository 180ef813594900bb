"""lr-against-decay refutes trainers in which lr or weight decay enters in another way."""

from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
from broken_rules import decay_without_lr, decay_written_first
from worlds import stepping_by

from ilr_check.claims.claim import Context, Finding
from ilr_check.claims.lab import Lab
from ilr_check.claims.mean_field.lr_against_decay import (
    LAW,
    BothTrained,
    TwoSettings,
    control,
    finite_difference,
    near_equilibrium,
)
from ilr_check.claims.settings.subjects import Subject
from ilr_check.data import DigitsSpec
from ilr_check.nets.specs import MLPSpec
from ilr_check.theory.sgd import squared_norm_path

pytestmark = [
    pytest.mark.on_push(
        "test_a_decay_that_leaves_out_lr_is_refuted",
        "test_the_difference_of_both_settings_is_that_of_the_memory",
        "test_the_seeds_of_both_settings_are_equal",
    ),
    pytest.mark.usefixtures("eager"),
]

CONTEXT = Context(seed=0, profile="quick", default_alpha=1e-4)
SMALL = msgspec.structs.replace(
    near_equilibrium(
        Subject("cheap", MLPSpec(inputs=64, widths=(24,), classes=10), DigitsSpec(label_noise=0.5))
    ),
    weight_decay=0.032,
    looks=(256,),
)
CONTROL = msgspec.structs.replace(
    control(), net=MLPSpec(inputs=64, widths=(8,), classes=10), looks=(64,), initial_norm=8.0
)


def judged(spec: TwoSettings, rule: Any = None) -> dict[str, Finding]:
    context = replace(CONTEXT, world=stepping_by(rule) if rule else None)
    found = LAW.judge(msgspec.to_builtins(spec), context).findings
    return {finding.form: finding for finding in found if finding.verdict != "skipped"}


def decay_by_the_square_of_lr(weights: Any, gradient: Any, buffer: Any, h: Any) -> Any:
    """The decay of a step is lr^2 * weight_decay, twice that at lr = 1/2."""
    return weights - h.lr * gradient - 2.0 * h.lr**2 * h.weight_decay * weights, None


@pytest.mark.parametrize("rule", [None, decay_written_first])
def test_a_right_trainer_holds_and_excludes_every_rival(rule: Any) -> None:
    found = judged(SMALL, rule)
    assert found["transfer"].verdict == "holds"
    assert [rival.name for rival in found["transfer"].rivals if not rival.excluded] == []
    assert not found["raw"].counts


def test_a_decay_that_leaves_out_lr_is_refuted() -> None:
    assert judged(SMALL, decay_without_lr)["transfer"].verdict == "violated"


def test_a_decay_by_the_square_of_lr_is_refuted() -> None:
    """At the lr in the middle it is the decay that is stated, so that only the two settings show it."""
    assert judged(SMALL, decay_by_the_square_of_lr)["transfer"].verdict == "violated"


def test_the_control_sees_a_start_below_equilibrium() -> None:
    """From a norm below equilibrium the memory is not e^-s, which the control presumes."""
    assert judged(CONTROL)["prediction"].verdict == "violated"


@pytest.mark.parametrize("ratio", [0.2, 1.0, 5.0])
def test_the_difference_of_both_settings_is_that_of_the_memory(ratio: float) -> None:
    """The recursion of the norm in constant noise, at both settings and in the middle."""
    spec = control()
    noise, start = np.ones(spec.steps), np.sqrt(ratio / (1.0 - (1.0 - spec.intrinsic_lr) ** 2)) * spec.lr
    large, middle, small = (
        np.log(x.schedule() / squared_norm_path(start, noise, x.schedule(), x.decays())[:-1])[spec.grid()]
        for x in (spec.at(1), spec, spec.at(-1))
    )
    m = (start / spec.lr) ** 2 * spec.memory() * np.exp(2.0 * middle)
    error = (large - small) / spec.log_ratio - finite_difference(m, spec)
    assert np.abs(error).max() < 2.0 * spec.intrinsic_lr


def test_a_small_difference_is_the_derivative() -> None:
    m, spec = np.linspace(0.0, 1.0, 11), msgspec.structs.replace(control(), factor=1.001)
    np.testing.assert_allclose(finite_difference(m, spec), m, atol=1e-6)


def test_the_seeds_of_both_settings_are_equal() -> None:
    small = msgspec.structs.replace(SMALL, times=(0.05, 0.1), raw_time=0.1)
    part = LAW.parts(small)[0]
    measured = BothTrained(small, Lab(CONTEXT, 1.0)).measured(part, 4)
    assert np.isfinite(measured).all()
    assert measured.std(axis=0).max() < 0.1
