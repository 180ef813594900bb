"""Clocks other than lr * weight_decay, and memories that last, against function-mixing-time."""

import msgspec
import pytest
from broken_rules import decay_written_first
from torch import Tensor

from ilr_check.claims import function_mixing_time
from ilr_check.claims.claim import Context
from ilr_check.claims.experiments.meetings import Meeting
from ilr_check.claims.experiments.nets import REFERENCE
from ilr_check.data import SplitDigitsSpec, TeacherStudentSpec
from ilr_check.nets.specs import MLPSpec, NetSpec, NormSpec
from ilr_check.optim.sgd import StepHyper, UpdateRule, plain
from ilr_check.train import compiling

CONTEXT = Context(seed=0, profile="quick", default_share=1e-3)
CHEAP = Meeting(
    title="cheap",
    net=REFERENCE,
    data=SplitDigitsSpec(redrawn=0.5, held_out=1400),
    inverses=(16, 32, 64, 128),
    hot=4.0,
    probes=128,
    planned=(0.3, 0.05),
    looks=(48,),
)
"""Enough runs to see that a distance is gone or not, too few for the slope."""
MANY = msgspec.structs.replace(CHEAP, looks=(256,))
LAYER: NetSpec = MLPSpec(inputs=16, widths=(32, 32), classes=10, norm=NormSpec(kind="layer"))
Stepped = tuple[Tensor, None]


@pytest.fixture(autouse=True)
def _eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each rule would be compiled for itself, which takes longer than these trainings do."""
    monkeypatch.setattr(compiling, "RUN_STEPS_THAT_PAY", 10**9)


def verdicts(rule: UpdateRule, meeting: Meeting = CHEAP) -> dict[str, str]:
    judged = function_mixing_time.judge(msgspec.to_builtins(meeting), CONTEXT, rule=rule)
    return {finding.group: finding.verdict for finding in judged.findings}


def root_of_the_decay(w: Tensor, g: Tensor, buffer: Tensor | None, h: StepHyper) -> Stepped:
    """sqrt(lr wd / 16): right at the largest level, too fast below it."""
    return (1.0 - (h.lr * h.weight_decay / 16).sqrt()) * w - h.lr * g, None


def decay_squared(w: Tensor, g: Tensor, buffer: Tensor | None, h: StepHyper) -> Stepped:
    """16 (lr wd)^2 where that is less: right at the largest level, too slow below it."""
    decay = h.lr * h.weight_decay
    return (1.0 - (16 * decay * decay).minimum(decay)) * w - h.lr * g, None


def no_decay(w: Tensor, g: Tensor, buffer: Tensor | None, h: StepHyper) -> Stepped:
    return w - h.lr * g, None


def test_what_is_right_closes() -> None:
    assert verdicts(decay_written_first)["closing"] != "violated"


def test_a_clock_of_the_square_does_not_close() -> None:
    assert verdicts(decay_squared)["closing"] == "violated"


def test_two_norms_that_nothing_brings_together_are_seen() -> None:
    assert verdicts(no_decay)["closing"] == "violated"


def test_a_history_that_killed_units_is_not_forgotten() -> None:
    """LayerNorm lets a hot population lose units for good; BatchNorm gives each its variance, and cannot."""
    data = TeacherStudentSpec(inputs=16, classes=10, examples=512, redrawn=0.5)
    meeting = msgspec.structs.replace(CHEAP, net=LAYER, data=data, inverses=(32, 48, 64, 128), hot=8.0)
    assert verdicts(plain, meeting)["closing"] == "violated"


@pytest.mark.nightly
def test_a_clock_of_the_root_has_another_slope() -> None:
    assert verdicts(root_of_the_decay, MANY)["slope"] != "holds"
    assert verdicts(decay_written_first, MANY)["slope"] == "holds"
