"""A process of its own for each path, so that their memory, thread pools and compilers do not mix.

``python -m ilr_check.bench.worker`` reads one JSON order per line and answers each with one JSON line.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path as File
from typing import Any, TextIO

import msgspec

from ilr_check.bench.path import Path, Unavailable
from ilr_check.bench.results import PathName
from ilr_check.bench.workloads import Workload

WARM_STEPS = 2
_STATUS, _RESET = File("/proc/self/status"), File("/proc/self/clear_refs")


class Order(msgspec.Struct, frozen=True, kw_only=True, tag_field="do"):
    """An order to the process."""


class Begin(Order, frozen=True, kw_only=True, tag="begin"):
    """Make a path."""

    path: PathName
    workload: Workload
    threads: int
    device: str = "cpu"


class Warm(Order, frozen=True, kw_only=True, tag="warm"):
    """Compile for this number of runs, then train them for a few steps. The answer has compile time and peak
    memory."""

    runs: int


class Sample(Order, frozen=True, kw_only=True, tag="sample"):
    """Time some steps in the middle of a training, or with ``whole`` a training with its set-up."""

    runs: int
    steps: int
    seconds: float
    whole: bool = False


def serve(orders: TextIO, answers: TextIO) -> None:
    """Answer orders until they end. A failure is answered as ``absent`` or ``error``."""
    path: Path | None = None
    begun: Begin | None = None
    for line in orders:
        order = msgspec.json.decode(line, type=Begin | Warm | Sample)
        answer: dict[str, Any] = {}
        try:
            if isinstance(order, Begin):
                path, begun = _begin(order), order
            elif path is None or begun is None:
                raise RuntimeError("the first order must be Begin")
            elif isinstance(order, Warm):
                answer["compile_seconds"] = path.compile(order.runs)
                answer["peak_mib"] = _peak_mib(partial(path.train, order.runs, WARM_STEPS), begun)
                answer["timed_runs"] = path.timed(order.runs)
            elif order.whole:
                begin = time.perf_counter()
                path.train(order.runs, order.steps)
                spent = time.perf_counter() - begin
                answer["us_per_run_step"] = 1e6 * spent / (path.timed(order.runs) * order.steps)
            else:
                answer["us_per_run_step"] = path.sample(order.runs, order.steps, order.seconds)
        except Exception as error:
            kind = "absent" if isinstance(error, Unavailable) else "error"
            answer = {kind: " ".join(str(error).split()) or type(error).__name__}
        print(json.dumps(answer), file=answers, flush=True)


def _begin(order: Begin) -> Path:
    if order.path == "jax":
        os.environ |= {"JAX_PLATFORMS": order.device, "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    if order.path == "jax" and hasattr(os, "sched_setaffinity"):
        # XLA makes a pool as large as the cores that it may use. It has no other setting for all of its
        # pools.
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: order.threads])
    import torch

    from ilr_check.bench.paths import make

    torch.set_num_threads(order.threads)
    return make(order.path, order.workload, order.device)


def _peak_mib(work: Callable[[], None], begun: Begin) -> float | None:
    """Return the peak memory of ``work`` above the memory before it, or ``None`` if it is unknown."""
    if begun.device == "cuda":
        return None if begun.path == "jax" else _gpu_peak_mib(work)
    give_back()
    resident = memory_mib("VmRSS")
    forget_peak()
    work()
    peak = memory_mib("VmHWM")
    return None if peak is None or resident is None else max(0.0, peak - resident)


def _gpu_peak_mib(work: Callable[[], None]) -> float:
    import torch

    gc.collect()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    work()
    return (torch.cuda.max_memory_allocated() - before) / 2**20


def memory_mib(field: str) -> float | None:
    """Return VmRSS (resident now) or VmHWM (its peak) of this process, or ``None`` if there is no /proc."""
    try:
        lines = _STATUS.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(field + ":")), None)


def give_back() -> None:
    """Return freed memory to the system. Memory left by compiling would hide the memory of training."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def forget_peak() -> None:
    """Reset VmHWM to the memory that is resident now."""
    try:
        _RESET.write_text("5", encoding="ascii")
    except OSError:
        return


if __name__ == "__main__":
    # Compilers and libraries may print, so only the answers use standard output.
    own = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    serve(sys.stdin, own)
