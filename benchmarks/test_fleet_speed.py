"""Whole trainings of the workloads of ``ilr-check bench``, for pytest-benchmark. Compare ratios, not seconds.

``make bench`` runs them. Here the times include the set-up, and all paths share a process. ``ilr-check
bench`` measures steps alone and memory, with the paths in turn and each in a process of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from ilr_check.bench.path import Unavailable
from ilr_check.bench.paths import make
from ilr_check.bench.results import PATHS, PathName
from ilr_check.bench.workloads import WORKLOADS
from ilr_check.train.fleet import BLOCK
from ilr_check.train.threads import threads

RUNS, STEPS = 64, 2 * BLOCK


@pytest.fixture(autouse=True)
def _own_threads() -> Iterator[None]:
    with threads():
        yield


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("workload", WORKLOADS)
def test_training(workload: str, path: PathName, benchmark: Callable[..., object]) -> None:
    try:
        way = make(path, WORKLOADS[workload])
    except Unavailable as reason:
        pytest.skip(str(reason))
    way.compile(RUNS)
    benchmark.pedantic(way.train, args=(RUNS, STEPS), rounds=3, warmup_rounds=1)
    seconds = benchmark.stats.stats.median
    benchmark.extra_info["us_per_run_step"] = round(1e6 * seconds / (way.timed(RUNS) * STEPS), 2)
