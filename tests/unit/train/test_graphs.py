"""On a GPU: settings that hold only inside a block, and a captured step against the step itself."""

import os
from typing import Any

import numpy as np
import pytest
import torch
from fleet_steps import eager_fleet

from ilr_check.data import SvagNoise, TangentNoise, TeacherStudentSpec
from ilr_check.nets.specs import MLPSpec
from ilr_check.train import fleet as fleet_module
from ilr_check.train.blackbox import BlackBox
from ilr_check.train.determinism import reproducible
from ilr_check.train.fleet import Runs
from ilr_check.train.graphs import WARM_UP, Captured

NET = MLPSpec(inputs=10, widths=(12, 8), classes=3)
DATA = TeacherStudentSpec(inputs=10, classes=3, examples=64, label_noise=0.5)


def flags() -> tuple[bool, ...]:
    conv, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    strict = torch.are_deterministic_algorithms_enabled()
    return conv.allow_tf32, conv.benchmark, conv.deterministic, matmul.allow_tf32, strict


def test_full_precision_and_determinism_are_switched_on_and_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    before = flags()
    with reproducible("cuda"):
        assert flags() == (False, False, True, False, True)
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    assert flags() == before


def test_on_the_cpu_nothing_is_switched() -> None:
    before = flags()
    with reproducible("cpu"):
        assert flags() == before


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize(
    "noise", [None, TangentNoise(size=0.1), SvagNoise(order=2.0)], ids=["plain", "noise", "svag"]
)
@pytest.mark.parametrize(
    "rule", ["sgd", "adamw", BlackBox(torch.optim.SGD)], ids=["sgd", "adamw", "black box"]
)
def test_a_captured_step_is_the_step_itself(monkeypatch: pytest.MonkeyPatch, rule: Any, noise: Any) -> None:
    runs = Runs(seeds=range(6), lr=np.linspace(0.01, 0.1, 40)[:, None], weight_decay=0.01)
    with reproducible("cuda"):
        captured = eager_fleet(NET, DATA, rule=rule, noise=noise, device="cuda").train(runs, 40)
        monkeypatch.setattr(
            fleet_module, "Captured", lambda program, storage: lambda *moving: program(*storage, *moving)
        )
        plain = eager_fleet(NET, DATA, rule=rule, noise=noise, device="cuda").train(runs, 40)
    assert np.array_equal(captured.norm2, plain.norm2)
    assert np.array_equal(captured.loss, plain.loss)


def test_a_step_is_warmed_up_on_the_tensors_that_it_is_captured_with(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, tuple[int, ...]]] = []

    def program(storage: torch.Tensor, moving: torch.Tensor) -> torch.Tensor:
        seen.append((moving.data_ptr(), moving.stride()))
        return storage + moving

    captured = Captured(program, (torch.ones(2, 3),))
    monkeypatch.setattr(captured, "_warm", lambda arguments: program(torch.ones(2, 3), *arguments))
    wide = torch.arange(12.0).reshape(2, 6)
    for step in range(WARM_UP):
        # A view with gaps, of which a clone has other strides.
        assert torch.equal(captured(wide[:, step : step + 3]), 1.0 + wide[:, step : step + 3])
    assert set(seen) == {(captured._inputs[0].data_ptr(), (3, 1))}
