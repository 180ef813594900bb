"""Which identity of a step refutes which broken optimizer, and which one cannot see it.

Blindness is asserted too, and each blind spot has its reason: the budget and the drop do not see how long the
gradient's part of a step is, the laws without decay do not see decay, and only the drop follows lr alone.
"""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from broken_optimizers import MOVES, RIGHT, RIGHT_WITHOUT_MOMENTUM, broken

from ilr_check.claims.exact import (
    angle_identity,
    direction_recursion,
    first_step_bound,
    immediate_drop,
    momentum_identity,
    monotone_norm,
    rotation_budget,
)
from ilr_check.claims.exact_law import REFUTED, ExactLaw, Outcome
from ilr_check.data import TeacherStudentSpec
from ilr_check.nets.specs import MLPSpec
from ilr_check.optim.hyper import HyperParams
from ilr_check.optim.schedules import Constant, Cosine, Drops, Pauses, ScheduleSpec
from ilr_check.train.loop import Setting


def setting(
    *, weight_decay: float = 0.04, momentum: float = 0.0, lr_schedule: ScheduleSpec | None = None
) -> Setting:
    return Setting(
        net=MLPSpec(inputs=8, widths=(6, 5), classes=4),
        data=TeacherStudentSpec(inputs=8, classes=4),
        hyper=HyperParams(lr=0.3, weight_decay=weight_decay, momentum=momentum, batch_size=16, steps=8),
        lr_schedule=lr_schedule or Cosine(),
        decay_schedule=Drops(period=3, factor=2.0),
    )


DROP = immediate_drop.LastStepDrop(setting=setting(lr_schedule=Constant()), factor=10.0)
LAWS: dict[str, Callable[..., Outcome]] = {
    "angle-identity": lambda *given: angle_identity.check(setting(), *given),
    "rotation-budget": lambda *given: rotation_budget.check(setting(), *given),
    "monotone-norm": lambda *given: monotone_norm.check(setting(weight_decay=0.0), *given),
    "direction-recursion": lambda *given: direction_recursion.check(setting(), *given),
    "first-step-bound": lambda *given: first_step_bound.check(setting(), *given),
    "momentum-identity": lambda *given: momentum_identity.check(setting(momentum=0.9), *given),
    "immediate-drop": lambda *given: immediate_drop.check(DROP, *given),
}
WITH_DECAY = {
    "angle-identity",
    "rotation-budget",
    "direction-recursion",
    "momentum-identity",
    "immediate-drop",
}
LENGTH = {"angle-identity", "monotone-norm", "direction-recursion", "first-step-bound", "momentum-identity"}

KILLED_BY: dict[str, set[str]] = {
    "wd ignored": WITH_DECAY,
    "wd halved": WITH_DECAY,
    "wd sign flipped": WITH_DECAY,
    "wd applied twice": WITH_DECAY,
    # The cosine is a r / r' whatever length the gradient's part has.
    "wd after the step": WITH_DECAY - {"rotation-budget"},
    # The drop is one step, and that step decays.
    "wd every other step": WITH_DECAY - {"immediate-drop"},
    "wd on the initial weights": WITH_DECAY,
    "decay factor in bfloat16": WITH_DECAY,
    "a for a^2": WITH_DECAY,
    # One step of a new optimizer has no older lr.
    "lr one step old": WITH_DECAY | {"monotone-norm"},
    "wd not multiplied by lr": WITH_DECAY,
    "L1 for L2": WITH_DECAY,
    "lr squared": set(LAWS),
    "gradient normalised": LENGTH,
    "gradient clipped at a fixed size": LENGTH,
    "hidden eps": set(LAWS),
    "sign of the gradient": set(LAWS),
    # Without dampening the optimizer is correct, and the identities are stated without dampening.
    "buffer starts dampened": set(),
}


def test_every_mutant_has_its_row() -> None:
    assert set(KILLED_BY) == set(MOVES)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("mutant", KILLED_BY)
def test_mutant_is_killed_by_just_these_identities(mutant: str, law: str) -> None:
    ratio = LAWS[law](broken(mutant)).ratio
    assert (ratio > 1.0) == (law in KILLED_BY[mutant]), f"{ratio:.3g} bounds"


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("variant", RIGHT)
def test_right_variant_passes(variant: str, law: str) -> None:
    assert LAWS[law](RIGHT[variant]).ratio <= 1.0


@pytest.mark.parametrize("law", sorted(set(LAWS) - {"momentum-identity"}))
@pytest.mark.parametrize("variant", RIGHT_WITHOUT_MOMENTUM)
def test_right_variant_for_plain_sgd_passes(variant: str, law: str) -> None:
    assert LAWS[law](RIGHT_WITHOUT_MOMENTUM[variant]).ratio <= 1.0


def test_decoupled_decay_is_another_heavy_ball() -> None:
    assert LAWS["momentum-identity"](RIGHT_WITHOUT_MOMENTUM["decay factor first"]).ratio > REFUTED


def test_the_momentum_identity_holds_through_steps_of_lr_0() -> None:
    """The weights do not move there, so only the buffer form can judge the step after."""
    paused = setting(momentum=0.9, lr_schedule=Pauses(period=3))
    assert momentum_identity.check(paused).ratio <= 1.0
    assert momentum_identity.check(paused, broken("lr one step old")).ratio > REFUTED


@pytest.mark.parametrize("law", LAWS)
def test_every_rival_is_refuted_on_a_small_net(law: str) -> None:
    rivals = LAWS[law]().rivals
    assert rivals
    assert min(rivals.values()) >= REFUTED


@pytest.mark.parametrize(
    ("law", "example"),
    [
        pytest.param(module.LAW, example, id=f"{module.TEXT.id}: {title}")
        for module in (angle_identity, rotation_budget, immediate_drop)
        for title, example in module.LAW.real("quick")
    ],
)
def test_every_rival_is_excluded_on_real_data(law: ExactLaw[Any], example: Any) -> None:
    outcome = law.check(example)
    assert outcome.ratio <= 1.0
    assert set(outcome.rivals) == set(law.text.rivals)
    assert min(outcome.rivals.values()) >= REFUTED


@pytest.mark.parametrize("intrinsic", [0.0, 1.0, 1.5])
@pytest.mark.parametrize("law", [angle_identity, rotation_budget, direction_recursion, first_step_bound])
def test_the_corners_of_the_intrinsic_lr_are_judged(law: Any, intrinsic: float) -> None:
    """lr * wd = 1 leaves nothing of the old weights, above 1 they change sign."""
    base = setting(lr_schedule=Constant())
    hyper = msgspec.structs.replace(base.hyper, lr=0.5, weight_decay=2.0 * intrinsic)
    corner = msgspec.structs.replace(base, hyper=hyper, decay_schedule=Constant())
    outcome = law.check(corner)
    assert outcome.steps == 8
    assert 0.0 <= outcome.ratio <= 1.0
