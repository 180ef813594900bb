"""The claim that the weights stay near one place refutes trainings whose weights move far."""

from dataclasses import replace

import msgspec
import pytest
from broken_rules import decay_written_first
from torch import Tensor
from worlds import stepping_by

from ilr_check.claims.claim import Context
from ilr_check.claims.function_space import no_parameter_mixing
from ilr_check.claims.function_space.no_parameter_mixing import Mixing
from ilr_check.data import SplitDigitsSpec
from ilr_check.nets.specs import MLPSpec
from ilr_check.optim.sgd import StepHyper, UpdateRule

pytestmark = [
    pytest.mark.on_push(
        "test_weights_that_stay_pass",
    ),
    pytest.mark.usefixtures("eager"),
]

CONTEXT = Context(seed=0, profile="quick", default_alpha=1e-4)
MIXING = Mixing(
    title="cheap",
    net=MLPSpec(inputs=64, widths=(48, 48), classes=10),
    data=SplitDigitsSpec(label_noise=0.5),
    weight_decay=0.04,
    looks=(64, 128),
)


def gradient_of_another_run(w: Tensor, g: Tensor, buffer: Tensor | None, h: StepHyper) -> tuple[Tensor, None]:
    """Each run steps with the gradient of another run, which has the right size and the wrong direction."""
    return (1.0 - h.lr * h.weight_decay) * w - h.lr * g.roll(1, 0), None


def verdicts(rule: UpdateRule) -> list[str]:
    """The weights, the average along a run, the average over inits."""
    context = replace(CONTEXT, world=stepping_by(rule))
    judged = no_parameter_mixing.LAW.judge(msgspec.to_builtins(MIXING), context)
    return [finding.verdict for finding in judged.findings]


def test_weights_that_wander_are_seen_to() -> None:
    # Their cosine is not refuted: runs that share gradients share a direction, 0.13 more than across.
    assert verdicts(gradient_of_another_run)[1:] == ["violated", "violated"]


def test_weights_that_stay_pass() -> None:
    assert verdicts(decay_written_first) == ["holds", "holds", "holds"]
