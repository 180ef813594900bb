"""Under torch's schedulers the steps are those of the same lr set by hand."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import torch
from torch.optim import lr_scheduler

from ilr_check.gate.agreement import agreement, failed_reading, gap
from ilr_check.gate.law import Circumstances, GateLaw, Reading, fact_reading, law_text
from ilr_check.gate.laws.zero_lr import lr_is_its_own
from ilr_check.gate.stimuli.courses import Course, StepFailedError, Trail, advance, begin, drive, make_course
from ilr_check.gate.stimuli.silence import STILL, moves_near_zero_alone
from ilr_check.gate.subject import Subject
from ilr_check.gate.words.exceptions import exception_words

ORDER = 28
STEPS = 6
SHAPES = ((3, 4), (2, 3))
SCHEDULERS: dict[str, Callable[[Any], Any]] = {
    "StepLR": lambda o: lr_scheduler.StepLR(o, step_size=2, gamma=0.3),
    "CosineAnnealingLR": lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=STEPS),
    "LambdaLR": lambda o: lr_scheduler.LambdaLR(o, lambda t: (t + 1) / STEPS),
    "LambdaLR from 0": lambda o: lr_scheduler.LambdaLR(o, lambda t: t / STEPS),
    "SequentialLR": lambda o: lr_scheduler.SequentialLR(
        o,
        [lr_scheduler.ConstantLR(o, factor=0.1, total_iters=2), lr_scheduler.ExponentialLR(o, gamma=0.7)],
        milestones=[2],
    ),
    "ReduceLROnPlateau": lambda o: lr_scheduler.ReduceLROnPlateau(o, patience=0, factor=0.5),
}


def applies(subject: Subject) -> str:
    """Return why the law is not judged: torch needs a torch.optim.Optimizer with lr in its groups."""
    if moves_near_zero_alone(subject):
        return STILL
    if not subject.can_schedule("lr"):
        return "its lr cannot be changed between steps"
    built = subject.build([torch.nn.Parameter(torch.ones(2, 2))])
    if not isinstance(built, torch.optim.Optimizer):
        return "it is no torch.optim.Optimizer, and torch's schedulers take no other"
    if "lr" not in built.param_groups[0]:
        return "it keeps no lr in its param_groups"
    return lr_is_its_own(subject)


def check(subject: Subject, circumstances: Circumstances) -> Iterable[Reading]:
    """Compare a scheduler with the same rates set by hand, and without a contract with a constant lr.

    Rprop takes its first step sizes from lr and ignores it later, so that no effect is a departure.
    """
    for name, make in SCHEDULERS.items():
        course = make_course(subject, circumstances.generator(name), SHAPES, steps=STEPS)
        try:
            found, rates = _scheduled(subject, course, make)
            constant = drive(subject, course)
        except StepFailedError as error:
            yield failed_reading(name, error)
            continue
        by_hand = replace(course, schedule=tuple({"lr": rate} for rate in rates))
        yield agreement(
            name,
            lambda found=found: found,  # type: ignore[misc]
            lambda by_hand=by_hand: drive(subject, by_hand),  # type: ignore[misc]
            sentence=f"under {name}: the steps are not those of the same lr set by hand,",
            unit=subject.unit,
        )
        if subject.contract is not None:
            continue  # textbook-step changes lr from step to step, and knows which families ignore that
        yield fact_reading(
            gap(found, constant, subject.unit).ratio > 1.0,
            group=f"acts, {name}",
            message=f"steps with lr from {max(rates):.3g} to {min(rates):.3g}, and with a constant lr",
            diagnosis=f"under {name}: the schedule of lr has no effect, as if lr were read once and kept",
            n_steps=len(course.gradients),
        )


def _scheduled(subject: Subject, course: Course, make: Callable[[Any], Any]) -> tuple[Trail, list[float]]:
    """Return the trail under a scheduler, and the lr of the group at each step."""
    trial = begin(subject, course)
    rows, rates = [tuple(trial.values())], []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of deprecated arguments of its own schedulers
        try:
            scheduler = make(trial.optimizer)
            for t in range(len(course.gradients)):
                rates.append(float(trial.optimizer.param_groups[0]["lr"]))
                advance(trial, course, t)
                scheduler.step(*([1.0] if isinstance(scheduler, lr_scheduler.ReduceLROnPlateau) else []))
                rows.append(tuple(trial.values()))
        except StepFailedError:
            raise
        except Exception as error:
            raise StepFailedError(exception_words(error)) from error
    return Trail(tuple(rows)), rates


LAW = GateLaw(
    text=law_text(
        "schedulers",
        "torch's schedulers step it",
        "Under StepLR, CosineAnnealingLR, LambdaLR, SequentialLR, ReduceLROnPlateau the steps are those of "
        "the same lr set by hand. Without a contract they must differ from those of a constant lr.",
        equation="w′(scheduler) = w′(lr_0, lr_1, …)",
        source="torch.optim.lr_scheduler",
        meaning="lr is cached at construction or in the state: a schedule does nothing or comes late.",
    ),
    tier="exact",
    blind_to="schedulers that change momentum or wd; a schedule that acts one step late however it is set",
    check=check,
    applies=applies,
    refusable={"from 0": "the step says so at once, and a warm-up can begin above zero"},
    milder={"acts": ("departure", "some families, such as Rprop, read lr at the first step alone")},
)
