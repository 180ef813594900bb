"""function-mixing-time refutes clocks other than lr * weight_decay, and memories that last."""

from dataclasses import replace

import msgspec
import pytest
from broken_rules import decay_written_first
from torch import Tensor
from worlds import stepping_by

from ilr_check.claims.claim import Context
from ilr_check.claims.function_space import function_mixing_time
from ilr_check.claims.function_space.trainings.meetings import Meeting
from ilr_check.claims.settings.nets import REFERENCE
from ilr_check.data import SplitDigitsSpec
from ilr_check.optim.sgd import StepHyper, UpdateRule

CONTEXT = Context(seed=0, profile="quick", default_alpha=1e-3)
CHEAP = Meeting(
    title="cheap",
    net=REFERENCE,
    data=SplitDigitsSpec(label_noise=0.5, held_out=1400),
    inverses=(16, 32, 64, 128),
    hot=4.0,
    probes=128,
    planned=(0.3, 0.05),
    looks=(256,),
)
# A slope within a quarter takes 256 runs at four levels, a minute a rule.
pytestmark = pytest.mark.nightly

Stepped = tuple[Tensor, None]


def verdicts(rule: UpdateRule) -> dict[str, str]:
    context = replace(CONTEXT, world=stepping_by(rule))
    judged = function_mixing_time.LAW.judge(msgspec.to_builtins(CHEAP), context)
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


def test_what_is_right_holds() -> None:
    assert verdicts(decay_written_first) == {"slope": "holds", "closing": "holds"}


def test_a_clock_of_the_root_has_another_slope() -> None:
    assert verdicts(root_of_the_decay)["slope"] != "holds"


def test_a_clock_of_the_square_does_not_close() -> None:
    assert verdicts(decay_squared)["closing"] != "holds"


def test_two_norms_that_nothing_brings_together_are_seen() -> None:
    assert verdicts(no_decay)["closing"] == "violated"
