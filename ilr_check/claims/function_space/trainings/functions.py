"""Populations of trained functions: many runs of one course, and what they predict where nothing was trained.

Norm layers take their statistics from the whole training set. The nets here have no running statistics; those
of a probe batch would make the answer to one probe depend on the others, and those of a minibatch would add a
randomness that is not the run's. So a run at a step is one function, whatever it is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import functional_call, vmap

from ilr_check.claims.claim import Context
from ilr_check.claims.populations import RunDiverged
from ilr_check.data import DataSpec
from ilr_check.data.sets import load_held_out
from ilr_check.nets.build import build
from ilr_check.nets.norms import Norm
from ilr_check.nets.specs import NetSpec
from ilr_check.optim.rules import Rule
from ilr_check.optim.sgd import UpdateRule, plain
from ilr_check.seeds import derive
from ilr_check.train.fleet import Fleet, Runs
from ilr_check.train.trace import Trace

Array = NDArray[np.float64]

EVALUATED_AT_ONCE = 16
"""Runs that are asked together: 1800 examples of a net 64 wide are 7 MiB a layer."""
EVALUATION_LIMIT = 8 * 2**30
"""Bytes that a training would keep of as many examples, above which fewer runs are asked together. Asking
keeps a few layers at a time, some tenth of it."""
KNOWN = 5120
"""Training examples that norm layers take their statistics from; all of them in the sets inside wheels."""


class Phase(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A stretch of training at constant settings."""

    steps: int
    lr: float
    weight_decay: float

    @property
    def intrinsic_lr(self) -> float:
        """lr * weight_decay."""
        return self.lr * self.weight_decay


