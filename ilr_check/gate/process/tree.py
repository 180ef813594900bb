"""The processes that a target starts: found, measured, and ended together. Linux tells all of this in /proc.

Elsewhere a tree is one process and its process group, and has no memory limit.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

TAG = "_ILR_CHECK_GATE"
"""Every process of a tree inherits this environment variable, so a tree is found without its supervisor."""
PR_SET_CHILD_SUBREAPER = 36
"""From linux/prctl.h: orphans below this process become its children and not those of process 1."""
PATIENCE = 5.0
"""Seconds for which processes are killed again while new ones appear; a kill takes milliseconds."""


def adopt_orphans() -> None:
    """Make this process the parent of every orphan below it, so that a double fork hides nothing."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def below(pid: int) -> list[int]:
    """Return the living descendants of a process, parents first."""
    found, waiting = [], [pid]
    while waiting:
        children = _children(waiting.pop())
        found += children
        waiting += children
    return [child for child in found if state(child) not in ("Z", "")]


def memory_mib(pids: list[int], limit_mib: float) -> float:
    """Return what processes hold in memory together; 0 where the system does not say.

    Pages that several of them share are counted once for each in the cheap sum. Only where this exceeds the
    limit are they counted as shared, which takes the kernel some milliseconds a process.
    """
    resident = sum(_resident_mib(pid) for pid in pids)
    return resident if resident <= limit_mib else sum(_proportional_mib(pid) for pid in pids)


def end_below(pid: int) -> None:
    """Kill all descendants of a process, until none is left."""
    _end(lambda: below(pid))


def end_tagged(tag: str) -> None:
    """Kill whatever carries a tag, wherever it is in the tree of processes."""
    _end(lambda: tagged(tag))


def _end(left: Callable[[], list[int]]) -> None:
    deadline, killed = time.monotonic() + PATIENCE, set[int]()
    while time.monotonic() < deadline:
        found = left()
        # One that is dying has no environment and no memory any more, but it is still there.
        if not found and all(state(pid) in ("Z", "") for pid in killed):
            return
        # They are stopped before they are killed, so that none can fork meanwhile.
        for sign in (signal.SIGSTOP, signal.SIGKILL):
            for pid in found:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, sign)
        killed.update(found)
        time.sleep(0.002)


def tagged(tag: str) -> list[int]:
    """Return the living processes whose environment began with this tag."""
    wanted = f"{TAG}={tag}".encode()
    found = []
    for entry in _entries():
        with contextlib.suppress(OSError):
            if wanted in Path(f"/proc/{entry}/environ").read_bytes().split(b"\0") and state(entry) != "Z":
                found.append(entry)
    return found


def _children(pid: int) -> list[int]:
    try:
        lists = [path.read_text("ascii") for path in Path(f"/proc/{pid}/task").glob("*/children")]
    except OSError:
        return []
    if lists:
        return [int(word) for text in lists for word in text.split()]
    # A kernel without CONFIG_PROC_CHILDREN: ask every process for its parent.
    return [entry for entry in _entries() if stat(entry)[1:2] == [str(pid)]]


def _entries() -> list[int]:
    try:
        return [int(name) for name in os.listdir("/proc") if name.isdecimal()]
    except OSError:
        return []


def stat(pid: int) -> list[str]:
    """Return state, parent, ...: the fields behind the name, which may hold any character."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except OSError:
        return []


def state(pid: int) -> str:
    return (stat(pid) or [""])[0]


def _resident_mib(pid: int) -> float:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1])
    except (OSError, IndexError, ValueError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _proportional_mib(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines()
        return next(float(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:"))
    except (OSError, StopIteration, ValueError):
        return _resident_mib(pid)
