"""Hostile targets under many laws: none may crash the gate, pass, or leave a process behind."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

from counts import Count

FILE = Path(__file__).parents[1] / "integration" / "hostile_optimizers.py"
DEADLY = (
    *("Crashes", "Leaves", "Exits", "ClosesChannel", "DoubleForks", "ForksManyTimes", "HidesItsEnvironment"),
    *("KillsItsSupervisor", "LeavesItsPipesToAChild", "SaysItIsDone", "SaysThatALawHolds", "Swells"),
)
RUDE = ("Prints", "SetsDtype", "Seeds", "TurnsGradOff", "SetsThreads", "IsDeterministic")
HARMLESS = {"DoubleForks", "ForksManyTimes", "HidesItsEnvironment"}
"""They leave processes behind, which are killed, and step like SGD."""


def judge_hostile(count: Count, folder: Path, times: int, seed: int) -> None:
    """Judge hostile targets by randomly drawn laws, through the command that users run."""
    from ilr_check.gate.laws import gate_laws

    draw = random.Random(seed)
    laws = sorted(gate_laws())
    survivors = folder / "survivors"
    for number in range(times):
        name, law = (DEADLY + RUDE)[number % len(DEADLY + RUDE)], draw.choice(laws)
        survivors.unlink(missing_ok=True)
        words = ["gate", f"{FILE}:{name}", "--contract", "sgd", "--claims", law, "--json", "-"]
        words += ["--memory-limit", "1500", "--time-limit", "60"]
        done = subprocess.run(
            [sys.executable, "-m", "ilr_check", *words],
            cwd=folder,
            capture_output=True,
            text=True,
            env=os.environ | {"SURVIVORS": str(survivors)},
            check=False,
        )
        count.tried += 1
        count.saw(f"exit code {done.returncode}")
        what = f"{name} under {law}: exit code {done.returncode}: {done.stderr[-200:]}"
        count.demand("Traceback" not in done.stderr, what)
        count.demand(done.returncode in (0, 1, 2, 3), what)
        if name in DEADLY and name not in HARMLESS:
            count.demand(done.returncode in (1, 2), f"it passed: {what}")
        if done.returncode in (0, 1, 3):
            count.demand("findings" in json.loads(done.stdout), what)
        started = survivors.read_text().split() if survivors.exists() else []
        alive = [pid for pid in started if Path(f"/proc/{pid}/cmdline").exists() and _runs(pid)]
        count.demand(not alive, f"{what}: {alive} are alive")


def _runs(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
