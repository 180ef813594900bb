"""Where the time of ``ilr-check verify`` goes: ``python benchmarks/time_of_verify.py [--claims core]``.

It judges every unit in this one process and measures the time inside six kinds of work. A kind does not
contain the kinds that it calls, so the shares add up to one. It writes a Markdown table.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

import torch

import ilr_check.train.fleet as fleet_module
from ilr_check.data.batches import Batches
from ilr_check.engine import perform
from ilr_check.planning import Settings, plan
from ilr_check.train.compiling import _Compiled
from ilr_check.train.fleet import Fleet
from ilr_check.train.noise import Draws
from ilr_check.train.recording import Buffers, Recording

KINDS = (
    "steps",
    "compiling",
    "batches and noise",
    "recording",
    "set-up of a fleet",
    "statistics and the rest",
)


class Clock:
    """The seconds of each kind; time belongs to the innermost kind that is running."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self._open: list[str] = ["statistics and the rest"]
        self._since = time.perf_counter()

    def _switch(self) -> None:
        now = time.perf_counter()
        self.seconds[self._open[-1]] += now - self._since
        self._since = now

    def begin(self, kind: str) -> None:
        """Count time as ``kind`` from here on."""
        self._switch()
        self._open.append(kind)

    def end(self) -> None:
        """Count time as before the last ``begin``."""
        self._switch()
        self._open.pop()

    def timed(self, kind: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function, whose time counts as ``kind``."""

        @wraps(function)
        def inner(*args: Any, **kwargs: Any) -> Any:
            self.begin(kind)
            try:
                return function(*args, **kwargs)
            finally:
                self.end()

        return inner


WATCHED: tuple[tuple[Any, str, str], ...] = (
    (Batches, "draw", "batches and noise"),
    (Buffers, "keep", "recording"),
    (Recording, "take", "recording"),
    (Fleet, "__init__", "set-up of a fleet"),
    (Fleet, "_initial", "set-up of a fleet"),
    (Fleet, "_train_chunk", "steps"),
)
"""The functions whose whole time is of one kind."""


def watch(clock: Clock) -> None:
    """Put the clock around the functions of each kind, for the rest of this process."""
    for owner, name, kind in WATCHED:
        setattr(owner, name, clock.timed(kind, getattr(owner, name)))
    replaced: tuple[tuple[Any, str, Callable[..., Any]], ...] = (
        (_Compiled, "__call__", _first_call(clock, _Compiled.__call__)),
        (fleet_module, "_measure_program", _measuring(clock, fleet_module._measure_program)),
        (Draws, "__iter__", _drawing(clock, Draws.__iter__)),
    )
    for owner, name, function in replaced:
        setattr(owner, name, function)


def _first_call(clock: Clock, called: Callable[..., Any]) -> Callable[..., Any]:
    """Only the first call of a program compiles it, unless the shapes change."""
    seen: set[int] = set()

    def call(program: Any, *args: Any) -> Any:
        if id(program) in seen:
            return called(program, *args)
        seen.add(id(program))
        return clock.timed("compiling", called)(program, *args)

    return call


def _measuring(clock: Clock, make: Callable[..., Any]) -> Callable[..., Any]:
    """The program that is made takes the time, and not the making."""
    return lambda *args: clock.timed("recording", make(*args))


def _drawing(clock: Clock, drawn: Callable[[Any], Iterator[Any]]) -> Callable[[Any], Iterator[Any]]:
    """Each step of the iteration draws."""

    def draws(noise: Any) -> Iterator[Any]:
        step = clock.timed("batches and noise", drawn(noise).__next__)
        while True:
            yield step()

    return draws


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--claims", default="core")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    clock = Clock()
    watch(clock)
    _, works, _ = plan(Settings(claims=asked.claims, profile="quick", device="cpu", seed=asked.seed))
    by_claim: dict[str, Counter[str]] = {}
    for work in works:
        clock.seconds.clear()
        perform(work)
        clock._switch()
        by_claim.setdefault(work.unit.claim, Counter()).update(clock.seconds)
    print("| claim | seconds | " + " | ".join(KINDS) + " |")
    print("| --- |" + " ---: |" * (len(KINDS) + 1))
    for claim, seconds in [*by_claim.items(), ("all", sum(by_claim.values(), Counter()))]:
        total = sum(seconds.values())
        shares = " | ".join(f"{100 * seconds[kind] / total:.0f} %" for kind in KINDS)
        print(f"| `{claim}` | {total:.1f} | {shares} |")


if __name__ == "__main__":
    main()
