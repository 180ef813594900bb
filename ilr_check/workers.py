"""Worker processes for the units of a run. They pay because a fleet of small nets hardly uses a second
core."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context

PAYS_FROM = 5
"""The number of claims in a run from which workers pay. Each worker needs seconds to import torch, and
compiles for itself."""
MAX_JOBS = 64
GPU_JOBS = 8
"""The usual number of processes that share a GPU. Each needs half a GiB for CUDA alone."""


def checked_jobs(jobs: int | None, claims: int, device: str = "cpu") -> int:
    """Return how many processes to use. ``None`` decides from the work. Raises ``ValueError`` outside [1,
    64]."""
    if jobs is not None:
        if not 1 <= jobs <= MAX_JOBS:
            raise ValueError(f"jobs={jobs} is out of range; give a whole number from 1 to {MAX_JOBS}")
        return jobs
    most = MAX_JOBS if device == "cpu" else GPU_JOBS
    return min(os.cpu_count() or 1, most) if claims >= PAYS_FROM else 1


@contextmanager
def workers(jobs: int) -> Iterator[ProcessPoolExecutor | None]:
    """Yield a pool of ``jobs`` processes with one thread each, or ``None`` for one job.

    The processes are spawned and not forked, because torch's thread pools do not survive a fork. So the main
    module of the program must be safe to import. When the pool is left, work that has not begun is dropped.
    """
    if jobs == 1:
        yield None
        return
    pool = ProcessPoolExecutor(
        jobs, mp_context=get_context("spawn"), initializer=_begin, initargs=(os.getpid(),)
    )
    try:
        yield pool
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _begin(parent: int) -> None:
    import torch

    torch.set_num_threads(1)
    # Ctrl-C reaches every process of the terminal, but only the parent shall report it.
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    """End this worker when its parent ends. Otherwise it would wait for work for ever if the parent is
    killed."""
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)
