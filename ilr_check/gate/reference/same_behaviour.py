"""Two behaviour records: in which settings the steps differ, where first, and by how much. Imports no torch.

A change is told where it exceeds half of the digits of the arithmetic, as in ``same_steps``, and 16 times
what gradients that differ by 128 units of rounding do to the same steps, and 16 roundings of the weights. So
an optimizer that amplifies rounding, draws random numbers or takes tiny steps is not told to have changed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from ilr_check.evidence import Margin, Measured
from ilr_check.evidence.gate import Finding, Location
from ilr_check.gate.process.noting import noted
from ilr_check.gate.process.request import GateRequest
from ilr_check.gate.recorded import Behaviour, Played
from ilr_check.gate.reference.same_steps import TOLERANCE

TOLERANCES = {"in float32": 2.0**-12}
"""Half of the digits of a float32; every other course is played in float64."""
AMPLIFIED = 16.0
ORDINALS = (
    *("first", "second", "third", "fourth", "fifth", "sixth"),
    *("seventh", "eighth", "ninth", "tenth", "eleventh", "twelfth"),
)


class Difference:
    """The first step of one course and tensor at which two records differ."""

    def __init__(self, name: str, words: str, size: float) -> None:
        self.name, self.words, self.size = name, words, size


def behaviour_changes(
    request: GateRequest,
    claim: str,
    ours: Behaviour,
    theirs: Behaviour,
    *,
    than: str,
    location: Location | None = None,
) -> list[Finding]:
    """Return one finding a setting; a setting of one of the two alone is skipped, with a sentence."""
    found = [
        _judged(request, claim, setting, ours[setting], theirs[setting], than, location)
        for setting in ours
        if setting in theirs
    ]
    for setting in [*(s for s in ours if s not in theirs), *(s for s in theirs if s not in ours)]:
        told = f"new setting: {than} has no {setting}" if setting in ours else f"removed: {setting}"
        found.append(noted(request, claim, setting, "skipped", message=told))
    return found


def differences(ours: Mapping[str, Played], theirs: Mapping[str, Played], than: str) -> list[Difference]:
    """Return the first difference of each course and tensor that both records have."""
    found = []
    for name in ours:
        if name in theirs:
            told = _difference(name, ours[name], theirs[name], than)
            if told is not None:
                found.append(told)
    if not found and not ours.keys() & theirs.keys():
        # One of the two refuses the setting, and has nothing but the exception.
        one, other = next(iter(ours.values())), next(iter(theirs.values()))
        refused = (
            f"it raises {one.error}, where {than} does not" if one.error else f"{than} raised {other.error}"
        )
        found.append(Difference("", refused, math.inf))
    return found


def _judged(
    request: GateRequest,
    claim: str,
    setting: str,
    ours: Mapping[str, Played],
    theirs: Mapping[str, Played],
    than: str,
    location: Location | None,
) -> Finding:
    found = differences(ours, theirs, than)
    told = ""
    if found:
        told = f"with {setting} {found[0].words}"
        if len(found) > 1:
            told += f"; so do {len(found) - 1} more of {len(ours)} cases"
    worst = max((difference.size for difference in found), default=0.0)
    return noted(
        request,
        claim,
        setting,
        "violated" if found else "holds",
        quantity="largest difference, as a share of a step",
        measured=Measured(value=worst if math.isfinite(worst) else None),
        expected=0.0,
        margin=Margin(low=0.0, high=TOLERANCE),
        message=told or f"the steps with {setting} are those of {than}",
        diagnosis=told,
        n_steps=max((len(played.lengths) for played in ours.values()), default=0),
        location=location if found else None,
    )


def _difference(name: str, ours: Played, theirs: Played, than: str) -> Difference | None:
    tensor, _, course = name.partition(", ")
    where = f" ({course})" if course else ""
    scale = max(_largest(ours), _largest(theirs)) or 1.0
    noise = max(played.noise * _largest(played) for played in (ours, theirs)) / scale
    tolerance = max(TOLERANCES.get(course, TOLERANCE), AMPLIFIED * noise)
    for t in range(min(len(ours.lengths), len(theirs.lengths))):
        pairs = ((ours.lengths[t], theirs.lengths[t]), (ours.products[t], theirs.products[t]))
        size = max(_gap(a, b) for a, b in pairs) / scale
        if size > tolerance:
            by = f"by a relative {size:.2g}" if math.isfinite(size) else "without bound"
            return Difference(
                name, f"the {_ordinal(t)} step of {tensor}{where} differs from {than} {by}", size
            )
    if _kind(ours) != _kind(theirs) or (ours.error and len(ours.lengths) != len(theirs.lengths)):
        step = f"the {_ordinal(len(ours.lengths))} step of {tensor}{where}"
        if not ours.error:
            return Difference(name, f"{than} raised {theirs.error} in {tensor}{where}", math.inf)
        return Difference(name, f"{step} raises {ours.error}, unlike {than}", math.inf)
    return None


def _gap(a: float | None, b: float | None) -> float:
    if a is None or b is None:
        return 0.0 if a is b else math.inf
    return abs(a - b)


def _largest(played: Played) -> float:
    return max((abs(n) for n in played.lengths if n is not None), default=0.0)


def _kind(played: Played) -> str:
    """Return the class of the exception: its sentence may change from version to version."""
    return played.error.partition(":")[0]


def _ordinal(t: int) -> str:
    return ORDINALS[t] if t < len(ORDINALS) else f"{t + 1}th"
