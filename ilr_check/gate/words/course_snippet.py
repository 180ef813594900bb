"""Write two trainings that must agree, with their groups, as lines that print the difference."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ilr_check.gate.agreement import Gap
from ilr_check.gate.stimuli.courses import Course
from ilr_check.gate.subject import Subject, SubjectError
from ilr_check.gate.trial import CannotVaryError
from ilr_check.gate.words.reproduction import reproduces
from ilr_check.gate.words.snippet import call, head

MANY = 8
"""A course of more tensors is too long to read."""


@dataclass(frozen=True)
class Training:
    """One way through a part of a course: who steps which of its tensors at which of its steps."""

    name: str
    subject: Subject
    course: Course
    """The course of this training alone; its tensors are those of ``which``."""
    which: Sequence[int]
    steps: Sequence[int]


def course_snippet(course: Course, one: Training, other: Training, found: Gap) -> str:
    """Return lines that train in two ways and print the largest difference of the tensor that differs.

    The text is empty where the target is driven by more than gradients and ``step()``, and where the lines do
    not print the measured number.
    """
    subject = one.subject
    driven = subject.needs_closure or subject.takes_names or subject.tags.steps_in_backward
    if driven or subject.setup is not None or len(course.starts) > MANY or not math.isfinite(found.off):
        return ""
    last = max((*one.steps, *other.steps), default=-1)
    lines = head(subject)
    lines += ["start = [", *(f"    {_text(start)}," for start in course.starts), "]"]
    lines += ["gradient = [  # one row for each step"]
    for row in course.gradients[: last + 1]:
        handed = (None if g is None else -g if subject.climbs else g for g in row)
        lines += [f"    [{', '.join('None' if g is None else _text(g) for g in handed)}],"]
    lines.append("]")
    try:
        lines += [*_lines(one), *_lines(other)]
    except (SubjectError, CannotVaryError):
        return ""
    places = [training.which.index(found.tensor) for training in (one, other)]
    ends = [f"{t.name}[{k}].detach().double()" for t, k in zip((one, other), places, strict=True)]
    lines.append(f"print(float(({ends[0]} - {ends[1]}).abs().max()))  # here {found.off!r}, expected 0")
    text = "\n".join(lines)
    return text if reproduces(text, subject, found.off) else ""


def _lines(training: Training) -> list[str]:
    name, course, which = training.name, training.course, list(training.which)
    groups = [_group(training, k) for k in range(len(course.groups))]
    begun = [text for k, text in enumerate(groups) if course.joins[k] == 0]
    parameters = name if len(groups) == 1 and not course.options else f"[{', '.join(begun)}]"
    late = [
        f"    if t == {course.joins[k]}: optimizer.add_param_group({text})"
        for k, text in enumerate(groups)
        if course.joins[k] > 0
    ]
    return [
        f"{name} = [torch.nn.Parameter(start[i].clone()) for i in {which}]",
        f"optimizer = {call(training.subject, parameters, course.hyper)}",
        f"for t in {list(training.steps)}:",
        *late,
        f"    for p, i in zip({name}, {which}):",
        "        p.grad = None if gradient[t][i] is None else gradient[t][i].clone()",
        "    optimizer.step()",
    ]


def _group(training: Training, k: int) -> str:
    course, subject = training.course, training.subject
    members = ", ".join(f"{training.name}[{n}]" for n in course.groups[k])
    own: Mapping[str, Any] = {
        **subject.tags.group_keys,
        **{subject.group_key(ours) or ours: value for ours, value in course.settings[k].items()},
        **(course.options[k] if course.options else {}),
    }
    return "{" + ", ".join([f"'params': [{members}]", *(f"{key!r}: {v!r}" for key, v in own.items())]) + "}"


def _text(tensor: Tensor) -> str:
    dtype = str(tensor.dtype)
    return f"torch.tensor({tensor.double().tolist()!r}, dtype={dtype}).reshape({tuple(tensor.shape)})"
