"""A walk: an optimizer stepped with chosen gradients, everything kept, to be compared with a textbook.

The gradients are handed over, not computed from the weights, and the textbook's weights are set to the
measured ones before every step; so nothing chaotic is compared, and only the optimizer's state runs free.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ilr_check.gate.subject import Subject
from ilr_check.optim.contracts.contract import Contract, Slip
from ilr_check.optim.contracts.running import ROUNDINGS, Array, error_of, plain
from ilr_check.optim.contracts.textbook import NO_SLIP, Textbook
from ilr_check.theory.rounding import UNIT_ROUNDOFF

DTYPES = {
    "float64": torch.float64,
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
SMALLEST = {"float64": 2.0**-1074, "float32": 2.0**-149, "bfloat16": 2.0**-133, "float16": 2.0**-24}


@dataclass(frozen=True, eq=False)
class Step:
    """One step: what was set, what was handed over, and the weights before and after."""

    hyper: Mapping[str, Any]
    gradients: Sequence[Array | None]
    before: Sequence[Array]
    after: Sequence[Array]


@dataclass(frozen=True, eq=False)
class Walk:
    """All steps of one optimizer from its first one."""

    hyper: Mapping[str, Any]
    """As the optimizer had them when it was built."""
    starts: Sequence[Array]
    steps: Sequence[Step]
    dtype: str

    def moved(self, t: int, i: int = 0) -> Array:
        """What step t added to tensor i."""
        return self.steps[t].after[i] - self.steps[t].before[i]


@dataclass(frozen=True)
class Deviation:
    """The worst entry of a walk against a textbook."""

    ratio: float
    """Residual in units of the bound."""
    step: int = 0
    tensor: int = 0
    entry: int = 0
    measured: float = 0.0
    expected: float = 0.0
    bound: float = 0.0


def walk(
    subject: Subject,
    starts: Sequence[Array],
    gradients: Sequence[Sequence[Array | None]],
    *,
    schedule: Sequence[Mapping[str, Any]] | None = None,
    dtype: str = "float64",
    **hyper: Any,
) -> Walk:
    """Step a fresh optimizer through ``gradients``, one list a step; ``schedule`` is set before each."""
    kind, device = DTYPES[dtype], subject.device
    trial = subject.start([_tensor(start, kind, device) for start in starts], **hyper)
    begun = trial.hyper
    steps = []
    before = _arrays(trial.values())
    first = before
    for t, given in enumerate(gradients):
        setting = {} if schedule is None else dict(schedule[t])
        tensors = [None if g is None else _tensor(g, kind, device) for g in given]
        trial.step(tensors, **setting)
        after = _arrays(trial.values())
        seen = [None if g is None else _array(g) for g in tensors]
        steps.append(Step({**_numbers(hyper), **setting}, seen, before, after))
        before = after
    return Walk(begun, first, steps, dtype)


def deviation(walked: Walk, contract: Contract, slip: Slip = NO_SLIP) -> Deviation:
    """The worst deviation of a walk from the textbook, or from a near-miss of it, in units of the bound.

    Where the bound is left, the worst of the first step that leaves it: the shortest case to repeat.
    """
    book = Textbook(
        contract,
        walked.starts,
        walked.hyper,
        unit=UNIT_ROUNDOFF[walked.dtype],
        tiny=SMALLEST[walked.dtype],
        slip=slip,
    )
    worst = Deviation(0.0)
    allowed = ROUNDINGS * contract.relative_roundings
    for t, step in enumerate(walked.steps):
        coming = walked.steps[t + 1].hyper.get("lr") if t + 1 < len(walked.steps) else None
        kept = {key: value for key, value in step.hyper.items() if key not in slip.hyper}
        expected = book.step(step.gradients, weights=step.before, next_lr=coming, **kept)
        for i, (after, number) in enumerate(zip(step.after, expected, strict=True)):
            if after.size == 0:
                continue
            target, bound = plain(number), allowed * error_of(number)
            if step.gradients[i] is None:
                target, bound = step.before[i], np.zeros_like(step.before[i])
            ratios = _ratios(after - target, bound)
            entry = int(np.argmax(ratios))
            if float(ratios.flat[entry]) > worst.ratio and not (worst.ratio > 1.0 and t > worst.step):
                worst = Deviation(
                    float(ratios.flat[entry]),
                    t,
                    i,
                    entry,
                    float(after.flat[entry]),
                    float(target.flat[entry]),
                    float(bound.flat[entry]),
                )
    return worst


def _ratios(residual: Array, bound: Array) -> Array:
    size = np.abs(residual)
    with np.errstate(all="ignore"):
        ratios = np.where(bound > 0, size / bound, np.where(size > 0, np.inf, 0.0))
    return np.where(np.isnan(residual), np.inf, np.where(np.isinf(bound), 0.0, ratios))


def _tensor(array: Array, dtype: torch.dtype, device: str) -> torch.Tensor:
    return torch.tensor(np.asarray(array), dtype=torch.float64, device=device).to(dtype)


def _array(tensor: torch.Tensor) -> Array:
    return np.asarray(tensor.detach().double().cpu().numpy())


def _arrays(tensors: Sequence[torch.Tensor]) -> list[Array]:
    return [_array(tensor) for tensor in tensors]


def _numbers(hyper: Mapping[str, Any]) -> dict[str, Any]:
    return {k: float(v) if isinstance(v, torch.Tensor) else v for k, v in hyper.items()}
