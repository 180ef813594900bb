"""Judge whether two trails through one course agree within the rounding of both."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from ilr_check.evidence import Margin, Measured
from ilr_check.evidence.records import VerdictWord
from ilr_check.gate.law import Reading
from ilr_check.gate.stimuli.courses import StepFailedError, Trail
from ilr_check.gate.subject import SubjectError
from ilr_check.gate.trial import CannotVaryError
from ilr_check.optim.contracts.reference import UNIT

ROUNDINGS = 4.0
"""A step rounds the weights at most twice in each of two ways: once for decay and once for the update."""


@dataclass(frozen=True)
class Gap:
    """The largest difference of two trails, in units of what rounding explains, and where it is."""

    ratio: float
    step: int = 0
    tensor: int = 0
    share: float = 0.0
    """The difference as a share of the tensor's largest step."""
    off: float = 0.0
    """The difference itself."""


def gap(one: Trail, other: Trail, unit: float = 0.0) -> Gap:
    """Compare two trails of the same tensors.

    Rounding explains half of the digits of a step, and ``4 u |w|`` for each step so far: an update may lose
    digits to cancellation, but not half of them under gradients of four decades. ``u`` is the unit roundoff
    of the tensor, or ``unit`` where the optimizer computes in something coarser.
    """
    worst = Gap(0.0)
    for i in range(len(one.weights[0])):
        a, b = ([row[i].double() for row in trail.weights] for trail in (one, other))
        u = max(unit, UNIT[str(one.weights[0][i].dtype).partition(".")[2]])
        moved = max(_largest_step(a), _largest_step(b))
        size = _finite_max(a[0].abs())
        for t, (x, y) in enumerate(zip(a, b, strict=True)):
            if x.shape != y.shape:
                return Gap(math.inf, t, i, math.inf, math.inf)
            off = _difference(x, y)
            room = math.sqrt(u) * moved + ROUNDINGS * t * u * max(size, _finite_max(x.abs()))
            ratio = 0.0 if off == 0.0 else (off / room if room else math.inf)
            if ratio > worst.ratio:
                worst = Gap(ratio, t, i, off / moved if moved else math.inf, off)
                if ratio > 1.0:
                    break  # the first step of a tensor that differs says most
    return worst


def agreement(
    group: str,
    ours: Callable[[], Trail],
    theirs: Callable[[], Trail],
    *,
    sentence: str,
    unit: float = 0.0,
    snippet: Callable[[Gap], str] | None = None,
) -> Reading:
    """Return the reading on two trails that must agree; ``sentence`` says what differs from what.

    A setting that the constructor refuses is skipped, and so is a case in which ``theirs`` cannot step
    either. An exception of ``ours`` alone is ``violated``.
    """
    try:
        expected = theirs()
    except (SubjectError, CannotVaryError, StepFailedError) as error:
        return Reading(group=group, verdict="skipped", message=f"there is nothing to compare with: {error}")
    try:
        found = ours()
    except (SubjectError, CannotVaryError) as error:
        return Reading(group=group, verdict="skipped", message=f"it does not take this: {error}")
    except StepFailedError as error:
        return failed_reading(group, error)
    return gap_reading(
        gap(found, expected, unit),
        group=group,
        sentence=sentence,
        n_steps=len(found.weights) - 1,
        snippet=snippet,
    )


def failed_reading(group: str, error: Exception) -> Reading:
    """Return the reading of a legal step that raised an exception."""
    return Reading(
        group=group,
        verdict="violated",
        message=str(error),
        diagnosis=f"{group}: the step fails with {error}",
        raised=True,
    )


def gap_reading(
    found: Gap, *, group: str, sentence: str, n_steps: int = 0, snippet: Callable[[Gap], str] | None = None
) -> Reading:
    """Return the verdict on a gap: it holds up to 1. ``snippet`` writes the lines that repeat a violation."""
    verdict: VerdictWord = "holds" if found.ratio <= 1.0 else "violated"
    share = f"by {found.share:.3g} of its largest step" if math.isfinite(found.share) else "without bound"
    when = f"from step {found.step} on, in tensor {found.tensor}, {share}"
    return Reading(
        group=group,
        verdict=verdict,
        quantity="difference / what rounding explains",
        measured=Measured(value=found.ratio if math.isfinite(found.ratio) else None),
        expected=0.0,
        margin=Margin(low=0.0, high=1.0),
        message=f"{n_steps} steps agree"
        if verdict == "holds"
        else f"{when}; measured {found.off!r}, expected 0",
        diagnosis="" if verdict == "holds" else f"{sentence} {when}",
        detectable=1.0,
        n_steps=n_steps,
        snippet="" if verdict == "holds" or snippet is None else snippet(found),
    )


def _difference(x: Tensor, y: Tensor) -> float:
    if x.numel() == 0:
        return 0.0
    same = (x == y) | (x.isnan() & y.isnan())
    off = torch.where(same, torch.zeros_like(x), (x - y).abs())
    return math.inf if bool(off.isnan().any()) else float(off.max())


def _largest_step(rows: list[Tensor]) -> float:
    return max((_finite_max((b - a).abs()) for a, b in pairwise(rows)), default=0.0)


def _finite_max(tensor: Tensor) -> float:
    kept = tensor[tensor.isfinite()]
    return float(kept.max()) if kept.numel() else 0.0
