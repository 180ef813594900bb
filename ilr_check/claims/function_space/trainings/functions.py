"""Populations of trained functions: many runs of one course, and their answers on examples that are held out.

The norm layers take their statistics from the whole training set. The nets here have no running statistics.
Statistics of a probe batch would make the answer to one probe depend on the other probes, and statistics of a
minibatch would add a randomness that does not belong to the run. So one run at one step is one function.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import functional_call, vmap

from ilr_check.claims.lab import Lab
from ilr_check.data import DataSpec, TangentNoise
from ilr_check.data.sets import load_held_out
from ilr_check.nets.build import build
from ilr_check.nets.norms import Norm
from ilr_check.nets.specs import NetSpec
from ilr_check.train.fleet import Runs
from ilr_check.train.trace import Trace

Array = NDArray[np.float64]

EVALUATED_AT_ONCE = 16
"""Runs that are evaluated together: 1800 examples of a net 64 wide are 7 MiB a layer."""
EVALUATION_LIMIT = 8 * 2**30
"""Bytes that a training would keep of as many examples. Above it fewer runs are evaluated together. An
evaluation keeps a few layers at a time, which is about a tenth of it."""
KNOWN = 5120
"""Training examples from which norm layers take their statistics. The sets inside wheels are smaller."""

RECORDED = 16
"""Steps of a training at which it is seen whether they are those of the rule. The number of steps from one to
the next is odd, so that what is wrong at every other step is seen."""


class Stage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A stretch of training at constant settings."""

    steps: int
    lr: float
    weight_decay: float

    @property
    def intrinsic_lr(self) -> float:
        """lr * weight_decay."""
        return self.lr * self.weight_decay


