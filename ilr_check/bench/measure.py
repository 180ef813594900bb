"""Measures paths side by side. Each path has a process of its own, and they are sampled in turn, round by
round."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import msgspec

from ilr_check.bench.minimum import bytes_per_run
from ilr_check.bench.results import WITHOUT_MEMORY, Absent, PathName, Row
from ilr_check.bench.worker import Begin, Order, Sample, Warm
from ilr_check.bench.workloads import Workload

Progress = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to measure. A sample ends after ``steps`` steps, or with the block of steps that ends after
    ``seconds``."""

    workloads: Sequence[Workload]
    paths: Sequence[PathName]
    runs: Sequence[int]
    steps: int = 256
    seconds: float = 0.5
    rounds: int = 5
    device: str = "cpu"

    def __post_init__(self) -> None:
        for name, values, low, high in (
            ("runs", self.runs, 1, 2**16),
            ("steps", [self.steps], 1, 2**20),
            ("rounds", [self.rounds], 1, 1000),
        ):
            for value in values:
                if not low <= value <= high:
                    raise ValueError(
                        f"{name}={value} is out of range; give whole numbers within [{low}, {high}]"
                    )


class Worker:
    """A process that runs one path of one workload."""

    def __init__(self, threads: int) -> None:
        self._cache = tempfile.TemporaryDirectory(prefix="ilr-check-bench-")
        environment = os.environ | {
            "OMP_NUM_THREADS": str(threads),
            "ILR_CHECK_THREADS": str(threads),
            # An empty cache, so that compiling costs what it costs the first time.
            "TORCHINDUCTOR_CACHE_DIR": self._cache.name,
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "ilr_check.bench.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            text=True,
        )

    def ask(self, order: Order) -> dict[str, Any]:
        """Send an order and return its answer. Raises ``RuntimeError`` if the process failed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            print(msgspec.json.encode(order).decode(), file=self._process.stdin, flush=True)
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise RuntimeError(
                f"a measuring process ended with code {self._process.wait()} and gave no answer"
            )
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise RuntimeError(f"{type(order).__name__.lower()} failed: {answer['error']}")
        return answer

    def close(self) -> None:
        """End the process and its compilers."""
        self._process.kill()
        self._process.communicate()
        self._cache.cleanup()


@dataclass(frozen=True)
class Cell:
    """One path of one workload, and the process that runs it."""

    workload: Workload
    path: PathName
    worker: Worker


@dataclass
class Point:
    """A cell with a number of runs: how it is sampled, and the measured samples.

    ``whole`` times a training from its set-up to its end, instead of steps in the middle of one.
    """

    cell: Cell
    runs: int
    steps: int
    whole: bool = False
    warmed: dict[str, Any] = field(default_factory=dict)
    samples: list[float] = field(default_factory=list)

    def row(self) -> Row:
        """Return the measurement as a row."""
        workload, path = self.cell.workload, self.cell.path
        return Row(
            workload=workload.name,
            path=path,
            runs=self.runs,
            us_per_run_step=median(self.samples),
            peak_mib=None if path in WITHOUT_MEMORY else self.warmed["peak_mib"],
            compile_seconds=self.warmed["compile_seconds"],
            timed_runs=self.warmed["timed_runs"],
            minimum_mib=self.runs * bytes_per_run(workload) / 2**20,
            samples=tuple(self.samples),
        )


@contextmanager
def open_cells(
    wanted: Sequence[tuple[Workload, PathName]],
    threads: int,
    device: str,
    absent: list[Absent],
    progress: Progress,
) -> Iterator[list[Cell]]:
    """Yield the processes of these paths. A path that is not available is added to ``absent``."""
    with ExitStack() as stack:
        cells = []
        for workload, path in wanted:
            progress(f"{workload.name}, {path}: starting")
            worker = Worker(threads)
            stack.callback(worker.close)
            answer = worker.ask(Begin(path=path, workload=workload, threads=threads, device=device))
            if "absent" in answer:
                absent.append(Absent(path=path, workload=workload.name, reason=answer["absent"]))
            else:
                cells.append(Cell(workload, path, worker))
        yield cells


def take_samples(points: Sequence[Point], *, seconds: float, rounds: int, progress: Progress) -> None:
    """Warm up each point, then sample the points in turn, every other round in the opposite order."""
    for point in points:
        progress(f"{_title(point)}: compiling and measuring memory")
        point.warmed = point.cell.worker.ask(Warm(runs=point.runs))
    for number in range(rounds):
        for point in points if number % 2 == 0 else reversed(points):
            progress(f"{_title(point)}: round {number + 1} of {rounds}")
            order = Sample(runs=point.runs, steps=point.steps, seconds=seconds, whole=point.whole)
            point.samples.append(point.cell.worker.ask(order)["us_per_run_step"])


def _title(point: Point) -> str:
    return f"{point.cell.workload.name}, {point.cell.path}, {point.runs} runs"


def measure(plan: Plan, threads: int, progress: Progress) -> tuple[list[Row], list[Absent]]:
    """Return the rows of the plan, and the paths that are not available."""
    rows: list[Row] = []
    absent: list[Absent] = []
    for workload in plan.workloads:
        wanted = [(workload, path) for path in plan.paths]
        with open_cells(wanted, threads, plan.device, absent, progress) as cells:
            for runs in sorted(set(plan.runs)):
                points = [Point(cell, runs, plan.steps) for cell in cells]
                take_samples(points, seconds=plan.seconds, rounds=plan.rounds, progress=progress)
                rows += [point.row() for point in points]
    return rows, absent
