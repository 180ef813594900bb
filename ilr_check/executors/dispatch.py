"""Work that executors do: it is sent, awaited, and sent again if its worker dies."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import BrokenExecutor
from contextlib import suppress
from queue import SimpleQueue
from typing import Any

from ilr_check.executors.away import Answer, Executor, ExecutorError, Home, away

ATTEMPTS = 3
"""How often a piece of work is begun. One that loses its worker three times is the likely cause."""
POLL_SECONDS = 0.2
"""The time between two questions to a future that does not tell when it is done."""


class WorkerError(ExecutorError):
    """A worker could not do its work. The failure of a claim is not such an error but a verdict."""


class WorkersKilled(WorkerError):
    """A piece of work lost its worker at every attempt."""


class Dispatch:
    """Pieces of work that executors do, by their keys."""

    def __init__(self) -> None:
        self.machines: set[str] = set()
        """The other machines that have given answers."""
        self._home = Home.here()
        self._sent: dict[str, tuple[Executor, Callable[..., Any], tuple[Any, ...]]] = {}
        self._futures: dict[str, Any] = {}
        self._attempts: Counter[str] = Counter()
        self._done: SimpleQueue[str] = SimpleQueue()

    def __contains__(self, key: str) -> bool:
        return key in self._sent

    def send(self, key: str, executor: Executor, fn: Callable[..., Any], /, *args: Any) -> None:
        """Submit ``fn(*args)``. Raises ``WorkerError`` if the executor takes no work."""
        self._sent[key] = (executor, fn, args)
        self._begin(key)

    def some_done(self) -> bool:
        """Return whether ``receive`` would probably not wait."""
        return not self._done.empty()

    def receive(self) -> tuple[str, Any]:
        """Return the key and the result of the next piece that is done. Raises ``WorkerError``."""
        while True:
            key = self._done.get()
            answer = self._answer(key)
            if answer is not None:
                return key, answer.value

    def cancel(self) -> None:
        """Cancel everything that has not begun."""
        for future in self._futures.values():
            # Some executors cannot cancel; then the work ends with its executor.
            with suppress(Exception):
                future.cancel()

    def _begin(self, key: str) -> None:
        executor, fn, args = self._sent[key]
        self._attempts[key] += 1
        try:
            future = self._futures[key] = executor.submit(away, self._home, fn, *args)
        except BrokenExecutor as error:
            raise WorkersKilled(
                "a worker process was killed, and the executor does not replace it"
            ) from error
        _when_done(future, lambda: self._done.put(key))

    def _answer(self, key: str) -> Answer | None:
        """Return the answer to a piece that is done, or ``None`` if it is done again."""
        try:
            answer: Answer = self._futures[key].result()
        except BrokenExecutor as error:
            if self._attempts[key] == ATTEMPTS:
                raise WorkersKilled(
                    f"a worker process was killed {ATTEMPTS} times at {key}, for example because the memory "
                    "was full"
                ) from error
            self._begin(key)
            return None
        except Exception as error:
            raise _unable(key, f"{type(error).__name__}: {error}") from error
        if answer.failed:
            raise _unable(key, answer.failed)
        if answer.differing:
            raise WorkerError(
                f"the worker on {answer.machine} has {answer.differing}; other versions give other numbers, "
                "so install the same ones there"
            )
        if answer.machine:
            self.machines.add(answer.machine)
        return answer


def _unable(key: str, told: str) -> WorkerError:
    told = " ".join(told.split())
    # The end of a traceback names the error.
    shown = told if len(told) <= 500 else f"{told[:100]} ... {told[-400:]}"
    return WorkerError(f"a worker could not do {key} ({shown})")


def _when_done(future: Any, tell: Callable[[], None]) -> None:
    """Call ``tell`` when a future is done. A future without ``add_done_callback`` is asked repeatedly."""
    if hasattr(future, "add_done_callback"):
        future.add_done_callback(lambda _: tell())
        return
    if not (hasattr(future, "done") and hasattr(future, "result")):
        raise ExecutorError(
            f"submit() of the executor gave {type(future).__name__}; it must return a future with result() "
            "and done(), such as one of concurrent.futures"
        )

    def ask() -> None:
        while not future.done():
            time.sleep(POLL_SECONDS)
        tell()

    threading.Thread(target=ask, daemon=True).start()