class History(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the runs of a population share: the phases, one after another, and the start.

    ``initial_norm`` is the initial norm of every tensor. With ``init_seed`` all runs start from the same
    weights and differ by their batches only. With ``momentum`` the optimizer is heavy ball; its buffers last
    from phase to phase.
    """

    name: str
    phases: tuple[Stage, ...]
    initial_norm: float = 3.0
    init_seed: int | None = None
    momentum: float = 0.0

    def __post_init__(self) -> None:
        if not self.phases or any(phase.steps < 1 for phase in self.phases):
            raise ValueError(
                f"course {self.name!r}: every phase needs at least 1 step, and a course at least 1 phase"
            )

    @property
    def steps(self) -> int:
        """Steps of all phases."""
        return sum(phase.steps for phase in self.phases)

    def settings(self) -> tuple[Array, Array]:
        """Return the LR and the weight decay at each step."""
        lengths = [phase.steps for phase in self.phases]
        return (
            np.repeat([phase.lr for phase in self.phases], lengths),
            np.repeat([phase.weight_decay for phase in self.phases], lengths),
        )


class Functions(NamedTuple):
    """What runs predict at one step: logits [n, probes, classes], and the loss and accuracy there, [n].

    ``train_loss`` is the loss on the training set (its first ``KNOWN`` examples) without label noise.
    ``norm2`` is the squared norm of all weights, [n]. ``weights`` are stacked over runs, on the host; they
    are empty unless asked for.
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
        """The predicted probabilities, [n, probes * classes]."""
        shifted = np.exp(self.logits - self.logits.max(axis=2, keepdims=True), dtype=float)
        return np.asarray((shifted / shifted.sum(axis=2, keepdims=True)).reshape(len(shifted), -1))


class FunctionRuns:
    """Populations of functions that the lab trains on one net and its data."""

    def __init__(
        self,
        lab: Lab,
        net: NetSpec,
        data: DataSpec,
        *,
        probes: int = 128,
        batch_size: int = 32,
        lanes: int | None = None,
        noise: TangentNoise | None = None,
    ) -> None:
        self._lab = lab
        self._fleet = partial(lab.fleet, net, data, batch_size=batch_size, lanes=lanes, noise=noise)
        self.fleet = self._fleet()
        device = lab.context.device
        self.probes = load_held_out(data, probes, dtype=self.fleet.dtype, device=device)
        self._module = build(self.fleet.net, dtype=self.fleet.dtype, device=device)
        self._known = min(KNOWN, len(self.fleet.dataset))
        for layer in self._module.modules():
            if isinstance(layer, Norm):
                layer.rows = self._known
        examples = self._known + len(self.probes)
        kept = self.fleet.footprint.activations * examples // batch_size
        self._at_once = max(1, min(EVALUATED_AT_ONCE, EVALUATION_LIMIT // kept))

    def population(
        self, course: History, at: Sequence[int], *, weights: bool = False, record_every: int | None = None
    ) -> FunctionPopulation:
        """Return the runs of a course, seen after each of ``at`` steps; 0 and ``course.steps`` are allowed.

        A trace is recorded every ``record_every`` steps, or at about ``RECORDED`` steps if that is not given.
        """
        outside = [step for step in at if not 0 <= step <= course.steps]
        if outside:
            raise ValueError(f"at={outside}: course {course.name!r} has steps 0 to {course.steps}")
        train = partial(self._train, course, tuple(at), weights, record_every or course.steps // RECORDED | 1)
        return FunctionPopulation(course, self._lab, train)

    def functions_of(self, weights: Mapping[str, Tensor], *, keep: bool = False) -> Functions:
        """Return what runs with these stacked weights [n, ...] predict."""
        count = len(next(iter(weights.values())))
        parts = [
            self._evaluate({name: w[i : i + self._at_once] for name, w in weights.items()})
            for i in range(0, count, self._at_once)
        ]
        logits, loss, accuracy, train_loss = (np.concatenate(column) for column in zip(*parts, strict=True))
        kept = {name: w.cpu().numpy().copy() for name, w in weights.items()} if keep else {}
        norm2 = sum(w.double().square().flatten(1).sum(dim=1) for w in weights.values())
        return Functions(logits, loss, accuracy, train_loss, kept, torch.as_tensor(norm2).cpu().numpy())

    def _evaluate(self, weights: dict[str, Tensor]) -> tuple[NDArray[np.float32], Array, Array, Array]:
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
        self, course: History, at: tuple[int, ...], weights: bool, record_every: int, seeds: Sequence[int]
    ) -> tuple[Trace, dict[int, Functions]]:
        lr, decay = course.settings()
        seen: dict[int, list[Functions]] = {step: [] for step in at}

        def see(step: int, chunk: slice, now: dict[str, Tensor]) -> None:
            seen[step].append(self.functions_of(now, keep=weights))

        runs = Runs(
            seeds=seeds,
            lr=lr[:, None],
            weight_decay=decay[:, None],
            momentum=course.momentum,
            initial_norm=course.initial_norm,
            init_seed=course.init_seed,
        )
        fleet = self._fleet(rule="heavy-ball") if course.momentum else self.fleet
        trace = self._lab.train(
            fleet, runs, course.steps, record_every=record_every, observer=see, observed=at
        )
        return trace, {step: _joined(parts) for step, parts in seen.items()}


class FunctionPopulation:
    """Runs of one course, more of them at each look, and their functions at some of the steps."""

    def __init__(
        self, course: History, lab: Lab, train: Callable[[Sequence[int]], tuple[Trace, dict[int, Functions]]]
    ) -> None:
        self.course = course
        self._seen: list[dict[int, Functions]] = []

        def keep(seeds: Sequence[int]) -> Trace:
            trace, functions = train(seeds)
            self._seen.append(functions)
            return trace

        self._population = lab.population(course.name, keep)

    def at(self, step: int, n: int) -> Functions:
        """Return the functions of the first ``n`` runs after ``step`` steps; raises ``RunDiverged``."""
        self._population.take(n)
        return _joined([functions[step] for functions in self._seen], n)

    def traces(self, n: int) -> list[Trace]:
        """Return the traces that together hold the first ``n`` runs or more."""
        return self._population.take(n)


def _joined(parts: Sequence[Functions], n: int | None = None) -> Functions:
    return Functions(
        logits=np.concatenate([p.logits for p in parts])[:n],
        loss=np.concatenate([p.loss for p in parts])[:n],
        accuracy=np.concatenate([p.accuracy for p in parts])[:n],
        train_loss=np.concatenate([p.train_loss for p in parts])[:n],
        weights={k: np.concatenate([p.weights[k] for p in parts])[:n] for k in parts[0].weights},
        norm2=np.concatenate([p.norm2 for p in parts])[:n],
    )
