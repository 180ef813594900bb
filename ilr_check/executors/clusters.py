"""Ray, Dask and submitit. Each is imported when it is used."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from ilr_check.executors.away import Executor, ExecutorError
from ilr_check.executors.dispatch import ATTEMPTS, POLL_SECONDS

UNIT_MINUTES = 24 * 60
"""The time that submitit gives a unit unless the user sets ``timeout_min``; its own default is 5 minutes."""


def whole(text: str, what: str) -> int:
    """Return the whole number that an option states. Raises ``ExecutorError`` if it is none."""
    if not text.isdecimal():
        raise ExecutorError(f"{what}={text} must be a whole number")
    return int(text)


@dataclass(frozen=True)
class _Submits:
    """An executor that is one function."""

    submit: Callable[..., Any]


@contextmanager
def _reaching(name: str, options: dict[str, str]) -> Iterator[None]:
    """Turn the error of a cluster that does not answer into one sentence."""
    try:
        yield
    except OSError as error:
        where, told = options.get("address", "its own workers"), " ".join(str(error).split())[:200]
        raise ExecutorError(
            f"executor {name!r} cannot reach {where} ({told}); check the address, and that the cluster runs"
        ) from error


@contextmanager
def on_ray(options: dict[str, str], jobs: int) -> Iterator[Executor]:
    """Yield an executor that submits to Ray: to a cluster at an address, or to ``jobs`` workers here."""
    # Ray would otherwise report the use of Ray to its makers.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    gpus = whole(options.get("gpus", "0"), "executor 'ray': gpus")
    where = {"address": options["address"]} if "address" in options else {"num_cpus": jobs}
    own = not ray.is_initialized()
    if own:
        with _reaching("ray", options):
            ray.init(**where, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    # Ray begins a unit again, up to three times, if its worker or its machine is lost.
    call = ray.remote(_call).options(num_cpus=1, num_gpus=gpus, max_retries=ATTEMPTS - 1)
    try:
        yield _Submits(lambda fn, *args: call.remote(fn, *args).future())
    finally:
        if own:
            ray.shutdown()


def _call(fn: Callable[..., Any], /, *args: Any) -> Any:
    return fn(*args)


@contextmanager
def on_dask(options: dict[str, str], jobs: int) -> Iterator[Executor]:
    """Yield an executor that submits to Dask: to a cluster at an address, or to ``jobs`` workers here."""
    from distributed import Client, LocalCluster

    with ExitStack() as stack:
        address: Any = options.get("address")
        if address is None:
            local = LocalCluster(
                n_workers=jobs,
                threads_per_worker=1,
                processes=True,
                dashboard_address=None,
                memory_limit=0,
                silence_logs="CRITICAL",
            )
            address = stack.enter_context(local)
        with _reaching("dask", options):
            client = stack.enter_context(Client(address))
        # Dask begins a unit again if its worker is lost, up to its setting `allowed-failures`.
        yield _Submits(lambda fn, *args: client.submit(fn, *args, pure=False))


@contextmanager
def on_submitit(options: dict[str, str], jobs: int) -> Iterator[Executor]:
    """Yield an executor that submits at most ``jobs`` jobs at once through submitit."""
    from submitit import AutoExecutor

    cluster = options.pop("cluster", None)
    with ExitStack() as stack:
        folder = options.pop("folder", "submitit-jobs" if cluster != "local" else None)
        if folder is None:
            # A job that is being cancelled may still write there.
            folder = stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
        values = {key: int(value) if value.isdecimal() else value for key, value in options.items()}
        try:
            executor = AutoExecutor(folder=folder, cluster=cluster)
            executor.update_parameters(**{"timeout_min": UNIT_MINUTES, "name": "ilr-check", **values})
        except (NameError, ValueError, AssertionError, RuntimeError) as error:
            raise ExecutorError(f"executor 'submitit': {' '.join(str(error).split())}") from error
        queue = Jobs(executor, jobs)
        stack.callback(queue.close)
        yield queue


class Jobs:
    """Jobs of submitit, at most ``most`` at once. One that ends without a result fails its own unit alone."""

    def __init__(self, executor: Any, most: int) -> None:
        self._executor = executor
        self._threads = ThreadPoolExecutor(most)
        self._lock = threading.Lock()
        self._closed = threading.Event()

    def submit(self, fn: Callable[..., Any], /, *args: Any) -> Future[Any]:
        """Start ``fn(*args)``. Its future raises ``BrokenExecutor`` if the job ends without a result."""
        return self._threads.submit(self._wait, fn, args)

    def close(self) -> None:
        """Cancel all jobs that have not ended."""
        self._closed.set()
        self._threads.shutdown(cancel_futures=True)

    def _wait(self, fn: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        from submitit.core.utils import FailedJobError, UncompletedJobError

        with self._lock:
            job = self._executor.submit(fn, *args)
        while not job.done():
            if self._closed.wait(POLL_SECONDS):
                job.cancel()
                raise BrokenExecutor("the job was cancelled")
        try:
            return job.result()
        except FailedJobError:
            raise
        except UncompletedJobError as error:
            raise BrokenExecutor(f"job {job.job_id} ended without a result") from error
