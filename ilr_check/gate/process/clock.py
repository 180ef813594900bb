"""Count the CPU time and the sleep of a target, but not the time that it waited for a core.

A limit in wall time condemns correct optimizers on a busy machine. A limit in CPU time alone never ends one
that sleeps. Compilers below the target are not counted either, because what they take says nothing of it.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from ilr_check.gate.process import tree

COMPILERS = frozenset(
    ("cc1", "cc1plus", "g++", "gcc", "c++", "clang", "clang++", "as", "ld", "ptxas", "nvcc")
)
RUNNABLE = ("R", "D")
"""In these states a process has a core, waits for one, or waits for a disk."""


class Clock:
    """Counts what the processes below ``pid`` have worked since the clock was made.

    Where the system tells nothing of processes, it counts wall time.
    """

    def __init__(self, pid: int) -> None:
        self._pid, self._spent = pid, 0.0
        self._last, self._cpu = time.monotonic(), _cpu_seconds(_counted(pid))

    def spent(self) -> float:
        """Return the seconds so far; call this several times a second."""
        now, pids = time.monotonic(), _counted(self._pid)
        cpu = _cpu_seconds(pids)
        busy = any(tree.state(pid) in RUNNABLE for pid in tree.below(self._pid))
        # A process that ended takes its CPU time with it, so the sum can fall.
        self._spent += max(0.0, cpu - self._cpu, 0.0 if busy else now - self._last)
        self._last, self._cpu = now, cpu
        return self._spent


def _counted(pid: int) -> list[int]:
    return [child for child in tree.below(pid) if _name(child) not in COMPILERS]


def _cpu_seconds(pids: list[int]) -> float:
    ticks = sum(int(fields[11]) + int(fields[12]) for fields in map(tree.stat, pids) if len(fields) > 12)
    return ticks / os.sysconf("SC_CLK_TCK")


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text("utf-8", "replace").strip()
    except OSError:
        return ""
