"""Loading a state_dict without a newer option takes the constructor's value or the default, or fails."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn

from ilr_check.gate.agreement import agreement
from ilr_check.gate.law import Circumstances, GateLaw, Reading, law_text
from ilr_check.gate.laws.switches import usable
from ilr_check.gate.stimuli.courses import Course, StepFailedError, Trail, advance, begin, drive, make_course
from ilr_check.gate.subject import Subject, SubjectError
from ilr_check.gate.trial import Trial
from ilr_check.gate.words.exceptions import exception_words
from ilr_check.optim.contracts.reference import UNIT

ORDER = 33
STEPS, BREAK = 5, 2
SHAPES = ((3, 4), (2, 3))
MISSING = object()
NARROW = {"capturable", "differentiable"}
"""The paths of these switches keep the powers of the step count in float32."""


def applies(subject: Subject) -> str:
    """Return why the law is not judged: there is no state to save."""
    built = begin_one(subject)
    missing = [name for name in ("state_dict", "load_state_dict") if not hasattr(built, name)]
    return f"it has no {' and no '.join(missing)}" if missing else ""


def begin_one(subject: Subject) -> Any:
    """Return a built optimizer."""
    course = make_course(subject, Circumstances("old-state").generator(), [(2, 2)], steps=1)
    return begin(subject, course).optimizer


def check(subject: Subject, circumstances: Circumstances) -> Iterable[Reading]:
    """Remove each option from the saved groups; then load the default path's state under every switch."""
    course = make_course(subject, circumstances.generator(), SHAPES, steps=STEPS)
    options = [key for key in begin(subject, course).optimizer.param_groups[0] if key != "params"]
    for option in options:
        yield _without(subject, course, option)
    for name, switch in usable(subject).items():
        switched = subject.with_switches(**switch)
        yield agreement(
            f"into {name}",
            lambda switched=switched: _resumed(subject, switched, course),  # type: ignore[misc]
            lambda: drive(subject, course),
            sentence=f"a state saved by the default path goes on otherwise when {name} loads it,",
            unit=max(subject.unit, UNIT["float32"] if NARROW & switch.keys() else 0.0),
        )


def _without(subject: Subject, course: Course, option: str) -> Reading:
    """Judge a state without this option in its groups; an optimizer that refuses it is correct."""
    group = f"without {option}"
    try:
        found = _resumed(subject, subject, course, without=option)
    except (SubjectError, StepFailedError) as error:
        told = f"a state without {option} is refused: {error}"
        return Reading(group=group, verdict="skipped", message=told)
    kept = agreement(
        group,
        lambda: found,
        lambda: drive(subject, course),
        sentence=f"a state saved without {option!r} loads and goes on with another value than the "
        "constructor's,",
        unit=subject.unit,
    )
    default = _defaults(subject).get(option, MISSING)
    if kept.verdict != "violated" or default is MISSING:
        return kept
    by_default = agreement(
        group,
        lambda: found,
        lambda: _resumed(subject, subject, course, written={option: default}),
        sentence="",
        unit=subject.unit,
    )
    if by_default.verdict != "holds":
        return kept
    told = f"a state without {option} goes on with the default, {default!r}"
    return dataclasses.replace(by_default, message=told)


def _defaults(subject: Subject) -> Mapping[str, Any]:
    """Return the options of a group that nobody set: a state that lacks one cannot say more than these.

    The author of ``__setstate__`` knows the class alone, and not what the user of the old state had set.
    """
    try:
        built = dataclasses.replace(subject, args={}).build([nn.Parameter(torch.ones(2, 2))])
    except SubjectError:
        return {}  # it requires an argument, which has no default
    found: Mapping[str, Any] = built.param_groups[0]
    return found


def _resumed(
    saving: Subject,
    loading: Subject,
    course: Course,
    *,
    without: str = "",
    written: Mapping[str, Any] | None = None,
) -> Trail:
    """Return the trail of a training that is saved and loaded into a fresh optimizer.

    ``without`` is removed from the saved groups; ``written`` is set in the groups after loading.
    """
    trial = begin(saving, course)
    rows = [tuple(trial.values())]
    for t in range(BREAK):
        advance(trial, course, t)
        rows.append(tuple(trial.values()))
    saved = copy.deepcopy(trial.optimizer.state_dict())
    if "param_groups" not in saved:
        raise SubjectError("its state_dict has no param_groups")
    for group in saved["param_groups"]:
        group.pop(without, None)
    fresh: Trial = loading.start(trial.values(), **course.hyper)
    try:
        if fresh.optimizer.param_groups[0].get(without, 0) != trial.optimizer.param_groups[0].get(without, 0):
            raise SubjectError(f"{without} changes from step to step")
        fresh.optimizer.load_state_dict(saved)
        for group in fresh.optimizer.param_groups:
            group.update(written or {})
    except Exception as error:
        raise StepFailedError(exception_words(error)) from error
    # A course is longer where the optimizer moves nothing at first.
    for t in range(BREAK, len(course.gradients)):
        advance(fresh, course, t)
        rows.append(tuple(fresh.values()))
    return Trail(tuple(rows))


LAW = GateLaw(
    text=law_text(
        "old-state",
        "A checkpoint of an older version loads as it was meant",
        "A state_dict whose groups lack an option goes on with the constructor's value, or with the default "
        "of the class, or is refused; one that the default path saved goes on under every switch.",
        equation="load(save(state) ∖ option) = state, or an error",
        source="torch.optim: __setstate__; pytorch/pytorch#144972: old AdamW states load as L2 Adam",
        meaning="Trainings that are resumed after an update of the package go on with another rule.",
        rivals=("another value in __setstate__ than in the constructor",),
    ),
    tier="exact",
    blind_to="states whose tensors had other names or other shapes",
    check=check,
    applies=applies,
    milder={"": ("fragility", "only states of another version or of another path are concerned")},
)
