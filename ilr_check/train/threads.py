"""Sets the number of threads. Two busy thread pools on two cores can be 50 times slower than one."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

VARIABLE = "ILR_CHECK_THREADS"
MAX_THREADS = 256
"""The largest number that is accepted. More threads help no machine, and with some hundred thousand threads
torch ends with a segmentation fault."""


def thread_count() -> int:
    """Return how many threads this process may use: ILR_CHECK_THREADS, or half of the cores it may use.

    The other half stays free, because a pool of threads waits at every step if another process uses one of
    its cores. On two cores with one other busy process, two threads were 50 times slower than one. Without it
    they were only 1.7 times faster. Raises ``ValueError`` if ILR_CHECK_THREADS is not a whole number of at
    least 1.
    """
    asked = os.environ.get(VARIABLE)
    if asked is not None:
        if not asked.isdecimal() or not 1 <= int(asked) <= MAX_THREADS:
            raise ValueError(
                f"{VARIABLE}={asked!r} must be a whole number of threads, at least 1 and at most "
                f"{MAX_THREADS}"
            )
        return int(asked)
    if multiprocessing.parent_process() is not None:
        # This is one worker of a pool of unknown size. The other workers use the other cores.
        return 1
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    # pytest-xdist says how many workers share the machine.
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    return max(1, usable // 2 // workers)


@contextmanager
def threads(count: int | None = None) -> Iterator[int]:
    """Set torch's thread count inside a ``with`` block and restore the old one afterwards."""
    before = torch.get_num_threads()
    now = thread_count() if count is None else count
    torch.set_num_threads(now)
    try:
        yield now
    finally:
        torch.set_num_threads(before)
