"""The real command, killed and interrupted: finished units stay, and --resume gives the verdicts of an
unbroken run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

CLAIMS = "scale-invariance"
PATIENCE = 240.0
"""Seconds; the three units take some five on a quiet machine."""


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "ilr_check", "verify", *words]


def start(folder: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(*words),
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"ILR_CHECK_THREADS": "1"},
    )


def finished_lines(folder: Path) -> int:
    path = folder / "run" / "verdicts.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def stopped_after_a_unit(folder: Path, how: signal.Signals) -> tuple[int, str, int]:
    """Start, wait for the first unit's records, send the signal: exit status, errors, units on disk then."""
    process = start(folder, "--claims", CLAIMS, "--out", "run")
    deadline = time.monotonic() + PATIENCE
    while finished_lines(folder) == 0 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    before = finished_lines(folder)
    process.send_signal(how)
    _, errors = process.communicate(timeout=PATIENCE)
    return process.returncode, errors, before


def verdicts(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "run" / "verdicts.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) | {"seconds": 0} for line in lines]


def status(folder: Path) -> str:
    return str(json.loads((folder / "run" / "manifest.json").read_text(encoding="utf-8"))["status"])


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    process = start(folder, "--claims", CLAIMS, "--out", "run")
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, errors
    return folder


def test_a_run_leaves_its_folder_and_nothing_else(uninterrupted: Path) -> None:
    assert [path.name for path in uninterrupted.iterdir()] == ["run"]
    assert sorted(path.name for path in (uninterrupted / "run").iterdir()) == [
        "manifest.json",
        "report.html",
        "traces",
        "verdicts.jsonl",
    ]
    assert {record["verdict"] for record in verdicts(uninterrupted)} == {"holds"}


def test_a_killed_run_resumes_to_the_same_verdicts(tmp_path: Path, uninterrupted: Path) -> None:
    code, _, before = stopped_after_a_unit(tmp_path, signal.SIGKILL)
    assert code == -signal.SIGKILL
    whole = verdicts(uninterrupted)
    kept = verdicts(tmp_path)
    assert 1 <= before <= len(kept) < len(whole)
    assert kept == whole[: len(kept)]
    assert status(tmp_path) == "running"
    resumed = start(tmp_path, "--resume", "run")
    _, errors = resumed.communicate(timeout=PATIENCE)
    assert (resumed.returncode, errors) == (0, "")
    assert verdicts(tmp_path) == whole
    assert status(tmp_path) == "complete"
    assert (tmp_path / "run" / "report.html").stat().st_size > 10_000


def test_an_interrupted_run_exits_with_130_and_keeps_what_was_finished(
    tmp_path: Path, uninterrupted: Path
) -> None:
    code, errors, before = stopped_after_a_unit(tmp_path, signal.SIGINT)
    assert code == 130
    assert errors.strip() == (
        "interrupted; what was finished is kept. Continue with: ilr-check verify --resume run"
    )
    kept = verdicts(tmp_path)
    assert 1 <= before <= len(kept)
    assert kept == verdicts(uninterrupted)[: len(kept)]
    assert status(tmp_path) == "interrupted"
