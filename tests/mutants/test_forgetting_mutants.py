"""equilibrium-forgets refutes histories that are not forgotten, and a trainer that does not forget."""

import msgspec
import pytest
from broken_rules import decay_without_lr
from worlds import stepping_by

from ilr_check.claims.claim import Context
from ilr_check.claims.function_space.equilibrium_forgets import LAW, contest, momentum_contest
from ilr_check.claims.function_space.trainings.functions import History, Stage
from ilr_check.data import SplitDigitsSpec
from ilr_check.nets.specs import MLPSpec
from ilr_check.optim.sgd import UpdateRule

pytestmark = [
    pytest.mark.on_push(
        "test_a_history_that_had_no_time_to_be_forgotten_is_seen",
    ),
    pytest.mark.usefixtures("eager"),
]

LEVEL = 3.2e-2
EVERYTHING = contest(
    "cheap",
    MLPSpec(inputs=64, widths=(24,), classes=10),
    SplitDigitsSpec(label_noise=0.5, held_out=1200),
    LEVEL,
)
WHOLE = msgspec.structs.replace(EVERYTHING, planned={"probabilities": EVERYTHING.planned["probabilities"]})
"""Labels need three times the runs."""
OTHER = WHOLE.others[0]
TWICE = msgspec.structs.replace(
    OTHER, name="twice lambda_e", phases=(Stage(steps=OTHER.steps, lr=0.5, weight_decay=4.0 * LEVEL),)
)
HASTY = msgspec.structs.replace(
    OTHER,
    name="no time to forget",
    phases=(
        Stage(steps=30, lr=1.0, weight_decay=0.25),
        Stage(steps=4, lr=0.5, weight_decay=2.0 * LEVEL),
    ),
)


def verdict(rule: UpdateRule | None = None, **changes: object) -> str:
    small = msgspec.structs.replace(WHOLE, others=(OTHER,), looks=(512,))
    subject = msgspec.to_builtins(msgspec.structs.replace(small, **changes))
    world = stepping_by(rule) if rule else None
    context = Context(seed=0, profile="quick", default_alpha=1e-4, world=world)
    (finding,) = LAW.judge(subject, context).findings
    return finding.verdict


def test_what_is_right_is_not_refuted() -> None:
    assert verdict() == "holds"


def test_decay_without_lr_is_caught() -> None:
    assert verdict(decay_without_lr) == "violated"


def test_twice_lambda_e_is_another_equilibrium() -> None:
    assert verdict(others=(TWICE,)) == "violated"


def test_a_history_that_had_no_time_to_be_forgotten_is_seen() -> None:
    reference = msgspec.structs.replace(WHOLE.reference, phases=(HASTY.phases[-1],))
    assert verdict(reference=reference, others=(HASTY,)) == "violated"


def test_last_phases_of_other_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="equally long"):
        msgspec.structs.replace(WHOLE, others=(HASTY,))


MOMENTUM = momentum_contest("cheap, momentum", WHOLE.net, WHOLE.data, 1.6e-2)
HEAVY = MOMENTUM.others[0]


def with_momentum(course: History = HEAVY) -> str:
    small = msgspec.structs.replace(MOMENTUM, others=(course,), looks=(512,), planned=WHOLE.planned)
    context = Context(seed=0, profile="quick", default_alpha=1e-4)
    (finding,) = LAW.judge(msgspec.to_builtins(small), context).findings
    return finding.verdict


def test_momentum_at_equal_lambda_e_is_the_same_equilibrium() -> None:
    assert with_momentum() == "holds"


def test_momentum_at_equal_lr_times_decay_is_another_equilibrium() -> None:
    """Its lambda_e is ten times as large: 1/(1 - momentum) is left out."""
    (stage,) = MOMENTUM.reference.phases
    assert with_momentum(msgspec.structs.replace(HEAVY, phases=(stage,))) == "violated"
