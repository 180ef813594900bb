"""The claims about full-batch gradient descent refute broken trainers."""

from dataclasses import replace

import msgspec
import pytest
from broken_rules import decay_halved, decay_twice, decay_written_first
from torch import Tensor
from worlds import stepping_by

from ilr_check.claims.claim import Context
from ilr_check.claims.function_space import gd_is_not_gradient_flow
from ilr_check.claims.function_space.trainings.descent import Descent
from ilr_check.data import DigitsSpec
from ilr_check.nets.specs import MLPSpec
from ilr_check.optim.sgd import StepHyper, UpdateRule, plain

pytestmark = pytest.mark.on_push(
    "test_descent_never_rests_however_decay_is_written[plain]",
    "test_descent_that_is_not_sgds_is_refuted[hidden_decay-refuted3]",
)

CONTEXT = Context(seed=0, profile="quick", default_alpha=1e-4)
NET = MLPSpec(inputs=64, widths=(12,), classes=10)
DESCENT = Descent(
    title="cheap",
    net=NET,
    data=DigitsSpec(),
    intrinsic_lr=0.03,
    examples=32,
    settle=300,
    looks=(64,),
)


def hidden_decay(w: Tensor, g: Tensor, buffer: Tensor | None, h: StepHyper) -> tuple[Tensor, None]:
    """Decays by 3 % more than weight_decay says, also if weight_decay is 0."""
    return 0.97 * plain(w, g, buffer, h)[0], None


def length_kept(w: Tensor, g: Tensor, buffer: Tensor | None, h: StepHyper) -> tuple[Tensor, None]:
    """Puts the weights back to the norm they had: decay does nothing, and no growth lets descent settle.

    It starts above the edge and stays there: its sharpness is that of any point, and so is the crossing.
    """
    lanes = (-1, *[1] * (w.dim() - 1))
    new = plain(w, g, buffer, h)[0]
    return new * (w.flatten(1).norm(dim=1) / new.flatten(1).norm(dim=1)).reshape(lanes), None


def verdicts(rule: UpdateRule) -> list[str]:
    """With decay, without decay, first crossing."""
    context = replace(CONTEXT, world=stepping_by(rule))
    judged = gd_is_not_gradient_flow.LAW.judge(msgspec.to_builtins(DESCENT), context)
    return [finding.verdict for finding in judged.findings]


@pytest.mark.parametrize(
    ("rule", "refuted"),
    [
        (decay_halved, [0, 2]),
        (decay_twice, [0, 2]),
        (length_kept, [0, 1]),
        (hidden_decay, [0, 1, 2]),
    ],
)
def test_descent_that_is_not_sgds_is_refuted(rule: UpdateRule, refuted: list[int]) -> None:
    found = verdicts(rule)
    assert [number for number, verdict in enumerate(found) if verdict == "violated"] == refuted


@pytest.mark.parametrize("rule", [plain, decay_written_first])
def test_descent_never_rests_however_decay_is_written(rule: UpdateRule) -> None:
    assert verdicts(rule) == ["holds", "holds", "holds"]
