"""Courses: a whole training as values, so that an optimizer can be driven through it in two ways.

The gradients are handed over and never computed from the weights. Rounding differences between two ways
therefore stay rounding differences.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ilr_check.gate.driving import arranged, layout_copy
from ilr_check.gate.reference.trajectory import DTYPES, probing_gradients
from ilr_check.gate.stimuli.silence import silent_steps
from ilr_check.gate.subject import Subject, SubjectError
from ilr_check.gate.trial import Driven, Trial
from ilr_check.gate.words.exceptions import exception_words

STEPS = 4
LR, WEIGHT_DECAY = 0.1, 0.2
RATES = (
    {"lr": 0.1, "weight_decay": 0.2},
    {"lr": 0.03, "weight_decay": 0.05},
    {"lr": 0.17, "weight_decay": 0.4},
)
"""lr and weight decay of three groups; all products differ."""


class StepFailedError(Exception):
    """The optimizer raised an exception in a legal use; the message names it."""


@dataclass(frozen=True, eq=False)
class Course:
    """Tensors, their groups, and one gradient for each tensor and step (``None``: no gradient)."""

    starts: tuple[Tensor, ...]
    gradients: tuple[tuple[Tensor | None, ...], ...]
    groups: tuple[tuple[int, ...], ...]
    """The tensors of each group."""
    settings: tuple[Mapping[str, Any], ...]
    """lr and weight decay of each group, by our names."""
    joins: tuple[int, ...]
    """The step before which each group is added; 0 for those of the constructor."""
    hyper: Mapping[str, Any]
    """These arguments go to the constructor."""
    options: tuple[Mapping[str, Any], ...] = ()
    """Further options of each group, by the target's own names; empty where no group has any."""
    schedule: tuple[Mapping[str, float], ...] = ()
    """Settings that are written into all groups before each step; empty where nothing changes."""
    as_groups: bool = False
    """Whether a single group has its settings as keys, too, and not from the constructor."""

    def seen(self, i: int) -> tuple[int, ...]:
        """Return the steps at which tensor ``i`` has joined and has a gradient."""
        join = next(self.joins[k] for k, members in enumerate(self.groups) if i in members)
        return tuple(t for t, row in enumerate(self.gradients) if t >= join and row[i] is not None)

    def alone(self, i: int) -> Course:
        """Return the course of an optimizer that has tensor ``i`` alone, at the steps of ``seen``."""
        k = next(k for k, members in enumerate(self.groups) if i in members)
        rows = tuple((self.gradients[t][i],) for t in self.seen(i))
        hyper = {**self.hyper, **self.settings[k]}
        schedule = tuple(self.schedule[t] for t in self.seen(i)) if self.schedule else ()
        return Course((self.starts[i],), rows, ((0,),), (self.settings[k],), (0,), hyper, schedule=schedule)

    def without(self, *tensors: int) -> Course:
        """Return the same course without these tensors; a group that loses all of its tensors stays."""
        kept = [i for i in range(len(self.starts)) if i not in tensors]
        place = {i: n for n, i in enumerate(kept)}
        return replace(
            self,
            starts=tuple(self.starts[i] for i in kept),
            gradients=tuple(tuple(row[i] for i in kept) for row in self.gradients),
            groups=tuple(tuple(place[i] for i in group if i in place) for group in self.groups),
        )


@dataclass(frozen=True, eq=False)
class Trail:
    """The weights before the first step and after every step; a tensor keeps its start until it joins."""

    weights: tuple[tuple[Tensor, ...], ...]

    def of(self, i: int, steps: Sequence[int]) -> Trail:
        """Return the trail of tensor ``i`` alone: its start, and its weights after each of these steps."""
        return Trail(((self.weights[0][i],), *((self.weights[t + 1][i],) for t in steps)))


