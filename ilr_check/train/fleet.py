"""Many independent training runs of one net as one tensor program.

Every tensor has a leading axis of *lanes*, one run per lane. Gradients are ``torch.func`` gradients mapped
over lanes. Learning rates, decay, momentum, batch orders and noise are data. The number of lanes is fixed,
and idle lanes repeat the last run. So a run's result does not depend on the runs trained beside it, and one
compilation serves every fleet of a net.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import lru_cache, partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import functional_call, vmap

from ilr_check.data import BatchNoise, DataSpec, NoiseSpec, SvagNoise, in_epochs
from ilr_check.data.batches import Batches
from ilr_check.data.sets import load
from ilr_check.nets.build import build, initial_parameters
from ilr_check.nets.specs import NetSpec
from ilr_check.nets.transformers import mean_loss
from ilr_check.optim.rules import Rule, as_rule
from ilr_check.optim.sgd import UpdateRule, plain
from ilr_check.train.advance import BLOCK, black_box, in_world, modelled
from ilr_check.train.blackbox import BlackBox, Trial, find_layout
from ilr_check.train.choice import choose, footprint, usual_lanes, usual_memory
from ilr_check.train.comparison import Comparison
from ilr_check.train.compiling import LOOP_LANES, LOOPS, compiled_or_eager, notify, room_for_programs, settled
from ilr_check.train.fit import check_data, check_dimensions, check_noise, check_world
from ilr_check.train.graphs import Captured
from ilr_check.train.noise import Draws, Weights, batches_a_step, dot, gradients, mean_shares, program_of
from ilr_check.train.recording import Buffers, Recording
from ilr_check.train.settings import Runs, settings_of
from ilr_check.train.steps import (
    Batch,
    Tally,
    gradient_program,
    measure,
    step_program,
    stretch_program,
)
from ilr_check.train.trace import Trace
from ilr_check.train.world import Visit, World

__all__ = ["BLOCK", "Fleet", "Runs"]

Progress = Callable[[float], None]
Observer = Callable[[int, slice, Weights], None]
"""(steps made, which runs, their weights). The next step changes these weights, so clone what you keep."""


class Fleet:
    """A net, its data and an optimizer, ready to train any number of runs.

    ``rule`` is a modelled update rule, or a ``BlackBox`` with any ``torch.optim.Optimizer``. ``compile`` is
    True, False or None (decided from ``expected_run_steps``). ``lanes`` is the number of runs at once; the
    default suits the net, and it is lower if ``memory_limit`` bytes require it. ``choice`` holds the decision
    and its reason. Raises ``ValueError`` if the net, the data and the rule do not fit together.
    """

    def __init__(
        self,
        net: NetSpec,
        data: DataSpec,
        *,
        batch_size: int,
        rule: UpdateRule | Rule | BlackBox = plain,
        noise: NoiseSpec | None = None,
        dtype: torch.dtype = torch.float32,
        device: str = "cpu",
        lanes: int | None = None,
        compile: bool | None = None,
        expected_run_steps: int = 0,
        memory_limit: int | None = None,
        world: World | None = None,
    ) -> None:
        self.world = world
        if world:
            noise, net = world.noise(noise), world.net(net)
        self.net, self.data, self.noise = net, data, noise
        self.rule = rule if isinstance(rule, BlackBox) else as_rule(rule)
        self.dtype, self.device = dtype, device
        self.dataset = load(data, dtype=dtype, device=device)
        check_data(net, self.dataset)
        self.module = build(net, dtype=dtype, device=device)
        self.shapes = {name: p.shape for name, p in self.module.named_parameters()}
        self.names = tuple(self.shapes)
        check_dimensions(self.rule, self.shapes)
        check_noise(net, noise)
        self.batches = Batches(
            examples=len(self.dataset),
            classes=self.dataset.classes,
            batch_size=batches_a_step(noise) * batch_size,
            label_noise=data.label_noise,
            device=device,
            epochs=in_epochs(data),
        )
        self._mean = (
            mean_shares(self.dataset.y, self.dataset.classes, net.classes, data.label_noise, dtype)
            if isinstance(noise, BatchNoise)
            else None
        )
        slots = len(self.rule.slots) if isinstance(self.rule, Rule) else 2
        first = self.dataset.x[: self.batches.batch_size]
        # A saved slice counts as its whole data set. For the small sets this must stay so, because it may
        # decide the number of lanes and with it the last bits of every run.
        self.footprint = footprint(self.module, first.clone() if in_epochs(data) else first, slots)
        """The footprint of one run. A black box is assumed to have two tensors of state per weight."""
        usual = usual_lanes(net, device)
        self.choice = choose(
            self.footprint.total,
            lanes=usual if lanes is None else lanes,
            enough=min(16, usual),
            compile=compile,
            expected_run_steps=expected_run_steps,
            memory_limit=usual_memory(device) if memory_limit is None else memory_limit,
            device=device,
        )
        if self.choice.notice:
            notify(self.choice.notice)
        self.lanes = self.choice.lanes
        inside = self.rule if isinstance(self.rule, Rule) else None
        compiled = self.choice.compiled
        if world:
            check_world(world, self.rule)
            inside = None  # The world steps between the gradient and the rule, so they are not one program.
        few = self.lanes <= LOOP_LANES and self.lanes < usual
        self._loops = LOOPS and few and compiled and device == "cpu" and inside is not None
        """Whether the program makes all steps until the next record in one call."""
        drawn = program_of(noise)
        self._step = _program(net, dtype, device, compiled, inside, drawn, self._loops)
        self._measure = _measure_program(net, dtype, device, compiled)
        self.trials: dict[int, Trial] = {}
        """By the number of different settings in a chunk, how a black box was found to be steppable."""

    def train(
        self,
        runs: Runs,
        steps: int,
        *,
        record_every: int = 1,
        progress: Progress | None = None,
        observer: Observer | None = None,
        observed: Sequence[int] = (),
        compared: int = 0,
    ) -> Trace:
        """Train every run for ``steps`` steps and return the measurements at each recorded step.

        ``observer`` gets the weights of each chunk of runs after each of the ``observed`` numbers of steps, 0
        to ``steps``. It does not change the training. ``compared`` is the number of steps that are compared
        with those of the rule. In a world that changes steps, all of them are, because it may change any; a
        plain training makes all by one program. Raises ``ValueError`` if ``observed`` is out of range.
        """
        outside = [at for at in observed if not 0 <= at <= steps]
        if outside:
            raise ValueError(f"observed={outside}: must lie in [0, {steps}], the steps of the training")
        watch = (observer, frozenset(observed)) if observer else None
        count = len(runs.seeds)
        recording = Recording(self.names, count, steps, record_every)
        chunks = [slice(i, min(i + self.lanes, count)) for i in range(0, count, self.lanes)]
        with torch.no_grad(), room_for_programs():
            for number, chunk in enumerate(chunks):
                report = _scaled(progress, number / len(chunks), 1.0 / len(chunks))
                self._train_chunk(runs, chunk, recording, record_every, report, watch, compared)
        return recording.trace()

    def logits(self, weights: dict[str, Tensor], x: Tensor) -> Tensor:
        """Return the outputs [R, examples, classes] of every run on the same inputs, with their batch
        statistics."""

        def one(parameters: dict[str, Tensor]) -> Tensor:
            out: Tensor = functional_call(self.module, parameters, (x,))
            return out

        with torch.no_grad():
            out: Tensor = vmap(one)(weights)
        return out

    def losses(self, weights: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        """Return the mean loss [R] of every run on the same examples; ``Trace.final`` are such weights."""

        def one(parameters: dict[str, Tensor]) -> Tensor:
            return mean_loss(self.module, x, y, parameters)

        with torch.no_grad():
            out: Tensor = vmap(one)(weights)
        return out

    @torch.no_grad()
    def powers(
        self,
        weights: Weights,
        seeds: Sequence[int],
        doubled: Sequence[str],
        *,
        count: int,
        steps: Sequence[int],
    ) -> NDArray[np.float64]:
        """Return the power of r with which gradients change, [steps, runs, tensors ``doubled``].

        The runs are the last ones of a population of ``count``; ``weights`` and ``seeds`` are theirs. The
        gradient of one batch is taken at their weights, and once more with twice of the tensors ``doubled``.
        A world changes both as it would in each of the ``steps``, with the same random numbers of torch. It
        is nan where the gradient is 0.
        """
        rows, labels = self.batches.draw(self.batches.generators(seeds), 1)
        y = torch.where(labels[0] >= 0, labels[0], self.dataset.y[rows[0]])
        noise = next(iter(Draws(self.noise, weights, seeds, self._mean)))
        gradient = gradients(self.module, self.noise)
        both = weights, {name: 2.0 * w if name in doubled else w for name, w in weights.items()}
        found = [gradient(w, self.dataset.x, rows[0], y, noise)[0] for w in both]
        lengths = []
        for step in steps if self.world and "gradient" in self.world.hooks else steps[-1:]:
            for w, grads in zip(both, found, strict=True):
                if self.world:
                    visit = self._visit(np.arange(count - len(seeds), count), count)
                    with torch.random.fork_rng(devices=[]):
                        torch.manual_seed(step)
                        grads = {name: visit.gradient(name, g, w[name], step) for name, g in grads.items()}
                lengths.append(torch.stack([dot(grads[name], grads[name]) for name in doubled], dim=1))
        norm2 = torch.stack(lengths).double().cpu().numpy().reshape(-1, 2, len(seeds), len(doubled))
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(0.5 * np.log2(norm2[:, 1] / norm2[:, 0]))

    def _visit(self, lane_of: NDArray[np.intp], count: int) -> Visit:
        """Return what the world does to lanes that are runs ``lane_of`` of a population of ``count``."""
        assert self.world
        lanes = torch.from_numpy(np.isin(lane_of, self.world.departing(count))).to(self.device)
        return Visit(self.world, lanes, self.rule.names if isinstance(self.rule, Rule) else ())

    def _train_chunk(
        self,
        runs: Runs,
        chunk: slice,
        recording: Recording,
        record_every: int,
        progress: Progress | None,
        watch: tuple[Observer, frozenset[int]] | None,
        compared: int,
    ) -> None:
        steps = recording.total
        lane_of = np.minimum(np.arange(chunk.start, chunk.start + self.lanes), chunk.stop - 1)
        seeds = [runs.seeds[i] for i in lane_of]
        defaults = self.rule.defaults if isinstance(self.rule, Rule) else dict.fromkeys(runs.hyper, 0.0)
        settings = settings_of(runs, defaults, steps, lane_of)
        weights = self._initial(runs, seeds, lane_of)
        tally = Tally.new(self.lanes, self.device)
        used = chunk.stop - chunk.start
        visit = self._visit(lane_of, len(runs.seeds)) if self.world else None
        bound = partial(self._bound, weights, tally)
        comparison = None
        if isinstance(self.rule, Rule):
            if visit:
                advance, state = in_world(bound, self.rule, weights, settings, visit)
            else:
                advance, state = modelled(bound, self.rule, weights, settings, self._loops)
            any_step = compared and visit and (visit.has("lr") or visit.has("update"))
            chosen = range(steps) if any_step else recording.spread(compared)
            same = visit is not None and not visit.has("update")
            comparison = Comparison(self.rule, settings, state, chosen, same_program=same)
        else:
            trial = self.trials.get(settings.count)
            if trial is None:
                trial = self.trials[settings.count] = find_layout(self.rule, weights, settings)
            advance = black_box(bound, self.rule, weights, settings, trial, seeds, used)
        buffers = Buffers(weights, len(recording.steps))
        generators = self.batches.generators(seeds[:used])
        noise = iter(Draws(self.noise, weights, seeds, self._mean))
        fixed = self.noise is None or isinstance(self.noise, SvagNoise)
        stops = sorted({steps, *(watch[1] if watch else ())}) if self._loops and fixed else ()

        def look(done: int) -> None:
            if watch and done in watch[1]:
                watch[0](done, chunk, {name: w[:used] for name, w in weights.items()})

        look(0)
        with ExitStack() as stack:
            t = 0
            while t < steps:
                if t % BLOCK == 0:
                    block = Batch(*self.batches.draw(generators, BLOCK, lanes=self.lanes))
                # A black box may hold compiled code of its own that this module does not know.
                if t == 1 and self.choice.compiled and isinstance(self.rule, Rule) and not visit:
                    stack.enter_context(settled())
                recorded = t % record_every == 0
                judging = comparison if comparison and t in comparison.chosen else None
                wanted = recorded or judging is not None
                before = {name: w.clone() for name, w in weights.items()} if wanted else {}
                if judging:
                    judging.hold()
                count = 1
                if stops and not recorded:
                    ends = (BLOCK - t % BLOCK, record_every - t % record_every)
                    count = min(*ends, stops[bisect_right(stops, t)] - t)
                loss, grads = advance(t, count, block, next(noise), wanted)
                if recorded:
                    buffers.keep(t // record_every, loss, self._measure(before, grads, weights))
                if judging:
                    judging.see(t, before, grads, weights)
                t += count
                look(t)
                if progress and (t % BLOCK == 0 or t == steps):
                    progress(t / steps)
        tally.begin(weights)
        kept = {name: settings.of_lanes(name, recording.steps)[:, :used] for name in ("lr", "weight_decay")}
        departed: dict[str, NDArray[np.float64] | float] = {
            "strayed": comparison.strayed(used) if comparison else np.nan
        }
        if visit:
            leaked = [visit.leaked(name, steps)[:used].cpu() for name in self.names]
            departed |= {"leaked": torch.stack(leaked, dim=1).numpy(), "shared": visit.shared(used)}
        recording.take(chunk, buffers, tally, weights, kept, departed)

    def _bound(self, weights: Weights, tally: Tally, written: Any) -> Callable[..., Any]:
        """Return the program on this storage, on a GPU as one graph."""
        storage = (weights, written, tally, (self.dataset.x, self.dataset.y))
        return Captured(self._step, storage) if self.device == "cuda" else partial(self._step, *storage)

    def _initial(self, runs: Runs, seeds: Sequence[int], lane_of: NDArray[np.intp]) -> Weights:
        total = (len(runs.seeds),)
        given = runs.init_scale if isinstance(runs.init_scale, Mapping) else None
        scales = {
            name: np.broadcast_to(
                np.asarray(runs.init_scale if given is None else given.get(name, 1.0), float), total
            )[lane_of]
            for name in self.names
        }
        norm = (
            None
            if runs.initial_norm is None
            else np.broadcast_to(np.asarray(runs.initial_norm, float), total)
        )
        stacked = {
            name: torch.empty(self.lanes, *shape, dtype=self.dtype, device=self.device)
            for name, shape in self.shapes.items()
        }
        for lane, (seed, run) in enumerate(zip(seeds, lane_of, strict=True)):
            origin = seed if runs.init_seed is None else runs.init_seed
            drawn = initial_parameters(self.net, origin, dtype=torch.float64, device="cpu")
            for name, w in drawn.items():
                w = w * float(scales[name][lane])
                if norm is not None:
                    w = w * (float(norm[run]) / dot(w[None], w[None]).sqrt())
                stacked[name][lane] = w
        return stacked


@lru_cache(maxsize=256)
def _program(
    net: NetSpec,
    dtype: torch.dtype,
    device: str,
    compiled: bool,
    rule: Rule | None,
    noise: NoiseSpec | None,
    loops: bool,
) -> Callable[..., Any]:
    """Return one program for all fleets that are alike, so that a net is compiled once per process."""
    module = build(net, dtype=dtype, device=device)
    program: Callable[..., Any]
    if rule is None:
        program = gradient_program(module, noise)
    else:
        program = (stretch_program if loops else step_program)(module, rule, noise)
    return compiled_or_eager(program, compiled, device)


@lru_cache(maxsize=256)
def _measure_program(net: NetSpec, dtype: torch.dtype, device: str, compiled: bool) -> Callable[..., Any]:
    return compiled_or_eager(measure, compiled, device)


def _scaled(progress: Progress | None, start: float, width: float) -> Progress | None:
    if progress is None:
        return None
    return lambda fraction: progress(start + width * fraction)
