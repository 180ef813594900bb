"""Thread counts are set, never inherited by accident: two busy pools on two cores are 50 times slower."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

VARIABLE = "ILR_CHECK_THREADS"


def thread_count() -> int:
    """How many threads this process may use: ILR_CHECK_THREADS, or half of the cores that are its share.

    Half, because a pool that finds one of its cores busy waits for it at every step: on two cores with one
    busy neighbour two threads were 50 times slower than one, and without it only 1.7 times faster.
    """
    asked = os.environ.get(VARIABLE)
    if asked is not None:
        if not asked.isdigit() or int(asked) < 1:
            raise ValueError(f"{VARIABLE}={asked!r} must be a whole number of threads, at least 1")
        return int(asked)
    if multiprocessing.parent_process() is not None:
        # One worker of a pool of unknown size: its siblings have the other cores.
        return 1
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    # pytest-xdist says how many workers share the machine.
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    return max(1, usable // 2 // workers)


@contextmanager
def threads(count: int | None = None) -> Iterator[int]:
    """Set torch's thread count for a while and put the old one back."""
    before = torch.get_num_threads()
    now = thread_count() if count is None else count
    torch.set_num_threads(now)
    try:
        yield now
    finally:
        torch.set_num_threads(before)
