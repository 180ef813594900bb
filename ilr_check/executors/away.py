"""What travels to a worker and back, and how the main process waits for it."""

from __future__ import annotations

import os
import platform
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from ilr_check.data.named_paths import USER_DATA
from ilr_check.evidence.manifest import current_hardware, current_versions

DECISIVE = ("python", "ilr-check", "torch", "numpy", "scipy", "hypothesis")
"""The packages whose versions must be the same in every worker, because they decide the numbers."""
PATHS = tuple(data.variable for data in USER_DATA)
"""The user's own data. A worker that names its own copy reads that."""
CARRIED = ("ILR_CHECK_THREADS", *PATHS)
"""The settings of the main process that its workers must share, by their environment variables."""


class ExecutorError(ValueError):
    """An executor cannot be used. The message is one line with the value and the fix."""


class Executor(Protocol):
    """Anything that can run a function elsewhere, such as a pool of ``concurrent.futures``."""

    def submit(self, fn: Callable[..., Any], /, *args: Any) -> Any:
        """Start ``fn(*args)`` and return its future, which has ``result()`` and ``done()``."""
        ...


@dataclass(frozen=True)
class Home:
    """What a worker must know of the main process to give the same numbers."""

    environment: Mapping[str, str]
    versions: Mapping[str, str]
    process: tuple[str, int] = field(default_factory=lambda: (platform.node(), os.getpid()))

    @classmethod
    def here(cls) -> Home:
        """Return this process. A worker has one thread unless ILR_CHECK_THREADS is set here."""
        carried = {name: os.environ[name] for name in CARRIED if name in os.environ}
        return cls({"ILR_CHECK_THREADS": "1"} | carried, _versions())


@dataclass(frozen=True)
class Answer:
    """What a function returned. ``value`` is absent if the versions differ, or if it raised."""

    value: Any = None
    machine: str = ""
    """The machine that ran it, if it is another one than the main process has."""
    differing: str = ""
    failed: str = ""
    """What it raised, as text: the exception itself may not survive the journey."""


_ONE_AT_A_TIME = threading.Lock()


def away(home: Home, fn: Callable[..., Any], /, *args: Any) -> Answer:
    """Return what ``fn(*args)`` returns, computed in a worker as the main process would compute it.

    The number of threads and the environment belong to the whole process, so a worker with several threads
    does one piece of work after the other.
    """
    node = platform.node()
    with _ONE_AT_A_TIME:
        if (node, os.getpid()) == home.process:
            return _answered(fn, args)
        found = _versions()
        differing = [name for name in home.versions if found[name] != home.versions[name]]
        if differing:
            told = [f"{name} {found[name]} instead of {home.versions[name]}" for name in differing]
            return Answer(machine=node, differing=", ".join(told))
        machine = "" if node == home.process[0] else _machine(node)
        with _environment(home.environment):
            return _answered(fn, args, machine)


def _answered(fn: Callable[..., Any], args: tuple[Any, ...], machine: str = "") -> Answer:
    try:
        return Answer(fn(*args), machine)
    except Exception as error:
        return Answer(machine=machine, failed=f"{type(error).__name__}: {error}")


def _machine(node: str) -> str:
    hardware = current_hardware()
    parts = (hardware["system"], hardware["cpu_capability"], hardware["gpu"])
    return f"{node} ({', '.join(part for part in parts if part)})"


def _versions() -> dict[str, str]:
    # The build of torch may differ: a machine without a GPU can lead workers that have one.
    found = current_versions()
    return {name: found[name].partition("+")[0] for name in DECISIVE}


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set variables inside a ``with`` block. A machine that names data of its own keeps it."""
    before = {name: os.environ.get(name) for name in values}
    own = {name: value for name in PATHS if (value := os.environ.get(name)) is not None}
    os.environ.update({**values, **own})
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