def make_course(
    subject: Subject,
    rng: np.random.Generator,
    shapes: Sequence[tuple[int, ...]],
    *,
    steps: int = STEPS,
    groups: Sequence[Sequence[int]] | None = None,
    joins: Sequence[int] | None = None,
    dtypes: Sequence[str] | None = None,
    missing: Mapping[int, Sequence[int]] | None = None,
    decay: bool = True,
    hyper: Mapping[str, Any] | None = None,
    options: Sequence[Mapping[str, Any]] = (),
    schedule: Sequence[Mapping[str, float]] = (),
) -> Course:
    """Return a course with gradients over four decades.

    ``missing`` are the steps at which a tensor has no gradient. ``hyper`` goes to the constructor. Where the
    optimizer moves nothing at first, the course is longer by these steps, unless a schedule has its length.
    """
    # Where a family is known, its reference says when to move.
    steps += 0 if schedule or subject.contract is not None else silent_steps(subject)
    names = [subject.dtype] * len(shapes) if dtypes is None else list(dtypes)
    device = subject.device
    # Gradients of float16 end at 6e-8 and their squares at 2.4e-4, so narrow dtypes get moderate ones.
    drawn = probing_gradients(subject.contract, rng, shapes, steps)
    rows: list[tuple[Tensor | None, ...]] = []
    for t, row in enumerate(drawn):
        handed: list[Tensor | None] = []
        for i, (g, name) in enumerate(zip(row, names, strict=True)):
            absent = g is None or t in (missing or {}).get(i, ())
            handed.append(None if g is None or absent else tensor_of(_for(name, g), name, device))
        rows.append(tuple(handed))
    members = [tuple(range(len(shapes)))] if groups is None else [tuple(group) for group in groups]
    settable = [name for name in ("lr", "weight_decay") if subject.can_vary(name)]
    wanted = ({"lr": LR, "weight_decay": WEIGHT_DECAY},) if groups is None else RATES
    settings = tuple(
        {k: (v if k == "lr" or decay else 0.0) for k, v in wanted[n % len(wanted)].items() if k in settable}
        for n in range(len(members))
    )
    return Course(
        starts=tuple(
            tensor_of(rng.uniform(0.5, 2.0, size=shape), name, device)
            for shape, name in zip(shapes, names, strict=True)
        ),
        gradients=tuple(rows),
        groups=tuple(members),
        settings=settings,
        joins=tuple(joins or [0] * len(members)),
        hyper={**settings[0], **(hyper or {})},
        options=tuple(options),
        schedule=tuple(schedule),
    )


def tensor_of(array: Any, dtype: str, device: str = "cpu") -> Tensor:
    """Return numbers as a tensor of this dtype, rounded once."""
    return torch.tensor(np.asarray(array), dtype=torch.float64, device=device).to(DTYPES[dtype])


def _for(dtype: str, gradient: Any) -> Any:
    if dtype in ("float64", "float32"):
        return gradient
    return np.sign(gradient) * np.clip(np.abs(gradient), 0.05, 4.0)


def drive(subject: Subject, course: Course, **changes: Any) -> Trail:
    """Return the trail of a new optimizer through a course.

    ``changes`` replace what the constructor gets. Raises ``SubjectError`` where it cannot be built so, and
    ``StepFailedError`` where a step or a late group raises an exception.
    """
    trial = begin(subject, course, **changes)
    rows = [tuple(trial.values())]
    for t in range(len(course.gradients)):
        advance(trial, course, t)
        rows.append(tuple(trial.values()))
    return Trail(tuple(rows))


def begin(subject: Subject, course: Course, **changes: Any) -> Trial:
    """Build an optimizer at the start of a course, with the groups that exist from the beginning."""
    parameters = subject.parameters(layout_copy(start) for start in course.starts)
    hyper = {**course.hyper, **changes}
    if len(course.groups) == 1 and not course.as_groups:
        return Trial(subject, parameters, subject.build(parameters, **hyper), hyper)
    groups = [
        {
            "params": [parameters[i] for i in members],
            **_options(subject, course.settings[k]),
            **(course.options[k] if course.options else {}),
        }
        for k, members in enumerate(course.groups)
        if course.joins[k] == 0
    ]
    return Trial(subject, parameters, subject.build(groups, **hyper), hyper)


def advance(trial: Trial, course: Course, t: int) -> None:
    """Take step ``t`` of a course, after the groups that join before it."""
    joined = [k for k, at in enumerate(course.joins) if at <= t]
    try:
        for k in joined:
            if course.joins[k] == t > 0:
                subject = trial.subject
                group = {"params": [trial.parameters[i] for i in course.groups[k]]}
                group |= _options(subject, course.settings[k])
                # A constructor may use the names up; torch then refuses a later group that has some.
                named = subject.takes_names and "param_names" in trial.optimizer.param_groups[0]
                (late,) = arranged([group], subject.tags, named=named)
                trial.optimizer.add_param_group(late)
        if course.schedule:
            trial.set(**course.schedule[t])
        there = {i for k in joined for i in course.groups[k]}
        trial.step([g if i in there else None for i, g in enumerate(course.gradients[t])])
    except Exception as error:
        raise StepFailedError(exception_words(error)) from error


def _options(subject: Driven, setting: Mapping[str, Any]) -> dict[str, Any]:
    """Return a setting by the target's own group keys; raises ``SubjectError`` where it has none."""
    keys = {ours: subject.group_key(ours) for ours in setting}
    missing = [ours for ours, key in keys.items() if key is None]
    if missing:
        raise SubjectError(f"{subject.title} keeps no {' and no '.join(missing)} in its param_groups")
    return {key: setting[ours] for ours, key in keys.items() if key is not None}
