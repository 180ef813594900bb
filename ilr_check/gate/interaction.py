"""Measure which numbers of an optimizer interact: entries, rows or columns of a tensor, or tensors."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ilr_check.gate.law import Circumstances
from ilr_check.gate.serving import draws_numbers
from ilr_check.gate.stimuli.courses import Course, StepFailedError, drive, make_course
from ilr_check.gate.subject import Subject, SubjectError

SHAPE = (3, 4)
FACTOR = 1000.0
"""One gradient grows by this factor, so that clipping and maxima over rows, columns or tensors act."""
LARGE_LR = 100.0
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
    if draws_numbers(subject):
        return Interaction("tensor", True)  # the numbers that one entry draws, the next one does not
    try:
        course = make_course(subject, rng, [SHAPE, SHAPE], steps=STEPS)
        steady = steady_course(subject, course)
        calm, grown = (drive(subject, one).weights[-1] for one in (steady, _grown(steady)))
        ways = [_moved(subject, way) for way in (course, _orthogonal(course))]
    except (SubjectError, StepFailedError):
        return Interaction("tensor", True)
    moved = [one | other for one, other in zip(*ways, strict=True)]
    across = bool(moved[1].any()) or bool(_apart(calm[1], grown[1]).any())
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


def _moved(subject: Subject, course: Course) -> list[NDArray[np.bool_]]:
    """Return which weights end elsewhere if one entry of the first gradient grows."""
    plain, changed = (drive(subject, c).weights[-1] for c in (course, _changed(course)))
    return [_apart(a, b) for a, b in zip(plain, changed, strict=True)]


def _apart(one: Tensor, other: Tensor) -> NDArray[np.bool_]:
    same = (one == other) | (one.isnan() & other.isnan())
    return np.asarray((~same).cpu().numpy())


def steady_course(subject: Subject, course: Course) -> Course:
    """Return the course with one gradient and a large lr at all steps, under which D-Adaptation grows d."""
    rows = (course.gradients[0],) * len(course.gradients)
    if not subject.can_vary("lr"):
        return replace(course, gradients=rows)
    settings = tuple({**setting, "lr": LARGE_LR} for setting in course.settings)
    return replace(course, gradients=rows, settings=settings, hyper={**course.hyper, "lr": LARGE_LR})


def _orthogonal(course: Course) -> Course:
    """Return the course with a first gradient that is orthogonal to the weights, row by row.

    So are the gradients of scale-invariant weights, and AdamP takes another step there.
    """
    first, w = course.gradients[0][0], course.starts[0]
    assert first is not None
    tangent = first - w * (first * w).sum(1, keepdim=True) / (w * w).sum(1, keepdim=True)
    return replace(course, gradients=((tangent, *course.gradients[0][1:]), *course.gradients[1:]))


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
