"""Which exact law refutes which broken optimizer, and which one cannot see it.

Blindness is asserted too. It is no accident of a small setting: lr-wd-equivalence sees only whether a step is
homogeneous in (lr, 1/wd, sqrt(w)), so any decay that depends on lr * wd alone passes it, right or wrong; and
norm-recursion is stated for plain SGD, so nothing that only momentum shows can fail it.
"""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from broken_optimizers import MOVES, RIGHT, RIGHT_WITHOUT_MOMENTUM, broken

from ilr_check.claims.exact import lr_wd_equivalence, norm_recursion
from ilr_check.claims.exact.lr_wd_equivalence import Rescaling
from ilr_check.claims.exact_law import REFUTED, ExactLaw, Outcome
from ilr_check.data import TeacherStudentSpec
from ilr_check.nets.specs import MLPSpec
from ilr_check.optim.hyper import HyperParams
from ilr_check.optim.schedules import Cosine, Drops
from ilr_check.train.loop import Setting

NET = MLPSpec(inputs=8, widths=(6, 5), classes=4)
PLAIN = Setting(
    net=NET,
    data=TeacherStudentSpec(inputs=8, classes=4),
    hyper=HyperParams(lr=0.3, weight_decay=0.04, batch_size=16, steps=8),
    lr_schedule=Cosine(),
    decay_schedule=Drops(period=3, factor=2.0),
)
HEAVY = msgspec.structs.replace(
    PLAIN, hyper=msgspec.structs.replace(PLAIN.hyper, momentum=0.9, dampening=0.25)
)
NESTEROV = msgspec.structs.replace(
    PLAIN, hyper=msgspec.structs.replace(PLAIN.hyper, momentum=0.9, nesterov=True)
)

LAWS: dict[str, Callable[[Any], Outcome]] = {
    "norm-recursion": lambda optimizer: norm_recursion.check(PLAIN, optimizer),
    "lr-wd-equivalence": lambda optimizer: lr_wd_equivalence.check(
        Rescaling(setting=PLAIN, power=1), optimizer
    ),
    "lr-wd-equivalence, heavy ball": lambda optimizer: lr_wd_equivalence.check(
        Rescaling(setting=HEAVY, power=-2), optimizer
    ),
    "lr-wd-equivalence, Nesterov": lambda optimizer: lr_wd_equivalence.check(
        Rescaling(setting=NESTEROV, power=1), optimizer
    ),
}
BOTH = {"norm-recursion", "lr-wd-equivalence"}
NORM_ONLY = {"norm-recursion"}

KILLED_BY: dict[str, set[str]] = {
    "wd ignored": NORM_ONLY,
    "wd halved": NORM_ONLY,
    "wd sign flipped": NORM_ONLY,
    "wd applied twice": NORM_ONLY,
    "wd after the step": NORM_ONLY,
    "wd every other step": NORM_ONLY,
    "wd on the initial weights": NORM_ONLY,
    "decay factor in bfloat16": NORM_ONLY,
    "a for a^2": NORM_ONLY,
    "lr one step old": NORM_ONLY,
    "wd not multiplied by lr": BOTH,
    "L1 for L2": BOTH,
    "lr squared": BOTH,
    "gradient normalised": BOTH,
    "gradient clipped at a fixed size": BOTH,
    "hidden eps": BOTH,
    "sign of the gradient": BOTH,
    # Only momentum shows it, where norm-recursion does not speak; and the step stays homogeneous.
    "buffer starts dampened": set(),
}


def test_every_mutant_has_its_row() -> None:
    assert set(KILLED_BY) == set(MOVES)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("mutant", KILLED_BY)
def test_mutant_is_killed_by_just_these_laws(mutant: str, law: str) -> None:
    ratio = LAWS[law](broken(mutant)).ratio
    assert (ratio > 1.0) == (law.partition(",")[0] in KILLED_BY[mutant]), f"{ratio:.3g} bounds"


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("variant", RIGHT)
def test_right_variant_passes(variant: str, law: str) -> None:
    assert LAWS[law](RIGHT[variant]).ratio <= 1.0


@pytest.mark.parametrize("law", ["norm-recursion", "lr-wd-equivalence"])
@pytest.mark.parametrize("variant", RIGHT_WITHOUT_MOMENTUM)
def test_right_variant_for_plain_sgd_passes(variant: str, law: str) -> None:
    assert LAWS[law](RIGHT_WITHOUT_MOMENTUM[variant]).ratio <= 1.0


def test_the_dampened_start_is_another_optimizer() -> None:
    """It is blind spot, not equality: the mutant does train to other weights than torch's SGD."""
    from ilr_check.train.loop import steps_of

    *_, right = steps_of(HEAVY)
    *_, wrong = steps_of(HEAVY, broken("buffer starts dampened"))
    assert not right.after["layers.0.weight"].equal(wrong.after["layers.0.weight"])


@pytest.mark.parametrize(
    ("law", "example"),
    [
        pytest.param(module.LAW, example, id=f"{module.TEXT.id}: {title}")
        for module in (norm_recursion, lr_wd_equivalence)
        for title, example in module.LAW.real("quick")
    ],
)
def test_every_rival_is_excluded_on_real_data(law: ExactLaw[Any], example: Any) -> None:
    rivals = law.check(example).rivals
    assert set(rivals) == set(law.text.rivals)
    assert min(rivals.values()) >= REFUTED
