"""Ends the training of a unit as soon as no claim of it can hold any more.

A law holds only if every training of its unit meets the premises of ``ilr_check.claims.soundness``. Where
the worst value of one can only grow, and has passed its limit, the rest of the training decides whether the
law is violated, but not whether it holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor
from wrong_worlds import Power

from ilr_check.claims import soundness
from ilr_check.claims.function_space.trainings.steps import Steps
from ilr_check.claims.lab import Lab
from ilr_check.train import fleet as fleets
from ilr_check.train.comparison import Comparison
from ilr_check.train.fleet import Fleet, Runs
from ilr_check.train.steps import measure
from ilr_check.train.trace import PER_TENSOR, Trace
from ilr_check.train.world import Visit

OFTEN = 8
"""Sums over the steps so far are compared with their limit at every step of this many."""


class NotHeld(BaseException):
    """A premise has failed for good; no code that trains or judges catches this."""

    def __init__(self, premise: str, step: int) -> None:
        super().__init__(f"{premise}: decided at step {step}")
        self.premise, self.step = premise, step


class Undecided(BaseException):
    """No premise has failed for good within the first steps of a training."""


class _Training:
    """The fleet, the runs and the number of steps of the training that goes on."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.fleet: Any = None
        self.runs: Any = None
        self.steps = 0
        self.groups: list[tuple[str, ...]] = []


@contextmanager
def decided_early(most: int = 0) -> Iterator[None]:
    """Raise ``NotHeld`` inside the block once a training can no longer meet a premise.

    With ``most``, raise ``Undecided`` in the first training that makes so many steps before.
    """
    now = _Training(most)
    lab_train, step, gradient = Lab.train, Steps.step, Visit.gradient

    def train(lab: Lab, fleet: Fleet, runs: Runs, steps: int, **watch: Any) -> Trace:
        now.fleet, now.runs, now.steps = fleet, runs, steps
        now.groups = soundness.invariant(lab._nets.get(fleet, fleet.net))
        return lab_train(lab, fleet, runs, steps, **watch)

    class Watched(Comparison):
        """The comparison of a chunk of runs with the rule, which also ends the training."""

        def see(self, t: int, before: Any, grads: Any, after: Any) -> None:
            super().see(t, before, grads, after)
            if t == 0:
                self._first_step(before, grads, after)
            # The distance of all entries has one sign; that along the weights may still cancel.
            if t % OFTEN == 0 or t == now.steps - 1:
                assert self._sum is not None
                worst = self._sum[..., 0] / len(self.chosen) - self._coarse[:, 0]  # type: ignore[arg-type]
                if float(worst.max()) > soundness.LIMITS[soundness.RULE]:
                    raise NotHeld(soundness.RULE, t)

        def _first_step(self, before: Any, grads: Any, after: Any) -> None:
            """The first step is always recorded."""
            if getattr(now.fleet.rule, "name", "") == "sgd":
                values = dict(zip(PER_TENSOR, measure(before, grads, after), strict=True))
                record = {name: column[None].double().cpu().numpy() for name, column in values.items()}
                for name in ("lr", "weight_decay"):
                    record[name] = self._stated(name)
                if soundness.step_residual(now.fleet, SimpleNamespace(**record)) > 1.0:  # type: ignore[arg-type]
                    raise NotHeld(soundness.STEP, 0)
            hooked = now.fleet.world
            if hooked is not None and isinstance(hooked.make(), Power) and now.groups:
                # This world changes gradients by one power of the norm, at all weights and steps.
                count = len(now.runs.seeds)
                last = min(count, now.fleet.lanes)
                ends = SimpleNamespace(
                    run_steps=now.steps * count, final={name: w[:last] for name, w in before.items()}
                )
                with mock.patch.object(Visit, "gradient", gradient):
                    power = soundness.fall(now.fleet, now.runs, ends, now.groups)  # type: ignore[arg-type]
                if power > soundness.LIMITS[soundness.FALL]:
                    raise NotHeld(soundness.FALL, 0)

        def _stated(self, name: str) -> Any:
            return self._settings.of_lanes(name, np.zeros(1, dtype=np.int64))

        def __init__(self, rule: Any, settings: Any, state: Any, chosen: Any) -> None:
            super().__init__(rule, settings, state, chosen)
            self._settings = settings

    def stepped(loop: Steps, *given: Any) -> Any:
        new = step(loop, *given)
        if loop._visit and loop._visit.off_the_rule > soundness.LIMITS[soundness.STEP]:
            raise NotHeld(soundness.STEP, loop._taken - 1)
        return new

    def changed(visit: Visit, name: str, grads: Tensor, weights: Tensor, t: int) -> Tensor:
        found = gradient(visit, name, grads, weights, t)
        if now.steps and any(name in names for names in now.groups):
            leaked = visit._leaked.get(name)
            if leaked is not None and float(leaked.max()) > now.steps * soundness.LIMITS[soundness.ALONG]:
                raise NotHeld(soundness.ALONG, t)
        if now.most and t >= now.most:
            raise Undecided
        return found

    with (
        mock.patch.object(Lab, "train", train),
        mock.patch.object(fleets, "Comparison", Watched),
        mock.patch.object(Steps, "step", stepped),
        mock.patch.object(Visit, "gradient", changed),
        torch.compiler.set_stance("force_eager" if most else "default"),
    ):
        yield
