"""The paper's figure of five schedules, on a small net, refutes trainers that remember an early schedule."""

import msgspec
import pytest
import torch
from torch import Tensor
from worlds import stepping_by

from ilr_check.claims.claim import Context
from ilr_check.claims.function_space.equilibrium_forgets import LAW, five_schedules
from ilr_check.claims.settings import full_size
from ilr_check.data import SplitDigitsSpec
from ilr_check.nets.specs import MLPSpec
from ilr_check.optim.sgd import StepHyper, UpdateRule

pytestmark = [
    pytest.mark.on_push(
        "test_without_the_time_to_forget_nothing_holds",
    ),
    pytest.mark.usefixtures("eager"),
]

RECIPE = full_size.Recipe(
    per_file=64,
    batch_size=32,
    lr=0.5,
    weight_decay=0.064,
    equal_from=15,
    flow_from=31,
    end=36,
    initial_norm=3.0,
)
"""Epochs of ten steps; the equal phase is five times 1/lambda_e."""


def decay_at_the_largest_lr_so_far(
    w: Tensor, g: Tensor, buffer: Tensor | None, h: StepHyper
) -> tuple[Tensor, Tensor | None]:
    assert buffer is not None
    largest = torch.maximum(buffer, h.lr.expand_as(buffer))
    return (1.0 - largest * h.weight_decay) * w - h.lr * g, largest


def verdicts(
    monkeypatch: pytest.MonkeyPatch, rule: UpdateRule | None = None, flow_from: int = 31
) -> list[str]:
    recipe = msgspec.structs.replace(RECIPE, flow_from=flow_from, end=flow_from + 5)
    monkeypatch.setattr(full_size, "RECIPE", recipe)
    whole = five_schedules(SplitDigitsSpec(label_noise=0.5, held_out=1200), 0)
    small = msgspec.structs.replace(
        whole,
        net=MLPSpec(inputs=64, widths=(24,), classes=10),
        probes=64,
        others=(whole.others[0], whole.others[3]),
        planned={"log effective lr": None},
    )
    world = stepping_by(rule) if rule else None
    context = Context(seed=0, profile="paper", default_alpha=1e-4, world=world)
    found = LAW.judge(msgspec.to_builtins(small), context).findings
    assert [finding.group for finding in found] == [f"{o.name}: log effective lr" for o in small.others]
    return [finding.verdict for finding in found]


def test_schedules_that_become_equal_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    assert verdicts(monkeypatch) == ["holds", "holds"]


def test_a_decay_that_remembers_the_largest_lr_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The largest are 0.69 in the reference, 1.03 and 0.5 in the others."""
    assert verdicts(monkeypatch, decay_at_the_largest_lr_so_far) == ["violated", "violated"]


def test_without_the_time_to_forget_nothing_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    found = verdicts(monkeypatch, flow_from=16)
    assert "holds" not in found
    assert "violated" in found
