"""An optimizer must not change torch's global settings, the seed, threads, and the process itself.

Settings are compared before and after every ``step`` (through torch's global step hooks) and put back at
once, so that one law's judgement is not spoilt by what the target did before.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook


@dataclass(frozen=True)
class Switch:
    """One global setting: its name in a message, how it is read, and how it is restored."""

    name: str
    read: Callable[[], Any]
    write: Callable[[Any], None]


def _set_grad_mode(value: bool) -> None:
    torch.set_grad_enabled(value)


def _set_anomaly(value: bool) -> None:
    torch.autograd.set_detect_anomaly(value)


def _set_deterministic(value: tuple[bool, bool]) -> None:
    torch.use_deterministic_algorithms(value[0], warn_only=value[1])


SWITCHES = (
    Switch("the default dtype", torch.get_default_dtype, torch.set_default_dtype),
    Switch("the grad mode", torch.is_grad_enabled, _set_grad_mode),
    Switch("the thread count", torch.get_num_threads, torch.set_num_threads),
    Switch(
        "the deterministic flag",
        lambda: (
            torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled(),
        ),
        _set_deterministic,
    ),
    Switch("the matmul precision", torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
    Switch("anomaly detection", torch.is_anomaly_enabled, _set_anomaly),
)
# A drawn number moves the generator and leaves its initial seed; only seeding changes that.
THREADS = "threads"
SEED = "the seed of torch's generator"
UNUSUAL = 0x1E55_ED00_D15E_A5ED
"""The seed under a judgement: whoever seeds with 0 would change nothing where 0 was the seed already."""
THREADS_OF_LIBRARIES = ("torch", "concurrent", "multiprocessing", "threading", "tqdm")
"""Modules whose threads are not the optimizer's own: compilers and loaders keep pools."""


@dataclass(frozen=True)
class Change:
    """One change of something that the optimizer must leave alone."""

    what: str
    before: str
    after: str
    where: str
    """``step``, or the constructor and whatever else ran between two steps."""

    def __str__(self) -> str:
        if self.what == THREADS:
            return f"{self.where} leaves {self.after} running"
        return f"{self.where} changes {self.what} from {self.before} to {self.after}"


class Service(Protocol):
    """What a target's steps get besides gradients."""

    def before(self, optimizer: Any, args: Any, kwargs: Any) -> Any: ...
    def after(self) -> None: ...
    def close(self) -> None: ...


@dataclass
class Watch:
    """Records and undoes changes; one for a whole judgement, ``during`` once a law."""

    changes: dict[str, list[Change]] = field(default_factory=dict)
    """Changes by the law that was being judged."""

    @contextmanager
    def during(self, label: str, service: Service | None = None) -> Iterator[None]:
        """Compare around the whole and around every step; restore everything, random states too.

        ``service`` serves every step, and what it changes around a step is not the target's doing.
        """
        noted = self.changes.setdefault(label, [])
        alive = set(threading.enumerate())
        # The old numpy generator is global, so what a target draws from it must be put back.
        states = torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002
        torch.manual_seed(UNUSUAL)
        begun, seed = _switches(), torch.initial_seed()
        # A stack: torch hooks every class that was ever built by itself, so a step that calls its parent's
        # passes the hooks twice.
        open_steps: dict[int, list[tuple[dict[str, Any], int]]] = {}

        def before_step(optimizer: Any, args: Any, kwargs: Any) -> Any:
            given = service.before(optimizer, args, kwargs) if service is not None else None
            open_steps.setdefault(id(optimizer), []).append((_switches(), torch.initial_seed()))
            return given

        def after_step(optimizer: Any, *_: Any) -> None:
            if open_steps.get(id(optimizer)):
                _note(noted, *open_steps[id(optimizer)].pop(), where="step()")
            if service is not None:
                service.after()

        hooks = [register_optimizer_step_pre_hook(before_step), register_optimizer_step_post_hook(after_step)]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()
            if service is not None:
                service.close()
            _note(noted, begun, seed, where="the optimizer, outside step(),")
            torch.set_rng_state(states[0])
            np.random.set_state(states[1])  # noqa: NPY002
            random.setstate(states[2])
            for thread in threading.enumerate():
                if thread not in alive and _of_the_target(thread):
                    _add(noted, Change(THREADS, "", f"the thread {thread.name!r}", "the optimizer"))


def _switches() -> dict[str, Any]:
    return {switch.name: switch.read() for switch in SWITCHES}


def _note(noted: list[Change], before: dict[str, Any], seed: int, *, where: str) -> None:
    for switch in SWITCHES:
        now = switch.read()
        if now != before[switch.name]:
            _add(noted, Change(switch.name, str(before[switch.name]), str(now), where))
            switch.write(before[switch.name])
    if torch.initial_seed() != seed:
        known = {change.what for change in noted}
        if SEED not in known:
            _add(noted, Change(SEED, "what it was", str(torch.initial_seed()), where))


def _add(noted: list[Change], change: Change) -> None:
    if change.what not in {known.what for known in noted}:
        noted.append(change)


def _of_the_target(thread: threading.Thread) -> bool:
    body = getattr(thread, "_target", None)
    module = getattr(body, "__module__", None) or type(thread).__module__
    return module.partition(".")[0] not in THREADS_OF_LIBRARIES
