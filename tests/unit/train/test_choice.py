"""Eager, compiled or in smaller chunks: decided from the work ahead, overridable, and explained."""

import logging
import shutil

import numpy as np
import pytest
import torch
from fleet_steps import eager_fleet

from ilr_check import doctor
from ilr_check.data import TeacherStudentSpec
from ilr_check.nets.build import build
from ilr_check.nets.specs import CNNSpec, MLPSpec, NetSpec, ResNetSpec
from ilr_check.train import compiling
from ilr_check.train.choice import Choice, choose, explained, footprint, usual_lanes
from ilr_check.train.compiling import NO_COMPILER, RUN_STEPS_THAT_PAY, compiled_or_eager, notify
from ilr_check.train.fleet import Runs

NET = MLPSpec(inputs=10, widths=(12, 8), classes=3)
DATA = TeacherStudentSpec(inputs=10, classes=3, examples=64)


@pytest.fixture
def _compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/" + name)


def chosen(**options: object) -> Choice:
    settings = {"lanes": 64, "compile": None, "expected_run_steps": 0, **options}
    return choose(1000, **settings)  # type: ignore[arg-type]


@pytest.mark.usefixtures("_compiler")
@pytest.mark.parametrize(
    ("options", "compiled", "reason"),
    [
        ({"expected_run_steps": RUN_STEPS_THAT_PAY}, True, "compiled, because 100000 run-steps are planned"),
        ({"expected_run_steps": RUN_STEPS_THAT_PAY - 1}, False, "eager, because 99999 run-steps are planned"),
        ({"expected_run_steps": 10**9, "lanes": 15}, False, "on 15 lanes, and 100000 on at least 16"),
        ({"compile": True}, True, "compiled, as requested"),
        ({"compile": False, "expected_run_steps": 10**9}, False, "eager, as requested"),
    ],
)
def test_much_work_on_many_lanes_is_compiled_and_anyone_may_overrule(
    options: dict[str, object], compiled: bool, reason: str
) -> None:
    choice = chosen(**options)
    assert (choice.compiled, choice.notice) == (compiled, "")
    assert reason in choice.reason


@pytest.mark.parametrize("options", [{"compile": True}, {"expected_run_steps": 10**9}])
def test_without_a_compiler_it_is_eager_with_a_notice(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, object]
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert (chosen(**options).compiled, chosen(**options).notice) == (False, NO_COMPILER)
    assert chosen().notice == ""


@pytest.mark.parametrize(
    ("limit", "lanes"), [(3 * 64 * 1000, 64), (3 * 64 * 1000 - 1, 32), (3 * 8 * 1000, 8), (1, 1)]
)
def test_lanes_are_halved_until_a_chunk_fits(limit: int, lanes: int) -> None:
    choice = chosen(memory_limit=limit, compile=False)
    assert choice.lanes == lanes
    assert ("runs at once instead of 64" in choice.reason) == (lanes < 64)


@pytest.mark.parametrize(
    ("net", "device", "lanes"),
    [
        (NET, "cpu", 64),
        (NET, "cuda", 256),
        (ResNetSpec(shape=(8,), width=8, blocks=1, classes=3), "cpu", 64),
        (ResNetSpec(shape=(1, 8, 8), width=8, blocks=1, classes=3), "cpu", 8),
        (CNNSpec(image=(1, 8, 8), channels=(8,), classes=3), "cpu", 8),
        (CNNSpec(image=(1, 8, 8), channels=(8,), classes=3), "cuda", 64),
    ],
)
def test_few_runs_of_a_convolutional_net_stay_in_the_caches(net: NetSpec, device: str, lanes: int) -> None:
    assert usual_lanes(net, device) == lanes


@pytest.mark.usefixtures("_compiler")
def test_the_usual_lanes_of_a_net_are_enough_to_compile() -> None:
    assert chosen(expected_run_steps=RUN_STEPS_THAT_PAY, lanes=8, enough=8).compiled
    assert not chosen(expected_run_steps=RUN_STEPS_THAT_PAY, lanes=4, enough=8).compiled


def test_no_lanes_are_refused() -> None:
    with pytest.raises(ValueError, match="lanes=0: must be at least 1"):
        chosen(lanes=0)


@pytest.mark.usefixtures("_products_round_alike")
def test_runs_in_smaller_chunks_are_the_same_runs() -> None:
    runs = Runs(seeds=range(5), lr=0.1, weight_decay=0.01)
    whole = eager_fleet(NET, DATA, lanes=4)
    tight = eager_fleet(NET, DATA, lanes=4, memory_limit=int(3 * 2 * whole.footprint.total))
    assert (whole.lanes, tight.lanes) == (4, 2)
    a, b = (fleet.train(runs, 20) for fleet in (whole, tight))
    assert np.array_equal(a.norm2, b.norm2)
    assert torch.equal(a.final["layers.1.weight"], b.final["layers.1.weight"])


def test_the_footprint_of_a_linear_net_by_hand() -> None:
    # Without norm and activation the backward pass needs each layer's input, and the head's.
    net = MLPSpec(inputs=10, widths=(12, 8), classes=3)
    module = build(net, dtype=torch.float64)
    module.body = lambda x: module.layers[1](module.layers[0](x))  # type: ignore[assignment]
    found = footprint(module, torch.zeros(5, 10, dtype=torch.float64), slots=2)
    weights = 8 * (10 * 12 + 12 * 8)
    assert (found.parameters, found.gradients, found.state) == (weights, weights, 2 * weights)
    assert found.activations == 8 * 5 * (10 + 12)
    assert found.total == 4 * weights + found.activations


def test_a_deeper_net_keeps_more() -> None:
    x = torch.zeros(4, 16, dtype=torch.float64)
    shallow, deep = (
        footprint(build(CNNSpec(image=(1, 4, 4), channels=(3,) * n, classes=2)), x, 0).activations
        for n in (1, 3)
    )
    assert deep > 2 * shallow


def test_doctor_explains_the_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = {what: follows for what, _, follows in doctor.diagnose()}
    assert rows["compiler"] in (explained(), NO_COMPILER)
    assert "training is compiled from 100000 run-steps on (on a GPU from 2000000)" in explained()
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert ("compiler", "none", NO_COMPILER) in doctor.diagnose()


def test_a_compiler_that_fails_leaves_training_eager_with_one_notice(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Failed(Exception):
        pass

    def broken(program: object, **options: object) -> object:
        def run(*args: object) -> None:
            raise Failed("CppCompileError: no Python.h\nand a thousand lines more")

        return run

    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/" + name)
    monkeypatch.setattr(torch, "compile", broken)
    monkeypatch.setattr(compiling, "_failures", lambda: (Failed,))
    notify.cache_clear()
    program = compiled_or_eager(lambda a, b: a + b, wanted=True)
    with caplog.at_level(logging.WARNING):
        assert [program(1, 2), program(3, 4)] == [3, 7]
    told = "the compiler failed, so training runs uncompiled: Failed: CppCompileError: no Python.h"
    assert [record.getMessage() for record in caplog.records] == [told]
