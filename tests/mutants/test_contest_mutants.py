"""The claims that only lambda_e counts after some time refute trainers and histories that leave a trace."""

import msgspec
import pytest
import torch
from broken_rules import decay_without_lr, decay_written_first
from torch import Tensor
from worlds import stepping_by

from ilr_check.claims.claim import Context
from ilr_check.claims.function_space import init_lr_forgotten, two_phases
from ilr_check.claims.function_space.trainings.forgetting import Contest, ContestRuns
from ilr_check.claims.function_space.trainings.functions import History, Stage
from ilr_check.claims.law import StatisticalLaw
from ilr_check.data import SplitDigitsSpec
from ilr_check.nets.specs import MLPSpec
from ilr_check.optim.sgd import StepHyper, UpdateRule

pytestmark = [
    pytest.mark.on_push(
        "test_a_first_lr_is_remembered_where_the_last_phase_is_short",
    ),
    pytest.mark.usefixtures("eager"),
]

NET = MLPSpec(inputs=64, widths=(24,), classes=10)
DATA = SplitDigitsSpec(label_noise=0.5, held_out=1200)
FIRST_LR = init_lr_forgotten.contest("cheap", NET, DATA)
_, SMALL_FIRST = FIRST_LR.others
FLOWS = two_phases.contest("cheap", NET, DATA)
SMALL_LR, LARGE_FIRST, _ = FLOWS.others


def decay_of_the_first_step(
    w: Tensor, g: Tensor, buffer: Tensor | None, h: StepHyper
) -> tuple[Tensor, Tensor | None]:
    """An lr * weight_decay that was computed once and kept; the buffer is 0 at first."""
    assert buffer is not None
    kept = torch.where(buffer == 0.0, h.lr * h.weight_decay, buffer)
    return (1.0 - kept) * w - h.lr * g, kept


def faster(course: History) -> History:
    """A quarter of the steps at four times the weight decay."""
    return msgspec.structs.replace(
        course,
        phases=tuple(
            Stage(steps=max(1, phase.steps // 4), lr=phase.lr, weight_decay=4.0 * phase.weight_decay)
            for phase in course.phases
        ),
    )


def cut(course: History) -> History:
    """The last phase lasts 16 steps, a quarter of 1/lambda_e."""
    last = msgspec.structs.replace(course.phases[-1], steps=16)
    return msgspec.structs.replace(course, phases=(*course.phases[:-1], last))


def verdicts(
    law: StatisticalLaw[Contest, ContestRuns],
    reference: History,
    other: History,
    control: History,
    rule: UpdateRule | None = None,
) -> set[str]:
    (whole,) = law.experiments("quick", 0)
    cheap = msgspec.structs.replace(
        whole,
        net=NET,
        data=DATA,
        reference=faster(reference),
        others=(faster(other),),
        control=faster(control),
        looks=(512,),
    )
    world = stepping_by(rule) if rule else None
    context = Context(seed=0, profile="quick", default_alpha=1e-4, world=world)
    findings = law.judge(msgspec.to_builtins(cheap), context).findings
    assert len(findings) == len(cheap.planned)
    return {finding.verdict for finding in findings}


@pytest.mark.parametrize(
    ("rule", "verdict"), [(decay_written_first, "holds"), (decay_of_the_first_step, "violated")]
)
def test_a_decay_kept_from_the_first_lr_is_caught(rule: UpdateRule, verdict: str) -> None:
    three = (FIRST_LR.reference, SMALL_FIRST, FIRST_LR.control)
    assert verdicts(init_lr_forgotten.LAW, *three, rule) == {verdict}


def test_a_first_lr_is_remembered_where_the_last_phase_is_short() -> None:
    three = (FIRST_LR.reference, SMALL_FIRST, FIRST_LR.control)
    found = verdicts(init_lr_forgotten.LAW, *map(cut, three))
    # Nothing has been learned yet, so the loss of the control hardly differs.
    assert found == {"violated", "inconclusive"}


@pytest.mark.parametrize(
    ("other", "rule", "verdict"),
    [
        (SMALL_LR, decay_written_first, "holds"),
        (SMALL_LR, decay_without_lr, "violated"),
        (LARGE_FIRST, decay_of_the_first_step, "violated"),
    ],
    ids=["right", "decay without lr", "decay kept from the first step"],
)
def test_a_flow_remembers_what_noise_a_wrong_decay_had(
    other: History, rule: UpdateRule, verdict: str
) -> None:
    assert verdicts(two_phases.LAW, FLOWS.reference, other, FLOWS.control, rule) == {verdict}
