"""The interface of a way of training many runs."""

from __future__ import annotations

from typing import Protocol


class Unavailable(Exception):
    """This machine lacks what a path needs. The message says what that is and how to add it."""


class Path(Protocol):
    """A way of training the runs of one workload."""

    def compile(self, runs: int) -> float:
        """Train a little, so that everything is loaded and compiled. Return the seconds of compiling."""

    def train(self, runs: int, steps: int) -> None:
        """Train every run that is timed for this many steps."""

    def sample(self, runs: int, steps: int, seconds: float) -> float:
        """Return the microseconds of one step of one run, over ``steps`` steps or over ``seconds``."""

    def timed(self, runs: int) -> int:
        """Return how many of the runs a sample trains."""
