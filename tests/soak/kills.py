"""Kill real runs at random moments, resume them, and compare every field of every verdict."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import runs
from counts import Count

EXACT = "exponential-lr,norm-recursion"
STATISTICAL = "noise-independence"
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)


def kill_and_resume(count: Count, folder: Path, claims: str, times: int, seed: int) -> None:
    """Kill runs ``times`` times, each run once or twice, at a moment drawn from the length of a whole run.

    A tenth of the kills falls into the first hundredth, where the folder is made.
    """
    draw = random.Random(seed)
    code = runs.run_here(["verify", "--claims", claims, "--out", "whole"], folder)
    began = time.monotonic()
    runs.run(["verify", "--claims", claims, "--out", "timed"], folder, folder / "timed.log")
    length = time.monotonic() - began
    count.demand(code in (0, 3), f"the whole run ended with {code}")
    whole = runs.verdicts(folder / "whole")
    number = 0
    while count.tried < times:
        number += 1
        name, log = f"run{number}", folder / f"run{number}.log"
        words = ["verify", "--claims", claims, "--out", name]
        for _ in range(draw.choice((1, 1, 2))):
            moment = length * (draw.random() if draw.random() > 0.1 else 0.01 * draw.random())
            sign = draw.choice(
                (signal.SIGKILL, signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
            )
            ended = runs.killed_after(runs.forked(words, folder, log), moment, sign)
            stopped = ended not in (0, 3)
            count.tried += stopped
            count.saw(sign.name if stopped else "had ended before")
            count.demand(ended in (-9, -15, 130, 0, 3), f"{name}: {sign.name} gave exit code {ended}")
            if (folder / name / "manifest.json").exists():
                words = ["verify", "--resume", name]
        code = runs.run(words, folder, log)
        count.demand(code in (0, 3), f"{name}: resumed to exit code {code}: {log.read_text()[-300:]}")
        if code in (0, 3):
            count.demand(runs.verdicts(folder / name) == whole, f"{name}: other verdicts than the whole run")
            stray = {path.name for path in (folder / name).iterdir()}
            stray -= {"manifest.json", "verdicts.jsonl", "traces", "report.html"}
            count.demand(not stray, f"{name}: left {sorted(stray)}")
        count.demand("Traceback" not in log.read_text(), f"{name}: a traceback")
        shutil.rmtree(folder / name, ignore_errors=True)


def kill_workers(count: Count, folder: Path, times: int, seed: int) -> None:
    """Kill one of two workers of a run; the run stops with a sentence and resumes to the same verdicts."""
    draw = random.Random(seed)
    runs.run_here(["verify", "--claims", EXACT, "--out", "whole"], folder)
    whole = runs.verdicts(folder / "whole")
    for number in range(times):
        name, log = f"run{number}", folder / f"run{number}.log"
        words = [sys.executable, "-m", "ilr_check", "verify", "--claims", EXACT, "--out", name]
        with log.open("w") as stream:
            parent = subprocess.Popen([*words, "--jobs", "2"], cwd=folder, stdout=stream, stderr=stream)
        while parent.poll() is None and not (found := _workers(parent.pid)):
            time.sleep(0.05)
        time.sleep(draw.uniform(0.0, 10.0))
        workers = [] if parent.poll() is not None else found
        for pid in workers[:1]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        code = parent.wait()
        count.tried += 1
        count.saw(f"exit code {code}")
        told = log.read_text()
        count.demand(
            code in (0, 2, 3) and "Traceback" not in told, f"{name}: exit code {code}: {told[-300:]}"
        )
        code = runs.run(["verify", "--resume", name], folder, log)
        count.demand(code in (0, 3), f"{name}: resumed to {code}: {log.read_text()[-300:]}")
        if code in (0, 3):
            count.demand(runs.verdicts(folder / name) == whole, f"{name}: other verdicts")
        count.demand(
            not [pid for pid in workers if Path(f"/proc/{pid}/stat").exists()], f"{name}: a survivor"
        )


def _workers(parent: int) -> list[int]:
    from ilr_check.gate.process.tree import below

    found = []
    for pid in below(parent):
        with contextlib.suppress(OSError):
            if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
    return found
