"""The fleet beside what a user would pick instead: a loop of nets with ``torch.optim``; read the ratios.

``make bench`` runs it. The reference workload: the 64-64-64 BatchNorm MLP on digits, batch 32, plain SGD, and
64 independent runs. Each benchmark trains its runs for ``STEPS`` steps; extra_info has us a run-step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch

from ilr_check.claims.experiments.nets import REFERENCE
from ilr_check.data import DigitsSpec
from ilr_check.optim.hyper import HyperParams
from ilr_check.optim.schedules import Constant
from ilr_check.train.compiling import has_compiler
from ilr_check.train.fleet import BLOCK, Fleet, Runs
from ilr_check.train.loop import Setting, steps_of
from ilr_check.train.threads import threads

RUNS, STEPS = 64, 2 * BLOCK
LOOPED = 4
"""Runs of the loop that are timed; a loop's cost is linear in the number of runs."""


@pytest.fixture(autouse=True)
def _own_threads() -> Iterator[None]:
    with threads():
        yield


def _fleet(compiled: bool) -> Callable[[], object]:
    fleet = Fleet(REFERENCE, DigitsSpec(), batch_size=32, dtype=torch.float32, compile=compiled)
    runs = Runs(seeds=range(RUNS), lr=0.5, weight_decay=8e-3)
    return lambda: fleet.train(runs, STEPS)


def _loop() -> Callable[[], object]:
    settings = [
        Setting(
            net=REFERENCE,
            data=DigitsSpec(),
            hyper=HyperParams(lr=0.5, weight_decay=8e-3, steps=STEPS, batch_size=32, seed=seed),
            lr_schedule=Constant(),
            decay_schedule=Constant(),
            dtype="float32",
        )
        for seed in range(LOOPED)
    ]
    return lambda: [step for setting in settings for step in steps_of(setting)]


PATHS = {
    "loop": (_loop, LOOPED),
    "eager": (lambda: _fleet(False), RUNS),
    "compiled": (lambda: _fleet(True), RUNS),
}


@pytest.mark.parametrize("path", PATHS)
def test_reference_workload(path: str, benchmark: Callable[..., object]) -> None:
    if path == "compiled" and not has_compiler():
        pytest.skip("no C++ compiler")
    make, runs = PATHS[path]
    train = make()
    train()  # compile, and fill caches
    assert benchmark.pedantic(train, rounds=5) is not None
    seconds = benchmark.stats.stats.median
    benchmark.extra_info["us_per_run_step"] = round(1e6 * seconds / (runs * STEPS), 2)
