"""Hyper-parameters and schedules as values: what they refuse, and with which messages."""

import math
from typing import Any

import msgspec
import pytest
import torch

from ilr_check.optim.hyper import HyperParams
from ilr_check.optim.schedules import (
    Constant,
    Cosine,
    Drops,
    Pauses,
    ScheduleSpec,
    Sequence,
    WarmUp,
    WarmUpCosine,
    WarmUpLinear,
    WarmUpStableDecay,
)

BAD_HYPER: list[tuple[dict[str, Any], str]] = [
    ({"lr": -0.1}, "lr=-0.1"),
    ({"lr": math.nan}, "lr=nan"),
    ({"lr": math.inf}, "lr=inf"),
    ({"lr": 0.1, "weight_decay": -1.0}, "weight_decay=-1.0"),
    ({"lr": 0.1, "momentum": 1.0}, r"momentum=1.0.*\[0, 1\)"),
    ({"lr": 0.1, "dampening": 1.5}, "dampening=1.5"),
    ({"lr": 0.1, "batch_size": 0}, "batch_size=0"),
    ({"lr": 0.1, "batch_size": True}, "batch_size=True"),
    ({"lr": 0.1, "steps": -1}, "steps=-1"),
    ({"lr": 0.1, "seed": -3}, "seed=-3"),
    ({"lr": 0.1, "init_scale": 0.0}, "init_scale=0.0"),
    ({"lr": 0.1, "nesterov": True}, "needs momentum > 0"),
    ({"lr": 0.1, "nesterov": True, "momentum": 0.9, "dampening": 0.1}, "dampening = 0"),
]

SCHEDULES: list[tuple[ScheduleSpec, tuple[float, ...]]] = [
    (Constant(), (1, 1, 1, 1, 1, 1)),
    (Drops(period=2, factor=0.5), (1, 1, 0.5, 0.5, 0.25, 0.25)),
    (WarmUp(period=4), (0.25, 0.5, 0.75, 1, 1, 1)),
    (WarmUpLinear(warm_up=2, floor=0.2), (0.5, 1, 0.8, 0.6, 0.4, 0.2)),
    (WarmUpLinear(warm_up=0), (5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6, 0)),
    (WarmUpLinear(warm_up=8), (1 / 8, 2 / 8, 3 / 8, 4 / 8, 5 / 8, 6 / 8)),
    (WarmUpCosine(warm_up=2), (0.5, 1, 0.5 + 0.125**0.5, 0.5, 0.5 - 0.125**0.5, 0)),
    (WarmUpCosine(warm_up=4, floor=0.1), (0.25, 0.5, 0.75, 1, 0.55, 0.1)),
    (WarmUpStableDecay(warm_up=2, decay=2, floor=0.5), (0.5, 1, 1, 1, 0.75, 0.5)),
    (WarmUpStableDecay(warm_up=0, decay=0), (1, 1, 1, 1, 1, 1)),
    (Pauses(period=3), (1, 1, 0, 1, 1, 0)),
    (Sequence(values=(1.0, 0.0, 3.0)), (1, 0, 3, 1, 0, 3)),
]

BAD_SCHEDULES: list[tuple[type, dict[str, Any], str]] = [
    (Drops, {"period": 0, "factor": 0.5}, "period=0"),
    (Drops, {"period": 2, "factor": -0.5}, "factor=-0.5"),
    (Drops, {"period": 2, "factor": math.inf}, "factor=inf"),
    (WarmUp, {"period": 1.5}, "period=1.5"),
    (Pauses, {"period": False}, "period=False"),
    (WarmUpCosine, {"warm_up": -1}, "warm_up=-1"),
    (WarmUpLinear, {"warm_up": 1, "floor": 2.0}, "floor=2.0"),
    (WarmUpStableDecay, {"warm_up": 1, "decay": 0.5}, "decay=0.5"),
    (Sequence, {"values": ()}, "at least one factor"),
    (Sequence, {"values": (1.0, math.nan)}, r"values\[1\]=nan"),
]


@pytest.mark.parametrize(("values", "words"), BAD_HYPER, ids=lambda v: str(v))
def test_a_bad_hyper_parameter_is_named_with_its_value(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        HyperParams(**values)


def test_the_intrinsic_lr_is_lr_times_weight_decay() -> None:
    assert HyperParams(lr=0.5, weight_decay=0.25).intrinsic_lr == 0.125


def test_hyper_parameters_are_torchs() -> None:
    ours = HyperParams(lr=0.1)
    theirs = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1).defaults
    shared = ("lr", "weight_decay", "momentum", "dampening", "nesterov")
    assert {name: getattr(ours, name) for name in shared} == {name: theirs[name] for name in shared}


@pytest.mark.parametrize(("schedule", "factors"), SCHEDULES, ids=lambda v: type(v).__name__)
def test_a_schedule_gives_its_factors(schedule: ScheduleSpec, factors: tuple[float, ...]) -> None:
    assert schedule.factors(6) == pytest.approx(factors, abs=1e-15)


def test_cosine_is_torchs_annealing() -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    annealing = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=12)
    expected = []
    for _ in range(12):
        expected.append(annealing.get_last_lr()[0])
        optimizer.step()
        annealing.step()
    assert Cosine().factors(12) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("schedule", [s for s, _ in SCHEDULES] + [Cosine()], ids=lambda s: type(s).__name__)
def test_a_schedule_survives_json(schedule: ScheduleSpec) -> None:
    assert msgspec.json.decode(msgspec.json.encode(schedule), type=ScheduleSpec) == schedule


@pytest.mark.parametrize(("kind", "values", "words"), BAD_SCHEDULES, ids=lambda v: str(v))
def test_a_bad_schedule_is_named_with_its_value(kind: type, values: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        kind(**values)
