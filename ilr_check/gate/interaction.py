"""Measure which numbers of an optimizer interact: entries, rows or columns of a tensor, or tensors."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from ilr_check.gate.law import Circumstances
from ilr_check.gate.stimuli.courses import Course, StepFailedError, drive, make_course
from ilr_check.gate.subject import Subject, SubjectError

SHAPE = (3, 4)
FACTOR = 1000.0
"""One gradient grows by this factor, so that clipping and maxima over rows, columns or tensors act."""
STEPS = 8
"""A number that all tensors share, such as D-Adaptation's d, may stand still for some steps."""
Reach = Literal["entry", "row", "column", "tensor"]


@dataclass(frozen=True)
class Interaction:
    """The range of one entry of a gradient."""

    within: Reach
    """``entry``: its own weight; ``row`` and ``column``: these; ``tensor``: more than one of them."""
    across: bool
    """Whether it reaches other tensors."""


def interaction_of(subject: Subject) -> Interaction:
    """Return what interacts in a subject, measured when it is first asked for."""
    if "interaction" not in subject.measured:
        subject.measured["interaction"] = _measured(subject)
    found: Interaction = subject.measured["interaction"]
    return found


def _measured(subject: Subject) -> Interaction:
    """Change one entry of the first gradient, and see which weights end elsewhere.

    An optimizer that cannot be driven so counts as one in which everything interacts.
    """
    rng = Circumstances("interaction").generator()
    try:
        course = make_course(subject, rng, [SHAPE, SHAPE], steps=STEPS)
        plain, changed = drive(subject, course), drive(subject, _changed(course))
        grown = drive(subject, _grown(course))
    except (SubjectError, StepFailedError):
        return Interaction("tensor", True)
    moved = [
        np.asarray((a != b).cpu().numpy())
        for a, b in zip(plain.weights[-1], changed.weights[-1], strict=True)
    ]
    across = bool(moved[1].any()) or bool((plain.weights[-1][1] != grown.weights[-1][1]).any())
    if subject.tags.entrywise is False:
        return Interaction("tensor", across)
    rows, columns = moved[0].any(axis=1).sum(), moved[0].any(axis=0).sum()
    reach: Reach = "tensor"
    if rows <= 1 and columns <= 1:
        reach = "entry"
    elif rows <= 1:
        reach = "row"
    elif columns <= 1:
        reach = "column"
    return Interaction(reach, across)


def _grown(course: Course) -> Course:
    """Return the course with larger gradients of the first tensor at every step."""
    rows = tuple((None if row[0] is None else FACTOR * row[0], *row[1:]) for row in course.gradients)
    return replace(course, gradients=rows)


def _changed(course: Course) -> Course:
    first = course.gradients[0][0]
    assert first is not None
    other = first.clone()
    other[1, 2] *= FACTOR
    rows = ((other, *course.gradients[0][1:]), *course.gradients[1:])
    return replace(course, gradients=rows)


def tensors_interact(subject: Subject) -> str:
    """Return why laws about single tensors do not apply; empty where they do."""
    across = interaction_of(subject).across
    return "its tensors interact, so none of them has a step of its own" if across else ""