class Course(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the runs of a population share: the phases, one after another, and where they start.

    ``initial_norm`` is the initial norm of every tensor. With ``init_seed`` all start from the same
    weights and
    differ by their batches only. Buffers of the optimizer go on from phase to phase.
    """

    name: str
    phases: tuple[Phase, ...]
    initial_norm: float = 3.0
    init_seed: int | None = None
    momentum: float = 0.0

    def __post_init__(self) -> None:
        if not self.phases or any(phase.steps < 1 for phase in self.phases):
            raise ValueError(
                f"course {self.name!r}: every phase needs at least 1 step, and there must be one"
            )

    @property
    def steps(self) -> int:
        """Steps of all phases."""
        return sum(phase.steps for phase in self.phases)

    def settings(self) -> tuple[Array, Array]:
        """LR and weight decay at each step."""
        lengths = [phase.steps for phase in self.phases]
        return (
            np.repeat([phase.lr for phase in self.phases], lengths),
            np.repeat([phase.weight_decay for phase in self.phases], lengths),
        )


class Functions(NamedTuple):
    """What runs predict at one step: logits [n, probes, classes], and how well they do there, [n].

    ``train_loss`` is that on the training set (its first ``KNOWN`` examples) as it is, no label redrawn.
    ``norm2`` is the squared norm of all weights, [n]. ``weights`` are stacked over runs, on the host; empty
    unless asked for.
    """

    logits: NDArray[np.float32]
    loss: Array
    accuracy: Array
    train_loss: Array
    weights: Mapping[str, NDArray[np.float32]]
    norm2: Array

    @property
    def labels(self) -> NDArray[np.intp]:
        """The predicted labels, [n, probes]."""
        return np.asarray(self.logits.argmax(axis=2))

    @property
    def probabilities(self) -> Array:
        """What the softmax gives, [n, probes * classes]."""
        shifted = np.exp(self.logits - self.logits.max(axis=2, keepdims=True), dtype=float)
        return np.asarray((shifted / shifted.sum(axis=2, keepdims=True)).reshape(len(shifted), -1))


@dataclass(frozen=True)
class _Part:
    """The runs that one look added."""

    trace: Trace
    functions: dict[int, Functions]


class FunctionPopulation:
    """Runs of one course, growing look by look; the seed of run i depends on the course's name and i only."""

    def __init__(self, seed: int, course: Course, train: Callable[[Sequence[int]], _Part]) -> None:
        self.course, self._seed, self._train = course, seed, train
        self._parts: list[_Part] = []
        self._count = 0

    def at(self, step: int, n: int) -> Functions:
        """The functions of the first ``n`` runs after ``step`` steps; raises ``RunDiverged``."""
        return _joined([part.functions[step] for part in self._grown(n)], n)

    def traces(self, n: int) -> list[Trace]:
        """The traces that together hold the first ``n`` runs or more."""
        return [part.trace for part in self._grown(n)]

    def _grown(self, n: int) -> list[_Part]:
        if n > self._count:
            seeds = [derive(self._seed, self.course.name, i) for i in range(self._count, n)]
            part = self._train(seeds)
            bad = np.flatnonzero(part.trace.first_bad >= 0)
            if bad.size:
                run = int(bad[0])
                raise RunDiverged(
                    f"run {self._count + run} of the {self.course.name} population (seed {seeds[run]}) is "
                    f"not finite from step {int(part.trace.first_bad[run])} on ({bad.size} of {len(seeds)} "
                    "runs); lower lr, or raise the initial norm"
                )
            self._parts.append(part)
            self._count = n
        return self._parts


class FunctionRuns:
    """The populations of an experiment on one net and its data; tests plant defects through ``rule``.

    ``planned_run_steps`` is the work of the first look, for progress and for the choice to compile.
    """

    def __init__(
        self,
        net: NetSpec,
        data: DataSpec,
        context: Context,
        *,
        planned_run_steps: int,
        probes: int = 128,
        batch_size: int = 32,
        rule: UpdateRule | Rule = plain,
        lanes: int | None = None,
    ) -> None:
        self.fleet = Fleet(
            net,
            data,
            batch_size=batch_size,
            rule=rule,
            device=context.device,
            lanes=lanes,
            expected_run_steps=planned_run_steps,
        )
        self.probes = load_held_out(data, probes, dtype=self.fleet.dtype, device=context.device)
        self._module = build(net, dtype=self.fleet.dtype, device=context.device)
        self._known = min(KNOWN, len(self.fleet.dataset))
        for layer in self._module.modules():
            if isinstance(layer, Norm):
                layer.rows = self._known
        examples = self._known + len(self.probes)
        kept = self.fleet.footprint.activations * examples // batch_size
        self._at_once = max(1, min(EVALUATED_AT_ONCE, EVALUATION_LIMIT // kept))
        self._context, self._total, self._done = context, max(1, planned_run_steps), 0

    def population(
        self, course: Course, at: Sequence[int], *, weights: bool = False, record_every: int | None = None
    ) -> FunctionPopulation:
        """The runs of a course, seen after ``at`` numbers of steps; 0 and ``course.steps`` are allowed.

        A trace is recorded every ``record_every`` steps, the first alone if not given.
        """
        outside = [step for step in at if not 0 <= step <= course.steps]
        if outside:
            raise ValueError(f"at={outside}: course {course.name!r} has steps 0 to {course.steps}")
        return FunctionPopulation(
            self._context.seed,
            course,
            lambda seeds: self._train(course, tuple(at), weights, record_every or course.steps, seeds),
        )

    def functions_of(self, weights: Mapping[str, Tensor], *, keep: bool = False) -> Functions:
        """What runs with these stacked weights [n, ...] predict."""
        count = len(next(iter(weights.values())))
        parts = [
            self._ask({name: w[i : i + self._at_once] for name, w in weights.items()})
            for i in range(0, count, self._at_once)
        ]
        logits, loss, accuracy, train_loss = (np.concatenate(column) for column in zip(*parts, strict=True))
        kept = {name: w.cpu().numpy().copy() for name, w in weights.items()} if keep else {}
        norm2 = sum(w.double().square().flatten(1).sum(dim=1) for w in weights.values())
        return Functions(logits, loss, accuracy, train_loss, kept, torch.as_tensor(norm2).cpu().numpy())

    def _ask(self, weights: dict[str, Tensor]) -> tuple[NDArray[np.float32], Array, Array, Array]:
        known, probes, count = self.fleet.dataset, self.probes, self._known
        x = torch.cat([known.x[:count], probes.x])

        def one(parameters: dict[str, Tensor]) -> Tensor:
            out: Tensor = functional_call(self._module, parameters, (x,))
            return out

        with torch.no_grad():
            out = vmap(one)(weights)
            log_p = torch.log_softmax(out.double(), dim=-1)
            y = torch.cat([known.y[:count], probes.y]).expand(len(out), -1)
            loss = -log_p.gather(2, y[..., None])[..., 0]
            asked = slice(count, None)
            right = (out.argmax(dim=2) == y)[:, asked].double()
        return (
            out[:, asked].cpu().numpy(),
            loss[:, asked].mean(dim=1).cpu().numpy(),
            right.mean(dim=1).cpu().numpy(),
            loss[:, :count].mean(dim=1).cpu().numpy(),
        )

    def _train(
        self, course: Course, at: tuple[int, ...], weights: bool, record_every: int, seeds: Sequence[int]
    ) -> _Part:
        lr, decay = course.settings()
        seen: dict[int, list[Functions]] = {step: [] for step in at}
        done, work = self._done, len(seeds) * course.steps
        self._done += work

        def see(step: int, chunk: slice, now: dict[str, Tensor]) -> None:
            seen[step].append(self.functions_of(now, keep=weights))

        trace = self.fleet.train(
            Runs(
                seeds=seeds,
                lr=lr[:, None],
                weight_decay=decay[:, None],
                momentum=course.momentum,
                initial_norm=course.initial_norm,
                init_seed=course.init_seed,
            ),
            course.steps,
            record_every=record_every,
            observer=see,
            observed=at,
            progress=lambda part: self._context.progress(min(1.0, (done + part * work) / self._total)),
        )
        return _Part(trace, {step: _joined(parts) for step, parts in seen.items()})


def _joined(parts: Sequence[Functions], n: int | None = None) -> Functions:
    return Functions(
        logits=np.concatenate([p.logits for p in parts])[:n],
        loss=np.concatenate([p.loss for p in parts])[:n],
        accuracy=np.concatenate([p.accuracy for p in parts])[:n],
        train_loss=np.concatenate([p.train_loss for p in parts])[:n],
        weights={k: np.concatenate([p.weights[k] for p in parts])[:n] for k in parts[0].weights},
        norm2=np.concatenate([p.norm2 for p in parts])[:n],
    )
