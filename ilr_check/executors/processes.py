"""Processes of this machine. A fleet of small nets uses one core well, and hardly a second one."""

from __future__ import annotations

import os
import pickle
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Future, ThreadPoolExecutor
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import ForkingPickler
from typing import Any

LEAVE = b""
"""What a worker is sent instead of work when it shall end by itself."""
PATIENCE = 2.0
"""Seconds for workers to end by themselves, and so give back what they share with others. An idle one takes
hundredths of a second; one that works is ended."""


class Processes:
    """Processes with one thread each. One that dies fails its own work alone, and the next work replaces it.

    Each process has a thread here, which hands it one piece of work after the other.
    """

    def __init__(self, jobs: int) -> None:
        self._threads = ThreadPoolExecutor(jobs)
        self._of_thread = threading.local()
        self._lock = threading.Lock()
        self._started: list[tuple[BaseProcess, Connection]] = []
        self._closed = False

    def submit(self, fn: Callable[..., Any], /, *args: Any) -> Future[Any]:
        """Start ``fn(*args)``. Its future raises ``BrokenExecutor`` if the process dies."""
        return self._threads.submit(self._ask, fn, args)

    def close(self) -> None:
        """End all processes. Work that has not ended is dropped."""
        with self._lock:
            self._closed = True
        self._threads.shutdown(wait=False, cancel_futures=True)
        for _, connection in self._started:
            with suppress(OSError):
                connection.send_bytes(LEAVE)
        deadline = time.monotonic() + PATIENCE
        for process, _ in self._started:
            process.join(max(0.0, deadline - time.monotonic()))
        for process, _ in self._started:
            process.terminate()
        for process, _ in self._started:
            process.join(5.0)

    def _ask(self, fn: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        worker: Connection | None = getattr(self._of_thread, "worker", None)
        if worker is None:
            worker = self._of_thread.worker = self._start()
        try:
            worker.send((fn, args))
            succeeded, value = worker.recv()
        except (EOFError, ConnectionError) as error:
            self._of_thread.worker = None
            raise BrokenExecutor("the worker process was killed") from error
        if not succeeded:
            raise value
        return value

    def _start(self) -> Connection:
        spawn = get_context("spawn")
        ours, theirs = spawn.Pipe()
        process = spawn.Process(target=_serve, args=(theirs, os.getpid()))
        with self._lock:
            if self._closed:
                raise BrokenExecutor("the processes were ended")
            process.start()
            self._started.append((process, ours))
        theirs.close()
        return ours


def _serve(connection: Connection, parent: int) -> None:
    """Do one piece of work after the other, in a worker process, until the parent closes the connection."""
    # Ctrl-C reaches every process of the terminal, and only the parent reports it.
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    with suppress(EOFError):
        while True:
            asked = connection.recv_bytes()
            if asked == LEAVE:
                return
            try:
                fn, args = pickle.loads(asked)
                answer = ForkingPickler.dumps((True, fn(*args)))
            except Exception as error:
                # The exception itself may not survive the journey.
                answer = ForkingPickler.dumps((False, RuntimeError(f"{type(error).__name__}: {error}")))
            connection.send_bytes(answer)


def _end_with(parent: int) -> None:
    """End this worker with its parent. A worker whose parent was killed would wait for work for ever."""
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)
