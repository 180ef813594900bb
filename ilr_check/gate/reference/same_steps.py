"""Two recordings of the same scenarios: which steps differ, from which on, and by how much. Imports no torch.

The gradients are handed over and never computed from the weights, so a difference in rounding stays one: six
steps of ten roundings each leave 6 * 10 * u * |w| / |step| < 1e-10 of a step for |w| <= 10^4 |step|. What is
called different is beyond 2**-26 of a step, half of the digits: no order of operations explains that, but an
optimizer that rounds to bfloat16 inside differs from itself on another machine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ilr_check.evidence import Margin, Measured
from ilr_check.evidence.gate import BASELINE_LAW, Finding, Location
from ilr_check.gate.process.noting import noted, text_of
from ilr_check.gate.process.request import GateRequest

TOLERANCE = 2.0**-26
Traces = Mapping[str, Sequence[Sequence[float | None]]]
"""A scenario is mapped to the weights after each step; ``None`` is a number that is not finite."""

REFERENCE = text_of(
    "same-as-reference",
    "It steps like the reference",
    "Given the same weights, gradients and settings it makes the steps of the reference.",
    equation="|w - w'| <= 2^-26 |step|",
    source="the optimizer named by --reference",
    meaning="It trains other weights than the optimizer that it is meant to replace.",
)
BASELINE = text_of(
    BASELINE_LAW,
    "It behaves as it did before",
    "Given the same weights, gradients and settings it makes the steps that the baseline keeps.",
    equation="|w - w'| <= 2^-26 |step|",
    source="the file of --baseline",
    meaning="Trainings that are repeated with this version end elsewhere.",
)


def apart(
    request: GateRequest, claim: str, ours: Traces, theirs: Traces, *, than: str, location: Location | None
) -> list[Finding]:
    """Return one finding a scenario; skip a scenario that only one of the two could play, with the reason."""
    found = [
        _judged(request, claim, name, ours[name], theirs[name], than, location)
        for name in ours
        if name in theirs
    ]
    for name in sorted(ours.keys() ^ theirs.keys()):
        told = f"{'this optimizer' if name in ours else than} alone could play it"
        found.append(noted(request, claim, name, "skipped", message=told))
    return found


def _judged(
    request: GateRequest,
    claim: str,
    name: str,
    ours: Sequence[Sequence[float | None]],
    theirs: Sequence[Sequence[float | None]],
    than: str,
    location: Location | None,
) -> Finding:
    a, b = np.asarray(ours, dtype=float), np.asarray(theirs, dtype=float)
    shares = _shares(a, b)
    first = next((t for t, share in enumerate(shares) if not share <= TOLERANCE), None)
    worst = float(np.max(shares)) if np.all(np.isfinite(shares)) else None
    told = ""
    if first is not None:
        size = f"by {shares[first]:.3g} of a step" if np.isfinite(shares[first]) else "without bound"
        told = f"with {name} it differs from {than} from step {first + 1} on, {size}"
    return noted(
        request,
        claim,
        name,
        "holds" if first is None else "violated",
        quantity="largest difference, as a share of a step",
        measured=Measured(value=worst),
        expected=0.0,
        margin=Margin(low=0.0, high=TOLERANCE),
        message=told or f"{len(a)} steps with {name} are those of {than}",
        diagnosis=told,
        n_steps=len(a),
        location=None if first is None else location,
    )


def _shares(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return each step's largest difference, in units of the largest step, or of weights that never move."""
    if a.shape != b.shape:
        return np.full(max(len(a), 1), np.inf)
    with np.errstate(all="ignore"):
        steps = np.abs(np.concatenate((np.diff(a, axis=0), np.diff(b, axis=0))))
        moved = float(np.max(steps, initial=0.0, where=np.isfinite(steps)))
        size = float(np.max(np.abs(a), initial=0.0, where=np.isfinite(a)))
        gaps = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, np.abs(a - b))
    gaps = np.where(np.isnan(gaps), np.inf, gaps)
    return np.asarray(gaps.max(axis=1) / (moved or size or 1.0))
