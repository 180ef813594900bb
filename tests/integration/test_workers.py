"""Units in processes of their own: the same verdicts, and no process left behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ilr_check.evidence import RunFolder
from ilr_check.executors.named import PAYS_FROM, checked_jobs

CLAIMS = "norm-recursion"


def verify(out: Path, jobs: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "ilr_check", "verify", "--claims", CLAIMS, "--jobs", str(jobs)]
    return subprocess.Popen([*command, "--out", str(out)], stdout=subprocess.DEVNULL, start_new_session=True)


def verdicts(out: Path) -> list[tuple[str, str, float | None]]:
    return [(r.id, r.verdict, r.measured.value) for r in RunFolder.open(out).records()]


@pytest.mark.nightly
def test_two_jobs_give_the_verdicts_of_one(tmp_path: Path) -> None:
    assert verify(tmp_path / "one", 1).wait() == verify(tmp_path / "two", 2).wait() == 0
    assert verdicts(tmp_path / "two") == verdicts(tmp_path / "one")


def test_killed_parents_leave_no_workers(tmp_path: Path) -> None:
    parent = verify(tmp_path / "run", 2)
    children = _until(lambda: workers_of(parent.pid))
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    assert _until(lambda: [pid for pid in children if alive(pid)] == [])


def test_interrupted_runs_end_and_keep_what_was_finished(tmp_path: Path) -> None:
    parent = verify(tmp_path / "run", 2)
    children = _until(lambda: workers_of(parent.pid))
    os.killpg(parent.pid, signal.SIGINT)
    assert parent.wait() == 130
    assert _until(lambda: [pid for pid in children if alive(pid)] == [])


@pytest.mark.parametrize("jobs", [0, -1, 65])
def test_jobs_out_of_range(jobs: int) -> None:
    with pytest.raises(ValueError, match=f"jobs={jobs} is out of range"):
        checked_jobs(jobs, claims=1)


def test_few_claims_need_no_workers() -> None:
    assert checked_jobs(None, claims=PAYS_FROM - 1) == 1
    assert checked_jobs(None, claims=PAYS_FROM) >= 1


def workers_of(pid: int) -> list[int]:
    """Children that Python's spawn has started."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            command = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if parent == pid and b"spawn_main" in command:
            found.append(int(entry.name))
    return found


def alive(pid: int) -> bool:
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _until(ready):  # type: ignore[no-untyped-def]
    """Wait until ``ready`` returns something, and return it. The time limit of the test ends the wait."""
    while not (found := ready()):
        time.sleep(0.1)
    return found
