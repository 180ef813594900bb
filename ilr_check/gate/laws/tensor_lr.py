"""An lr that is a tensor, even one for several groups, acts like a number and stays unchanged."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch.optim import lr_scheduler

from ilr_check.gate.agreement import agreement, failed_reading
from ilr_check.gate.law import Circumstances, GateLaw, Reading, fact_reading, law_text
from ilr_check.gate.stimuli.courses import Course, StepFailedError, Trail, advance, begin, drive, make_course
from ilr_check.gate.subject import Subject, SubjectError
from ilr_check.optim.contracts.reference import UNIT

ORDER = 32
STEPS = 3
SHAPES = ((3, 4), (3, 4))
LR = 0.25
"""A power of two: a tensor of float32 holds it exactly."""
RATES = (0.25, 0.0625, 0.5)
FACTORS = (0.5, 0.125)
"""Two schedules set these values in two groups."""


def applies(subject: Subject) -> str:
    """Return why the law is not judged: the constructor takes no lr, or the target forbids a tensor."""
    if subject.tags.tensor_lr is False:
        return "it declares that its lr is a number"
    if subject.taken is None or not subject.can_vary("lr"):
        return "its constructor does not name lr"
    return ""


def check(subject: Subject, circumstances: Circumstances) -> Iterable[Reading]:
    """Judge one group, several groups with one tensor, a schedule for each group, and the tensor itself."""
    one = make_course(subject, circumstances.generator("one"), SHAPES, steps=STEPS)
    settings = tuple({k: v for k, v in one.settings[0].items() if k != "lr"} for _ in SHAPES)
    shared = Course(one.starts, one.gradients, ((0,), (1,)), settings, (0, 0), one.hyper)
    changing = replace(one, schedule=tuple({"lr": rate} for rate in RATES))
    every = {"one group": one, "one tensor for two groups": shared}
    if subject.can_schedule("lr"):
        every["a tensor that changes"] = changing
    # A step that multiplies in float32, because its lr is a float32 tensor, counts as the same step.
    unit = max(subject.unit, UNIT["float32"])
    for words, course in every.items():
        yield agreement(
            words,
            lambda course=course: drive(subject, _bare(course), lr=torch.tensor(LR)),  # type: ignore[misc]
            lambda course=course: drive(subject, _bare(course), lr=LR),  # type: ignore[misc]
            sentence=f"an lr that is a tensor, {words}: the steps are not those of a number,",
            unit=unit,
        )
    yield agreement(
        "a schedule of its own for each group",
        lambda: _scheduled(subject, shared, torch.tensor(LR)),
        lambda: _scheduled(subject, shared, LR),
        sentence="one tensor is the lr of two groups, and a schedule of the one moves the other,",
        unit=unit,
    )
    yield from _kept(subject, one)


def _bare(course: Course) -> Course:
    """Return the same course with no lr in its groups, so that the constructor's value holds."""
    settings = tuple({k: v for k, v in s.items() if k != "lr"} for s in course.settings)
    return replace(course, settings=settings)


def _scheduled(subject: Subject, course: Course, lr: Any) -> Trail:
    trial = begin(subject, course, lr=lr)
    if not isinstance(trial.optimizer, torch.optim.Optimizer):
        raise SubjectError("it is no torch.optim.Optimizer, and torch's schedulers take no other")
    rows = [tuple(trial.values())]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of the order of calls in its own schedulers
        lambdas: list[Callable[[int], float]] = [partial(pow, factor) for factor in FACTORS]
        try:
            scheduler = lr_scheduler.LambdaLR(trial.optimizer, lambdas)
        except Exception as error:
            raise SubjectError(f"LambdaLR does not take it: {error}") from error
        for t in range(len(course.gradients)):
            advance(trial, course, t)
            scheduler.step()
            rows.append(tuple(trial.values()))
    return Trail(tuple(rows))


def _kept(subject: Subject, course: Course) -> Iterable[Reading]:
    lr = torch.tensor(LR)
    try:
        trial = begin(subject, _bare(course), lr=lr)
        for t in range(STEPS):
            advance(trial, course, t)
    except SubjectError:
        return
    except StepFailedError as error:
        yield failed_reading("the tensor itself", error)
        return
    yield fact_reading(
        float(lr) == LR,
        group="the tensor itself",
        message=f"it is {float(lr):g} after {STEPS} steps",
        diagnosis=f"the step works in place on lr: the tensor was {LR:g} and is {float(lr):g}",
        n_steps=STEPS,
    )


LAW = GateLaw(
    text=law_text(
        "tensor-lr",
        "An lr may be a tensor",
        "A tensor as lr, also one for several groups, gives the steps of a number and is left as it is.",
        equation="w′(tensor lr) = w′(lr)",
        source="torch.optim: lr (float, Tensor); needed for capturable and compiled steps",
        meaning="The tensor is changed in place, shared by groups that part, or rounded on the way.",
    ),
    tier="exact",
    blind_to="tensors on other devices",
    check=check,
    applies=applies,
    milder={"": ("fragility", "lr is a number in most trainings")},
)
