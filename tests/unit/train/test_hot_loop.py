"""The work of one step of the hot loop, counted in a profiler's trace: no copy to the host and no new
program.

Events are counted, never seconds.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from fleet_steps import eager_fleet
from torch._dynamo.utils import counters
from torch.profiler import ProfilerActivity, profile

from ilr_check.data import TangentNoise, TeacherStudentSpec
from ilr_check.nets.specs import MLPSpec
from ilr_check.optim.modelled import MODELLED
from ilr_check.train.blackbox import BlackBox
from ilr_check.train.compiling import has_compiler
from ilr_check.train.fleet import BLOCK, Fleet, Runs
from ilr_check.train.trace import PER_TENSOR

NET = MLPSpec(inputs=10, widths=(12, 8), classes=3)
DATA = TeacherStudentSpec(inputs=10, classes=3, examples=64, label_noise=0.5)
LANES = 16
ACTIVITIES = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if torch.cuda.is_available() else [])]
WAITS = ("aten::item", "aten::_local_scalar_dense", "aten::nonzero", "aten::is_nonzero", "aten::equal")
"""What makes Python wait for a number, on any device."""
RULES: dict[str, Any] = {
    "sgd": "sgd",
    "adamw": "adamw",
    "muon": "muon",
    # Not Adagrad or Adam: they read their own step count, which lies on the host, with item().
    "black box, stacked": BlackBox(torch.optim.SGD, layout="stacked"),
    "black box, shared": BlackBox(torch.optim.Muon, layout="shared"),
}


def events(fleet: Fleet, steps: int, record_every: int) -> Counter[str]:
    runs = Runs(seeds=range(LANES), lr=0.01, weight_decay=0.01)
    with profile(activities=ACTIVITIES) as trace:
        fleet.train(runs, steps, record_every=record_every)
    # The raw events: putting them into a tree takes longer than the training.
    return Counter(event.name() for event in trace.profiler.kineto_results.events())


def further(rule: Any, **options: Any) -> Counter[str]:
    """Return the events that a block of steps without a record adds."""
    fleet = eager_fleet(NET, DATA, rule=rule, lanes=LANES, **options)
    fleet.train(Runs(seeds=[1], lr=0.01, weight_decay=0.01), 2)
    short, long = (events(fleet, steps, 1000) for steps in (BLOCK, 2 * BLOCK))
    return Counter({name: count - short[name] for name, count in long.items()})


@pytest.mark.parametrize("rule", RULES)
def test_a_step_waits_for_no_number(rule: str) -> None:
    added = further(RULES[rule], noise=TangentNoise(size=0.1))
    assert added["aten::bmm"] >= 5 * BLOCK
    assert {name: added[name] for name in WAITS} == dict.fromkeys(WAITS, 0)


def test_the_trace_sees_a_step_that_waits() -> None:
    class Waits(torch.optim.SGD):
        def step(self, closure: Any = None) -> None:  # type: ignore[override]
            super().step()
            self.param_groups[0]["params"][0].sum().item()

    added = further(BlackBox(Waits, layout="stacked"))
    assert added["aten::item"] == added["aten::_local_scalar_dense"] == BLOCK


def test_a_record_is_kept_on_the_device() -> None:
    fleet = eager_fleet(NET, DATA, lanes=LANES)
    seldom, often = (events(fleet, BLOCK, every) for every in (BLOCK, 1))
    assert {name: often[name] - seldom[name] for name in WAITS} == dict.fromkeys(WAITS, 0)
    # One copy into the buffers for the loss and each measurement, one of each weight before the step.
    kept = 1 + len(PER_TENSOR) + len(NET.widths)
    assert often["aten::copy_"] - seldom["aten::copy_"] == kept * (BLOCK - 1)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("rule", RULES)
def test_on_a_gpu_nothing_is_copied_to_the_host_between_records(rule: str) -> None:
    added = further(RULES[rule], device="cuda")
    assert [name for name, count in added.items() if "DtoH" in name and count] == []


def graphs() -> int:
    return int(counters["stats"]["unique_graphs"])


@pytest.mark.skipif(not has_compiler(), reason="no C++ compiler on this machine")
def test_one_compilation_serves_every_setting_step_count_and_fleet_of_a_net() -> None:
    fleet = Fleet(NET, DATA, batch_size=8, rule=MODELLED["adamw"], lanes=LANES, compile=True)
    before = graphs()
    fleet.train(Runs(seeds=range(LANES), lr=0.01, weight_decay=0.01), 3, record_every=2)
    first = graphs() - before
    drops = np.where(np.arange(70) < 40, 0.1, 0.01)[:, None] * np.linspace(0.5, 2.0, 20)
    beta = np.linspace(0.5, 0.9, 20)
    runs = Runs(
        seeds=range(20), lr=drops, weight_decay=0.1, hyper={"beta1": beta, "eps": 1e-3}, init_scale=2.0
    )
    trace = fleet.train(runs, 70, record_every=7)
    again = Fleet(NET, DATA, batch_size=8, rule=MODELLED["adamw"], lanes=LANES, compile=True)
    again.train(Runs(seeds=[1], lr=0.01, weight_decay=0.0), 40)
    assert (first, graphs() - before) == (2, 2)
    assert np.isfinite(trace.loss).all()
