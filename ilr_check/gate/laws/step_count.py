"""A step count keeps counting: beyond the sizes at which narrow numbers stop, and after a load."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from ilr_check.gate.agreement import failed_reading
from ilr_check.gate.law import Circumstances, GateLaw, Reading, fact_reading, law_text
from ilr_check.gate.stimuli.courses import Course, StepFailedError, advance, begin, make_course
from ilr_check.gate.subject import Subject
from ilr_check.gate.trial import Trial

ORDER = 36
LEARNT = 3
COUNT = "step"
CORNERS = (255, 256, 2047, 2048, 65535, 10**6)
"""After these counts a byte, a bfloat16, a float16, a short and 20 bits have no next number."""


def check(subject: Subject, circumstances: Circumstances) -> Iterable[Reading]:
    """Set each number that counts steps to each of these counts: one more step must add one."""
    course = make_course(subject, circumstances.generator(), [(2, 2)], steps=LEARNT + 1)
    try:
        begun = begin(subject, course)
        counters, wrong = _counters(begun, course)
        yield fact_reading(
            not wrong,
            group="it counts",
            message=f"numbers with the name {COUNT} after each of {LEARNT} steps",
            diagnosis=f"{COUNT} in its state or its groups is {wrong} after the first {LEARNT} steps",
            n_steps=LEARNT,
        )
        if not counters:
            told = "nothing in its state or its groups counts its steps"
            yield Reading(group="", verdict="skipped", message=told)
            return
        for corner in CORNERS:
            yield _one(subject, course, counters, corner)
    except StepFailedError as error:
        yield failed_reading("a step", error)


def _one(subject: Subject, course: Course, counters: tuple[str, ...], corner: int) -> Reading:
    group = f"after {corner} steps"
    trial = begin(subject, course)
    for t in range(LEARNT):
        advance(trial, course, t)
    for holder in _holders(trial):
        for key in holder.keys() & set(counters):
            holder[key] = _set(holder[key], corner)
    advance(trial, course, LEARNT)
    counted = {key: float(h[key]) for h in _holders(trial) for key in counters if key in h}
    wrong = {key: n for key, n in counted.items() if n != corner + 1}
    told = ", ".join(f"{key} is {n:.10g}" for key, n in wrong.items())
    finite = all(bool(w.isfinite().all()) for w in trial.values())
    return fact_reading(
        not wrong and finite,
        group=group,
        message=told or f"{', '.join(counters)} counts to {corner + 1}",
        diagnosis=f"one step after {corner} the count {told}: its type has no next number"
        if wrong
        else f"the step {group} leaves weights that are not finite",
        n_steps=LEARNT + 1,
    )


def _set(old: Any, value: int) -> Any:
    return torch.full_like(old, value) if isinstance(old, Tensor) else type(old)(value)


def _holders(trial: Trial) -> list[dict[str, Any]]:
    """Return the places of counts: the state of each tensor, and the groups."""
    state = getattr(trial.optimizer, "state", {})
    states = [s for s in state.values() if isinstance(s, dict)] if isinstance(state, Mapping) else []
    return [*states, *trial.optimizer.param_groups]


def _counters(trial: Trial, course: Course) -> tuple[tuple[str, ...], str]:
    """Return the keys whose number equals the count of steps, and how the count goes where it is not by 1."""
    known: set[str] | None = None
    rows = []
    for t in range(LEARNT):
        advance(trial, course, t)
        now = {key for h in _holders(trial) for key, value in h.items() if _number(value) == t + 1}
        known = now if known is None else known & now
        rows.append([_number(h[COUNT]) for h in _holders(trial) if COUNT in h])
    first = [row[0] for row in rows if row and row[0] is not None]
    by = {later - before for before, later in pairwise(first)}
    wrong = ", ".join(f"{number:g}" for number in first) if len(by) == 1 and by != {1.0} else ""
    return tuple(sorted(known or ())), wrong


def _number(value: Any) -> float | None:
    if isinstance(value, Tensor):
        return float(value) if value.numel() == 1 and value.dtype != torch.bool else None
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


LAW = GateLaw(
    text=law_text(
        "step-count",
        "A step count does not stop",
        "A number with the name step counts, and a count of steps that stands at 255, 256, 2047, 2048, 65535 "
        "or a million counts one further.",
        equation="t ← t + 1",
        source="pytorch/ao#4915: a count in bfloat16 stops at 256; float16 at 2048, a byte wraps at 256",
        meaning="Bias correction and schedules stand still from there on, or begin again.",
    ),
    tier="exact",
    blind_to="counts beyond a million; counts that are kept nowhere in the state",
    check=check,
    milder={"it counts": ("fragility", "nobody may read the number")},
)
