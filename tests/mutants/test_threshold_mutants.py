"""wd-threshold refutes trainers whose weights rotate too little, too much or not at all."""

from dataclasses import replace

import msgspec
import pytest
from broken_rules import decay_halved, decay_twice, decay_written_first
from torch import Tensor
from worlds import stepping_by

from ilr_check.claims.claim import Context
from ilr_check.claims.function_space import wd_threshold
from ilr_check.claims.function_space.trainings.decays import Decays
from ilr_check.data import SplitDigitsSpec
from ilr_check.nets.specs import MLPSpec
from ilr_check.optim.sgd import StepHyper, UpdateRule

pytestmark = [
    pytest.mark.on_push(
        "test_another_decay_is_another_rotation[decay_twice]",
    ),
    pytest.mark.usefixtures("eager"),
]

CONTEXT = Context(seed=0, profile="quick", default_alpha=1e-3)
CHEAP = Decays(
    title="cheap",
    net=MLPSpec(inputs=64, widths=(32, 32), classes=10),
    data=SplitDigitsSpec(label_noise=1.0, held_out=1400),
    grid=((0, (32, 128)), (32, (32, 128)), (8, (32,))),
    probes=64,
    looks=(64, 128),
)
Stepped = tuple[Tensor, None]


def verdicts(rule: UpdateRule) -> dict[str, str]:
    context = replace(CONTEXT, world=stepping_by(rule))
    findings = wd_threshold.LAW.judge(msgspec.to_builtins(CHEAP), context).findings
    return {finding.group: finding.verdict for finding in findings}


def small_gradient(w: Tensor, g: Tensor, buffer: Tensor | None, h: StepHyper) -> Stepped:
    """The weights shrink as they should and hardly rotate."""
    return (1.0 - h.lr * h.weight_decay) * w - 0.1 * h.lr * g, None


def gradient_shared(w: Tensor, g: Tensor, buffer: Tensor | None, h: StepHyper) -> Stepped:
    """Every run steps with the first one's gradient and a trace of its own: its batches are nearly lost."""
    return (1.0 - h.lr * h.weight_decay) * w - h.lr * (g[:1] + 0.01 * g), None


def test_what_is_right_passes() -> None:
    assert set(verdicts(decay_written_first).values()) == {"holds"}


@pytest.mark.parametrize("rule", [decay_halved, decay_twice])
def test_another_decay_is_another_rotation(rule: UpdateRule) -> None:
    assert verdicts(rule)["rotation"] == "violated"


def test_weights_that_hardly_turn_are_seen() -> None:
    assert verdicts(small_gradient)["rotation"] == "violated"


def test_runs_with_hardly_a_noise_of_their_own_are_told_by_their_init() -> None:
    assert verdicts(gradient_shared)["functions"] == "violated"
