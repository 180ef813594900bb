"""Executors by name: NAME[:OPTIONS] or a TARGET."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from importlib.util import find_spec
from typing import Any

from ilr_check.executors.away import Executor, ExecutorError
from ilr_check.executors.clusters import on_dask, on_ray, on_submitit, whole
from ilr_check.executors.processes import Processes
from ilr_check.spelling import did_you_mean

PAYS_FROM = 5
"""The number of claims in a run from which workers pay. Each worker needs seconds to import torch, and
compiles for itself."""
MAX_JOBS = 64
GPU_JOBS = 8
"""Processes that share a GPU unless the user sets another number. Each needs half a GiB for CUDA alone."""
PACKAGES = {"ray": "ray", "dask": "distributed", "submitit": "submitit"}
"""The package that each executor needs. The extra has the name of the executor."""
OPENERS: Mapping[str, Callable[[dict[str, str], int], AbstractContextManager[Executor]]] = {
    "ray": on_ray,
    "dask": on_dask,
    "submitit": on_submitit,
}
OPTIONS = {
    "processes": ("jobs",),
    "ray": ("jobs", "address", "gpus"),
    "dask": ("jobs", "address"),
    "submitit": ("jobs", "cluster", "folder"),
}
"""The options of each executor. That of submitit takes all parameters of submitit, too."""


def checked_jobs(jobs: int | None, claims: int, device: str = "cpu") -> int:
    """Return how many processes to use. ``None`` decides from the work. Raises ``ValueError`` outside [1,
    64]."""
    if jobs is not None:
        if not 1 <= jobs <= MAX_JOBS:
            raise ValueError(f"jobs={jobs} is out of range; give a whole number from 1 to {MAX_JOBS}")
        return jobs
    most = MAX_JOBS if device == "cpu" else GPU_JOBS
    return min(os.cpu_count() or 1, most) if claims >= PAYS_FROM else 1


def parsed(text: str) -> tuple[str, dict[str, str]]:
    """Return the name and the options of NAME[:KEY=VALUE,...]. The name of a TARGET is the whole text.

    Raises ``ExecutorError`` for a name, an option or a form that is not known.
    """
    name, _, rest = text.partition(":")
    if name not in OPTIONS:
        if "." in name and rest:
            return text, {}
        raise ExecutorError(
            f"executor {text!r} is not known; {did_you_mean(name, OPTIONS)}known are {', '.join(OPTIONS)}, "
            "and package.module:Name or path/to/file.py:Name of something with submit(fn, *args)"
        )
    options = {}
    for part in rest.split(",") if rest else ():
        key, equals, value = part.partition("=")
        if not key or not equals or not value:
            raise ExecutorError(f"executor {text!r}: write options as {name}:key=value,key=value")
        if name != "submitit" and key not in OPTIONS[name]:
            raise ExecutorError(
                f"executor {text!r}: option {key!r} is not known; {did_you_mean(key, OPTIONS[name])}"
                f"known are {', '.join(OPTIONS[name])}"
            )
        options[key] = value
    if {"jobs", "address"} <= {*options}:
        raise ExecutorError(f"executor {text!r}: the cluster at the address has its own number of workers")
    return name, options


def remote(executor: Any) -> bool:
    """Return whether units are judged by something else than processes that belong to this one."""
    return executor is not None and not (isinstance(executor, str) and parsed(executor)[0] == "processes")


@contextmanager
def opened(executor: Any, jobs: int | None, claims: int, device: str) -> Iterator[Executor | None]:
    """Yield the executor that a name or a TARGET states, or ``None`` if this process judges everything.

    An object with ``submit()`` is taken as it is. What was started here is ended when the block is left, and
    work that was not finished is dropped. Processes are spawned and not forked, because torch's thread pools
    do not survive a fork. So the main module of the program must be safe to import. Raises ``ExecutorError``.
    """
    if executor is not None and not isinstance(executor, str):
        yield _usable(executor, repr(executor))
        return
    name, options = parsed(executor or "processes")
    if "jobs" in options:
        jobs = whole(options.pop("jobs"), f"executor {executor!r}: jobs")
    count = checked_jobs(jobs, PAYS_FROM if name != "processes" else claims, device)
    if name in PACKAGES and find_spec(PACKAGES[name]) is None:
        raise ExecutorError(
            f"executor {name!r} needs the package {PACKAGES[name]}, which is not installed; "
            f"install it with: pip install 'ilr-check[{name}]'"
        )
    started: AbstractContextManager[Executor | None]
    if name == "processes":
        started = closing(Processes(count)) if count > 1 else nullcontext()
    elif name in OPENERS:
        started = OPENERS[name](options, count)
    else:
        started = _of_target(name)
    with started as ready:
        yield ready


def _usable(executor: Any, title: str) -> Executor:
    if not callable(getattr(executor, "submit", None)):
        raise ExecutorError(f"executor {title} has no submit(fn, *args); give one that has")
    return executor  # type: ignore[no-any-return]


@contextmanager
def _of_target(text: str) -> Iterator[Executor]:
    """Import a TARGET. A class or a factory is called without arguments, and shut down at the end."""
    from ilr_check.optim.target import import_target

    found = import_target(text, what="executor")
    if hasattr(found, "submit") and not isinstance(found, type):
        made = found
    else:
        try:
            made = found()
        except TypeError as error:
            raise ExecutorError(f"executor {text!r} cannot be made without arguments: {error}") from error
    try:
        yield _usable(made, repr(text))
    finally:
        if made is not found and hasattr(made, "shutdown"):
            made.shutdown()
