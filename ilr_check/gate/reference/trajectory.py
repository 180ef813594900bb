"""A trajectory keeps every step of an optimizer under chosen gradients, for a comparison with a reference.

The gradients do not depend on the weights. The reference implementation gets the measured weights before
every step. So no chaos enters the comparison, and only the optimizer's state runs free.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch

from ilr_check.gate.subject import Subject
from ilr_check.optim.contracts.contract import Contract, Mutation
from ilr_check.optim.contracts.reference import NO_MUTATION, UNIT, ReferenceImplementation
from ilr_check.optim.contracts.running import ROUNDINGS, Array, Tracked, error_of, plain

SHARE_NAMED = 0.7
"""The share of entries that a sparse gradient names."""
DTYPES = {
    "float64": torch.float64,
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


@dataclass(frozen=True, eq=False)
class Step:
    """One step: its settings, its gradients, and the weights before and after."""

    hyper: Mapping[str, Any]
    gradients: Sequence[Array | None]
    before: Sequence[Array]
    after: Sequence[Array]


@dataclass(frozen=True, eq=False)
class Trajectory:
    """All steps of one optimizer from its first one."""

    hyper: Mapping[str, Any]
    """The hyper-parameters of the optimizer after it was built."""
    starts: Sequence[Array]
    steps: Sequence[Step]
    dtypes: Sequence[str]
    """One dtype for each tensor."""

    @property
    def dtype(self) -> str:
        """Return the dtypes, each named once."""
        return ", ".join(dict.fromkeys(self.dtypes))

    @property
    def moves(self) -> bool:
        """Return whether any weight changes; steps of zero agree with many families and tell nothing."""
        return self.largest_step != 0.0

    @cached_property
    def largest_step(self) -> float:
        """The largest change of an entry in one step."""
        pairs = [pair for step in self.steps for pair in zip(step.before, step.after, strict=True)]
        return float(
            np.max([np.max(np.abs(after - before), initial=0.0) for before, after in pairs], initial=0.0)
        )

    def only(self, i: int) -> Trajectory:
        """Return the same trajectory as tensor i alone saw it."""
        steps = [Step(s.hyper, [s.gradients[i]], [s.before[i]], [s.after[i]]) for s in self.steps]
        return Trajectory(self.hyper, [self.starts[i]], steps, [self.dtypes[i]])

    def moved(self, t: int, i: int = 0) -> Array:
        """Return what step t added to tensor i."""
        return self.steps[t].after[i] - self.steps[t].before[i]


@dataclass(frozen=True)
class Deviation:
    """The entry of a trajectory that deviates most from the reference."""

    ratio: float
    """The residual in units of the bound."""
    step: int = 0
    tensor: int = 0
    entry: int = 0
    measured: float = 0.0
    expected: float = 0.0
    bound: float = 0.0
    widest: float = 0.0
    """The largest bound of the steps so far, as a share of the largest step; an infinite one fits all."""
    vague: float = 0.0
    """The share of the entries whose bound is more than half of the largest step: any step would fit."""


def record_trajectory(
    subject: Subject,
    starts: Sequence[Array],
    gradients: Sequence[Sequence[Array | None]],
    *,
    schedule: Sequence[Mapping[str, Any]] | None = None,
    dtype: str | Sequence[str] = "",
    transposed: Literal["", "weights", "gradients"] = "",
    **hyper: Any,
) -> Trajectory:
    """Step a fresh optimizer through ``gradients``, one list a step; ``schedule`` is set before each.

    ``dtype`` is the subject's own unless it is given, and may be one for each tensor. ``transposed`` says
    whose matrices are laid out column by column.
    """
    dtypes = [dtype or subject.dtype] * len(starts) if isinstance(dtype, str) else list(dtype)
    device = subject.device
    tensors = [_tensor(start, DTYPES[name], device) for start, name in zip(starts, dtypes, strict=True)]
    if transposed == "weights":
        tensors = [_by_columns(t) for t in tensors]
    trial = subject.start(tensors, **hyper)
    begun = trial.hyper
    steps = []
    before = _arrays(trial.values())
    first = before
    for t, given in enumerate(gradients):
        setting = {} if schedule is None else dict(schedule[t])
        handed = [
            None if g is None else _tensor(g, DTYPES[name], device)
            for g, name in zip(given, dtypes, strict=True)
        ]
        if transposed == "gradients":
            handed = [None if g is None else _by_columns(g) for g in handed]
        trial.step(handed, **setting)
        after = _arrays(trial.values())
        seen = [None if g is None else _array(g) for g in handed]
        steps.append(Step({**_numbers(hyper), **setting}, seen, before, after))
        before = after
    return Trajectory(begun, first, steps, dtypes)


def deviation(trajectory: Trajectory, contract: Contract, mutation: Mutation = NO_MUTATION) -> Deviation:
    """Return the worst deviation from the reference, or from a mutation of it, in units of the bound.

    Where a step leaves the bound, return the worst deviation of the first such step, which is the shortest
    case to repeat. Later steps are not examined.
    """
    book = ReferenceImplementation(
        contract,
        trajectory.starts,
        trajectory.hyper,
        dtypes=trajectory.dtypes,
        mutation=mutation,
    )
    worst = Deviation(0.0)
    widest, vague, entries = 0.0, 0, 0
    for t, step in enumerate(trajectory.steps):
        coming = trajectory.steps[t + 1].hyper.get("lr") if t + 1 < len(trajectory.steps) else None
        kept = {key: value for key, value in step.hyper.items() if key not in mutation.hyper}
        expected = book.step(step.gradients, weights=step.before, next_lr=coming, **kept)
        for i, (after, number) in enumerate(zip(step.after, expected, strict=True)):
            if after.size == 0:
                continue
            target, bound = plain(number), ROUNDINGS * error_of(number)
            if step.gradients[i] is None:
                target, bound = step.before[i], np.zeros_like(step.before[i])
            ratios = _ratios(after - target, bound)
            entry = int(np.argmax(ratios))
            moved = float(np.max(np.abs(target - step.before[i])))
            room = float(np.max(bound))
            # A reference that stands still may have a wide bound: the sign of zero may be any sign.
            moved = moved or trajectory.largest_step
            # A step without end has a bound without end, and their ratio is undefined.
            widest = max(widest, (room / moved if moved > 0 else 0.0) if np.isfinite(room) else np.inf)
            vague, entries = vague + int(np.sum(bound > 0.5 * moved)), entries + after.size
            if float(ratios.flat[entry]) > worst.ratio:
                worst = Deviation(
                    float(ratios.flat[entry]),
                    t,
                    i,
                    entry,
                    float(after.flat[entry]),
                    float(target.flat[entry]),
                    float(bound.flat[entry]),
                )
        if worst.ratio > 1.0:
            break
    return replace(worst, widest=widest, vague=vague / max(1, entries))


def last_step_deviation(
    subject: Subject, start: Array, gradient: Array, steps: int, **hyper: Any
) -> Deviation:
    """Return how the last of many steps under a constant gradient deviates from the reference.

    The reference takes over the measured weights before that step. The optimizer's weights are never written,
    because an optimizer may keep masters of them. Under a constant gradient every entry of the state is a
    product or a sum of terms of one sign. Each step therefore adds at most eight relative roundings: the
    relative error of the state is 8 u steps, and running error analysis carries it through the last step.
    """
    contract = subject.contract
    assert contract is not None
    name = subject.dtype
    start = _array(_tensor(start, DTYPES[name], subject.device))
    gradient = _array(_tensor(gradient, DTYPES[name], subject.device))
    trial = subject.start([_tensor(start, DTYPES[name], subject.device)], **hyper)
    book = ReferenceImplementation(contract, [start], trial.hyper)
    exact = ReferenceImplementation(contract, [start], trial.hyper, dtypes=[name])
    handed = _tensor(gradient, DTYPES[name], subject.device)
    for _ in range(steps - 1):
        book.step([gradient])
        trial.step([handed])
    (before,) = _arrays(trial.values())
    trial.step([handed])
    for key, value in book.states[0].items():
        off = ROUNDINGS * steps * UNIT[name] * np.abs(plain(value))
        if contract.float32_state and plain(value).ndim == 0:
            off = off + ROUNDINGS * UNIT["float32"] * np.abs(plain(value))
        exact.states[0][key] = Tracked(plain(value), UNIT[name], off)
    exact.counts = list(book.counts)
    exact.first_lr = exact.last_lr = float(book.hyper["lr"])
    (expected,) = exact.step([gradient], weights=[before])
    (after,) = _arrays(trial.values())
    bound = ROUNDINGS * error_of(expected)
    ratios = _ratios(after - plain(expected), bound)
    entry = int(np.argmax(ratios))
    moved, meant = (a.flat[entry] - before.flat[entry] for a in (after, plain(expected)))
    room = float(bound.flat[entry])
    return Deviation(float(ratios.flat[entry]), steps - 1, 0, entry, float(moved), float(meant), room)


def probing_gradients(
    contract: Contract | None, rng: np.random.Generator, shapes: Sequence[tuple[int, ...]], steps: int
) -> list[list[Array | None]]:
    """Return gradients whose entries range over four decades, so that eps, maxima and small moments show.

    For a contract of sparse gradients some entries are zero, others at every step.
    For a contract that wants them so, one entry in each row and column, of any sign and size at every step.
    """
    if contract is None or contract.gradients == "any":
        sizes = [[10.0 ** rng.uniform(-3, 1, size=shape) for shape in shapes] for _ in range(steps)]
        sparse = contract is not None and contract.sparse

        def drawn(size: Array) -> Array:
            gradient = np.asarray(rng.normal(size=size.shape) * size)
            return gradient * (rng.random(size=size.shape) < SHARE_NAMED) if sparse else gradient

        return [[drawn(size) for size in row] for row in sizes]
    fixed = [_signed_permutation(rng, shape) for shape in shapes]
    return [[rng.normal(size=matrix.shape) * matrix for matrix in fixed] for _ in range(steps)]


def _signed_permutation(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    matrix = np.zeros(shape)
    count = min(shape)
    rows, columns = rng.permutation(shape[0])[:count], rng.permutation(shape[1])[:count]
    matrix[rows, columns] = rng.choice((-1.0, 1.0), size=count)
    return matrix


def _ratios(residual: Array, bound: Array) -> Array:
    size = np.abs(residual)
    with np.errstate(all="ignore"):
        ratios = np.where(bound > 0, size / bound, np.where(size > 0, np.inf, 0.0))
    return np.where(np.isnan(residual), np.inf, np.where(np.isinf(bound), 0.0, ratios))


def _by_columns(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.T.contiguous().T if tensor.ndim == 2 else tensor


def _tensor(array: Array, dtype: torch.dtype, device: str) -> torch.Tensor:
    return torch.tensor(np.asarray(array), dtype=torch.float64, device=device).to(dtype)


def _array(tensor: torch.Tensor) -> Array:
    return np.asarray(tensor.detach().double().cpu().numpy())


def _arrays(tensors: Sequence[torch.Tensor]) -> list[Array]:
    return [_array(tensor) for tensor in tensors]


def _numbers(hyper: Mapping[str, Any]) -> dict[str, Any]:
    return {k: float(v) if isinstance(v, torch.Tensor) else v for k, v in hyper.items()}
