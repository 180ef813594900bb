"""The lab: it trains what one unit needs, and owns the fleets, the populations of runs and the progress."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from ilr_check.claims.claim import Context
from ilr_check.claims.soundness import Soundness, compared
from ilr_check.data import DataSpec, NoiseSpec
from ilr_check.nets.specs import NetSpec
from ilr_check.optim.modelled import MODELLED
from ilr_check.optim.rules import Rule, as_rule
from ilr_check.optim.sgd import UpdateRule
from ilr_check.seeds import derive
from ilr_check.train.fleet import Fleet, Runs
from ilr_check.train.trace import Trace
from ilr_check.train.world import HOOKS, Visit

Array = NDArray[np.float64]
NetT = TypeVar("NetT")
Role = Literal["judged", "noise reference"]
"""Noise references are trained only so that the size of their gradient noise can be measured."""


class RunDiverged(ArithmeticError):
    """A run of a statistical claim has left the finite numbers."""


class SharedSeed(AssertionError):
    """Two populations of one unit would have a run in common, so they would not be independent."""


class Population:
    """Independent runs of one kind; ``take(n)`` trains those of the first n runs that are missing.

    The seed of run i depends on ``seed``, ``name`` and i only, so that a later look extends an earlier one.
    """

    def __init__(self, name: str, seed: int, train: Callable[[Sequence[int]], Trace]) -> None:
        self.name, self._seed, self._train = name, seed, train
        self._parts: list[Trace] = []
        self._count = 0

    def take(self, n: int) -> list[Trace]:
        """Return traces that together hold the first ``n`` runs or more, in order.

        Raises ``RunDiverged`` with the run and the step where one has become NaN or infinite. Dropping it
        would select the runs by their outcome.
        """
        if n > self._count:
            seeds = [derive(self._seed, self.name, i) for i in range(self._count, n)]
            trace = self._train(seeds)
            demand_finite(self.name, trace, seeds, self._count)
            self._parts.append(trace)
            self._count = n
        return self._parts

    def gather(self, n: int, read: Callable[[Trace], Array]) -> Array:
        """Return ``read`` of the first ``n`` runs, joined along the last axis (runs)."""
        return np.concatenate([read(trace) for trace in self.take(n)], axis=-1)[..., :n]


def demand_finite(name: str, trace: Trace, seeds: Sequence[int], first: int) -> None:
    """Raise ``RunDiverged`` if a run of this trace is not finite; its run 0 is run ``first`` of ``name``."""
    bad = np.flatnonzero(trace.first_bad >= 0)
    if bad.size:
        run = int(bad[0])
        raise RunDiverged(
            f"run {first + run} of the {name} population (seed {seeds[run]}) is not "
            f"finite from step {int(trace.first_bad[run])} on ({bad.size} of {len(seeds)} runs); "
            "lower lr, or raise the initial norm"
        )


class Lab:
    """Everything that is trained for one unit.

    ``run_steps`` are the run-steps of a first look. They decide whether compiling pays, and the progress.
    """

    def __init__(self, context: Context, run_steps: float) -> None:
        self.context, self.run_steps = context, max(1, int(run_steps))
        self._done = 0.0
        self._fleets: dict[Any, Fleet] = {}
        self._populations: dict[str, Population] = {}
        self._owners: dict[int, str] = {}
        self._changed: set[str] = set()
        self._nets: dict[Fleet, NetSpec] = {}
        self.soundness = Soundness()

    @property
    def untouched(self) -> bool:
        """Whether there is a world that changed nothing in what was trained here.

        An update rule that the world does not replace keeps its own update.
        """
        return self.context.world is not None and not self._changed

    def part(self, run_steps: float) -> Lab:
        """Return a lab for a part of the unit, with populations of its own."""
        found = Lab(self.context, run_steps)
        found._changed, found.soundness = self._changed, self.soundness
        return found

    @property
    def seed(self) -> int:
        """The seed of the unit."""
        return self.context.seed

    def fleet(
        self,
        net: NetSpec,
        data: DataSpec,
        *,
        batch_size: int,
        rule: str | UpdateRule | Rule = "sgd",
        noise: NoiseSpec | None = None,
        dtype: torch.dtype = torch.float32,
        lanes: int | None = None,
        role: Role = "judged",
    ) -> Fleet:
        """Return a fleet, made once for equal arguments; the world of the context enters it.

        Where the world is for judged runs only, fleets of noise references train as usual.
        """
        world = self.context.world
        if world is not None and world.judged_only and role != "judged":
            world = None
        found = MODELLED[rule] if isinstance(rule, str) else rule
        self._changed |= set() if world is None else world.changes(as_rule(found).names)
        key = (net, data, batch_size, found, noise, dtype, lanes, world)
        if key not in self._fleets:
            self._fleets[key] = Fleet(
                net,
                data,
                batch_size=batch_size,
                rule=found,
                noise=noise,
                dtype=dtype,
                device=self.context.device,
                lanes=lanes,
                expected_run_steps=self.run_steps,
                world=world,
            )
            self._nets[self._fleets[key]] = net
        return self._fleets[key]

    def visit(
        self, count: int, runs: Sequence[int] | None = None, only: frozenset[str] = frozenset(HOOKS)
    ) -> Visit | None:
        """Return what the world does to ``count`` judged runs that no fleet trains; ``None`` in no world.

        Lane k is run ``runs[k]`` of them; by default there is one lane for each run, in order. ``only`` are
        the hooks that such a run asks.
        """
        world = self.context.world
        if world is None:
            return None
        self._changed |= world.changes({"sgd"}) & only
        departing = world.departing(count)
        chosen = range(count) if runs is None else runs
        lanes = torch.tensor([run in departing for run in chosen], device=self.context.device)
        visit = Visit(world, lanes, {"sgd"})
        self.soundness.visits.append(visit)
        return visit

    def net(self, spec: NetT) -> NetT:
        """Return the net that is trained for a net of a claim; they differ only in a world that says so."""
        world = self.context.world
        self._changed |= set() if world is None else world.hooks & {"net"}
        return spec if world is None else world.net(spec)

    def population(self, name: str, train: Callable[[Sequence[int]], Trace]) -> Population:
        """Return the population of this name; ``train`` trains runs with the given seeds.

        Raises ``SharedSeed``, when it trains, where a run has the seed of another population's.
        """
        if name not in self._populations:

            def own(seeds: Sequence[int]) -> Trace:
                self.claim_seeds(name, seeds)
                return train(seeds)

            self._populations[name] = Population(name, self.seed, own)
        return self._populations[name]

    def traces(self) -> list[Trace]:
        """Return the traces of all populations that were trained so far."""
        return [trace for population in self._populations.values() for trace in population.take(0)]

    def claim_seeds(self, name: str, seeds: Sequence[int]) -> None:
        """Note that runs of the population ``name`` have these seeds; raises ``SharedSeed``."""
        for seed in seeds:
            owner = self._owners.setdefault(seed, name)
            if owner != name:
                raise SharedSeed(
                    f"a run of {name!r} has seed {seed}, which a run of {owner!r} has; "
                    "judged runs and noise references must be independent"
                )

    def train(self, fleet: Fleet, runs: Runs, steps: int, **watch: Any) -> Trace:
        """Train ``runs`` with ``fleet``; ``watch`` are the arguments of ``Fleet.train`` about recording.

        What every law presupposes of its trainings is measured on the trace.
        """
        done, width = self._done, len(runs.seeds) * steps / self.run_steps
        self._done += width
        trace = fleet.train(
            runs,
            steps,
            progress=lambda fraction: self.context.progress(min(1.0, done + width * fraction)),
            compared=compared(steps),
            **watch,
        )
        self.soundness.see(self._nets.get(fleet, fleet.net), fleet, runs, trace)
        return trace
