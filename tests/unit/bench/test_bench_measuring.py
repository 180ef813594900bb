"""Paths in processes of their own: what a sample measures, in which order, and the message when one fails."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ilr_check import cli
from ilr_check.bench import paths, worker
from ilr_check.bench.measure import Cell, Plan, Point, Worker, take_samples
from ilr_check.bench.worker import Begin, Order, Sample, Warm, memory_mib, serve
from ilr_check.bench.workloads import REFERENCE_WORKLOAD, Workload
from ilr_check.nets.specs import MLPSpec

SMALL = Workload(name="small", title="small", net=MLPSpec(inputs=64, widths=(4,), classes=10), batch_size=4)


def answers(*orders: Order) -> list[dict[str, Any]]:
    import msgspec

    told = io.StringIO()
    serve(io.StringIO("".join(msgspec.json.encode(order).decode() + "\n" for order in orders)), told)
    return [json.loads(line) for line in told.getvalue().splitlines()]


def run(arguments: list[str]) -> int:
    with pytest.raises(SystemExit) as stopped:
        cli.main(arguments)
    code = stopped.value.code
    assert isinstance(code, int)
    return code


@pytest.mark.parametrize("path", ["loop", "eager", "limit", "product"])
def test_a_path_answers_with_time_and_memory(path: paths.PathName) -> None:
    begun, warmed, sampled, whole = answers(
        Begin(path=path, workload=SMALL, threads=1),
        Warm(runs=3),
        Sample(runs=3, steps=2, seconds=0.0),
        Sample(runs=3, steps=2, seconds=0.0, whole=True),
    )
    assert begun == {}
    assert (warmed["compile_seconds"], warmed["timed_runs"]) == (0.0, 3)
    assert warmed["peak_mib"] is None or warmed["peak_mib"] >= 0
    assert sampled["us_per_run_step"] > 0
    assert whole["us_per_run_step"] > 0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("path", ["loop", "eager", "compiled", "blackbox", "limit", "product"])
def test_a_path_answers_from_a_gpu(path: paths.PathName) -> None:
    begun, warmed, sampled = answers(
        Begin(path=path, workload=SMALL, threads=1, device="cuda"),
        Warm(runs=3),
        Sample(runs=3, steps=2, seconds=0.0),
    )
    assert begun == {}
    assert warmed["peak_mib"] > 0
    assert sampled["us_per_run_step"] > 0


@pytest.mark.parametrize(
    ("patch", "path", "sentence"),
    [
        ("ilr_check.bench.jax_path.find_spec", "jax", "jax is not installed; pip install 'ilr-check[jax]'"),
        ("ilr_check.bench.paths.has_compiler", "compiled", "there is no C++ compiler"),
        ("ilr_check.bench.paths.has_compiler", "blackbox", "there is no C++ compiler"),
    ],
)
def test_a_path_that_cannot_be_taken_says_why(
    monkeypatch: pytest.MonkeyPatch, patch: str, path: paths.PathName, sentence: str
) -> None:
    monkeypatch.setattr(patch, lambda *_: None)
    (begun,) = answers(Begin(path=path, workload=SMALL, threads=1))
    assert begun["absent"].startswith(sentence)


def test_orders_before_the_first_are_errors() -> None:
    (answer,) = answers(Warm(runs=1))
    assert answer == {"error": "the first order must be Begin"}


def test_a_failing_path_answers_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(paths.Limit):
        def sample(self, runs: int, steps: int, seconds: float) -> float:
            raise MemoryError(f"no room\nfor {runs}")

    monkeypatch.setattr(paths, "Limit", Broken)
    found = answers(
        Begin(path="limit", workload=SMALL, threads=1), Sample(runs=5, steps=1, seconds=0.0), Warm(runs=1)
    )
    assert found[1] == {"error": "no room for 5"}
    assert found[2]["timed_runs"] == 1


def test_the_peak_sees_what_is_allocated_and_freed_again() -> None:
    if memory_mib("VmHWM") is None:
        pytest.skip("no /proc, so peaks are not told here")
    worker.give_back()
    worker.forget_peak()
    before = memory_mib("VmHWM")
    torch.ones(16 * 2**20)
    after = memory_mib("VmHWM")
    assert before is not None
    assert after is not None
    # 64 MiB were touched; pages that came and went elsewhere may hide a little of them.
    assert after - before > 48


def test_a_process_that_dies_is_named() -> None:
    process = Worker(threads=1)
    process._process.kill()
    try:
        with pytest.raises(RuntimeError, match="a measuring process ended with code -9"):
            process.ask(Warm(runs=1))
    finally:
        process.close()


class Fake:
    """A worker that records its orders and answers with made-up numbers."""

    def __init__(self, name: str, notes: list[str]) -> None:
        self.name, self.notes, self.cost = name, notes, 0.0

    def ask(self, order: Order) -> dict[str, Any]:
        self.notes.append(f"{type(order).__name__} {self.name}")
        if isinstance(order, Warm):
            return {"compile_seconds": 1.0, "peak_mib": 2.0, "timed_runs": order.runs}
        self.cost += 10.0
        return {"us_per_run_step": self.cost}


def test_paths_are_sampled_in_turn_and_back() -> None:
    notes: list[str] = []
    points = [
        Point(Cell(REFERENCE_WORKLOAD, path, Fake(path, notes)), 64, 1)  # type: ignore[arg-type]
        for path in ("loop", "limit")
    ]
    take_samples(points, seconds=0.0, rounds=3, progress=lambda text: None)
    turns = ["loop", "limit", "limit", "loop", "loop", "limit"]
    assert notes == ["Warm loop", "Warm limit", *(f"Sample {path}" for path in turns)]
    loop, limit = (point.row() for point in points)
    assert loop.samples == (10.0, 20.0, 30.0)
    assert loop.us_per_run_step == 20.0
    assert (loop.peak_mib, limit.peak_mib) == (2.0, None)
    # 8192 weights twice, and 32 x (64 + 64 + 64 + 10) activations, in float32, for 64 runs.
    assert loop.minimum_mib == 64 * 4 * (2 * 8192 + 32 * 202) / 2**20


@pytest.mark.parametrize(
    ("runs", "steps", "seconds", "expected"),
    [
        # Blocks of 32 steps take 3.2 s, the first of a chunk 100 s more; chunks of 4 runs.
        (4, 128, 1e9, 3.2 / (32 * 4)),
        (4, 1, 1e9, 3.2 / (32 * 4)),
        (8, 64, 1e9, 3.2 / (32 * 4)),
        # The last chunk takes as long with 2 runs in it, so a run costs more.
        (6, 64, 1e9, 2 * 3.2 / (32 * 6)),
        # The sample stopped after the second block and does not wait for the others.
        (8, 1024, 0.0, 3.2 / (32 * 4)),
    ],
)
def test_a_sample_of_a_fleet_leaves_out_the_set_up(
    monkeypatch: pytest.MonkeyPatch, runs: int, steps: int, seconds: float, expected: float
) -> None:
    now = [0.0]
    monkeypatch.setattr(paths.time, "perf_counter", lambda: now[0])

    class Clockwork:
        lanes = 4

        def train(self, runs: Any, steps: int, *, record_every: int, progress: Callable[..., None]) -> None:
            for _ in range(0, len(runs.seeds), self.lanes):
                now[0] += 100.0
                for block in range(steps // 32):
                    now[0] += 3.2
                    progress((block + 1) * 32 / steps)

    way = paths.FleetPath(REFERENCE_WORKLOAD, "eager")
    monkeypatch.setattr(way, "_fleet", lambda runs: (Clockwork(), 0.0))
    assert way.sample(runs, steps, seconds) == pytest.approx(1e6 * expected, rel=1e-9)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("runs", [64, 0], r"runs=0 is out of range; give whole numbers within \[1, 65536\]"),
        ("steps", 0, "steps=0 is out of range"),
        ("rounds", 0, "rounds=0 is out of range"),
    ],
)
def test_a_plan_out_of_range_is_refused(field: str, value: object, message: str) -> None:
    given: dict[str, Any] = {"workloads": [SMALL], "paths": ["loop"], "runs": [1]} | {field: value}
    with pytest.raises(ValueError, match=message):
        Plan(**given)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--workload", "nope"], "workload 'nope' is not known; choose from reference, cnn, deep"),
        (["--path", "gpu"], "path 'gpu' is not known; choose from loop, eager, compiled"),
        (["--runs", "many"], "runs='many': must be whole numbers from 1"),
        (["--runs", "0"], "runs=0 is out of range"),
        (["--workload", ","], "no workload is named"),
        (["--path", ""], "no path is named"),
        (["--runs", ""], "no runs are named"),
    ],
)
def test_bad_input_is_one_line_and_code_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert run(["bench", *arguments]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert message in said.err
    assert len(said.err.splitlines()) == 1


def test_the_command_measures_and_prints_json_and_nothing_else(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    page = tmp_path / "docs" / "speed.md"
    words = "bench --workload reference --path eager,loop --runs 2 --steps 1 --seconds 0 --rounds 1 --json -"
    assert run([*words.split(), "--markdown", str(page)]) == 0
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert said.err == ""
    assert [(r["workload"], r["path"], r["runs"]) for r in found["rows"]] == [
        ("reference", "loop", 2),
        ("reference", "eager", 2),
    ]
    assert min(r["us_per_run_step"] for r in found["rows"]) > 0
    assert found["machine"]["threads"] == 1
    assert "| loop |" in page.read_text(encoding="utf-8")
