"""A compiled fleet with few lanes makes all steps until the next record in one call, with the bits of single
steps."""

from typing import Any

import numpy as np
import pytest
import torch
from fleet_steps import eager_fleet

from ilr_check.data import SvagNoise, TeacherStudentSpec
from ilr_check.nets.specs import CNNSpec, MLPSpec
from ilr_check.train.compiling import LOOPS, has_compiler
from ilr_check.train.fleet import BLOCK, Fleet, Runs
from ilr_check.train.trace import PER_RUN, Trace

pytestmark = [
    pytest.mark.on_push("test_stretches_have_the_bits_of_single_steps[sgd]"),
    pytest.mark.skipif(not (has_compiler() and LOOPS), reason="needs a C++ compiler and torch 2.13"),
]

NET = MLPSpec(inputs=10, widths=(12, 8), classes=3)
DATA = TeacherStudentSpec(inputs=10, classes=3, examples=64, label_noise=0.5)
IMAGES = CNNSpec(image=(1, 4, 4), channels=(4, 4), classes=3)
IMAGE_DATA = TeacherStudentSpec(inputs=16, classes=3, examples=64)
STEPS, EVERY = 2 * BLOCK + 9, 7
"""The records fall on no end of a block, and the last block is short."""


def trained(every: int, *, net: Any = NET, data: Any = DATA, lanes: int = 4, **options: Any) -> Trace:
    fleet = eager_fleet(net, data, lanes=lanes, compile=True, dtype=torch.float32, **options)
    lr = np.where(np.arange(STEPS) < 40, 0.1, 0.01)[:, None] * np.linspace(0.5, 2.0, lanes)
    runs = Runs(seeds=range(lanes), lr=lr, weight_decay=0.01, momentum=0.5)
    return fleet.train(runs, STEPS, record_every=every)


def same(seldom: Trace, often: Trace) -> bool:
    """Whether all common records and the last weights are equal bit for bit."""
    records = [np.array_equal(getattr(seldom, f), getattr(often, f)[::EVERY]) for f in PER_RUN]
    weights = [torch.equal(w, often.final[name]) for name, w in seldom.final.items()]
    return all(records) and all(weights) and np.array_equal(seldom.first_bad, often.first_bad)


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="sgd"),
        pytest.param({"rule": "heavy_ball"}, id="momentum"),
        pytest.param({"rule": "adamw"}, id="adamw"),
        pytest.param({"noise": SvagNoise(order=2.0)}, id="svag"),
        pytest.param({"lanes": 1}, id="one lane"),
        pytest.param({"net": IMAGES, "data": IMAGE_DATA}, id="cnn"),
    ],
)
def test_stretches_have_the_bits_of_single_steps(options: dict[str, Any]) -> None:
    assert same(trained(EVERY, **options), trained(1, **options))


def test_the_comparison_sees_one_step_more() -> None:
    longer = eager_fleet(NET, DATA, compile=True, dtype=torch.float32)
    runs = Runs(seeds=range(4), lr=0.1, weight_decay=0.01)
    a, b = (longer.train(runs, steps, record_every=EVERY) for steps in (EVERY, EVERY + 1))
    assert not any(torch.equal(w, b.final[name]) for name, w in a.final.items())


def test_an_observer_sees_its_steps_within_a_stretch() -> None:
    fleet = Fleet(NET, DATA, batch_size=8, lanes=4, compile=True)
    runs = Runs(seeds=range(4), lr=0.1, weight_decay=0.01)
    seen: dict[int, torch.Tensor] = {}

    def note(step: int, chunk: slice, weights: dict[str, torch.Tensor]) -> None:
        seen[step] = next(iter(weights.values())).clone()

    fleet.train(runs, 20, record_every=100, observer=note, observed=(0, 5, 20))
    assert sorted(seen) == [0, 5, 20]
    for step, weights in seen.items():
        if step:
            assert torch.equal(next(iter(fleet.train(runs, step).final.values())), weights)
