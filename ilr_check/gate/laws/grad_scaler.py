"""Under torch's GradScaler a scale of 2^10 changes nothing, and a step that overflows does nothing."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ilr_check.gate.agreement import agreement, failed_reading
from ilr_check.gate.law import Circumstances, GateLaw, Reading, law_text, same_reading
from ilr_check.gate.stimuli.courses import Course, StepFailedError, Trail, begin, drive, make_course
from ilr_check.gate.stimuli.paths import difference
from ilr_check.gate.subject import Subject
from ilr_check.gate.words.exceptions import exception_words

ORDER = 31
SCALE = 2.0**10
STEPS, OVERFLOW = 4, 1
SHAPES = ((3, 4), (2, 3))


def applies(subject: Subject) -> str:
    """Return why a GradScaler would not accept the optimizer; empty where it would."""
    if subject.needs_closure or subject.tags.steps_in_backward:
        return "torch's GradScaler takes no closure and no steps inside backward"
    if subject.contract is not None and subject.contract.sparse:
        return "torch's GradScaler is for dense gradients here"
    built = subject.build([torch.nn.Parameter(torch.ones(2, 2))])
    return "" if isinstance(built, torch.optim.Optimizer) else "it is no torch.optim.Optimizer"


def check(subject: Subject, circumstances: Circumstances) -> Iterable[Reading]:
    """Judge scaled steps with and without ``unscale_``, and an overflow in the second of four steps."""
    course = make_course(subject, circumstances.generator(), SHAPES, steps=STEPS)
    passing = replace(course, gradients=course.gradients[:OVERFLOW] + course.gradients[OVERFLOW + 1 :])
    for words, unscale in (("", False), (" after unscale_()", True)):
        yield agreement(
            f"a scale of 2^10{words}",
            lambda unscale=unscale: _scaled(subject, course, unscale=unscale)[0],  # type: ignore[misc]
            lambda: drive(subject, course),
            sentence=f"under a GradScaler{words} the steps are not those of the unscaled gradients,",
            unit=subject.unit,
        )
        yield _overflow(subject, course, passing, words, unscale)


def _overflow(subject: Subject, course: Course, passing: Course, words: str, unscale: bool) -> Reading:
    group = f"an overflow{words}"
    try:
        found, moved = _scaled(subject, course, unscale=unscale, overflow=OVERFLOW)
    except StepFailedError as error:
        return failed_reading(group, error)
    if moved:
        return same_reading(
            moved,
            group=group,
            diagnosis=f"a step whose gradients overflow{words} is taken: the weights move by {{}}",
            n_steps=STEPS,
        )
    kept = Trail(tuple(row for t, row in enumerate(found.weights) if t != OVERFLOW + 1))
    return agreement(
        group,
        lambda: kept,
        lambda: drive(subject, passing),
        sentence=f"a step whose gradients overflow{words} changes the state: later steps differ,",
        unit=subject.unit,
    )


def _scaled(
    subject: Subject, course: Course, *, unscale: bool, overflow: int | None = None
) -> tuple[Trail, float]:
    """Return the trail under a GradScaler, and how far the step that overflows moves the weights."""
    trial = begin(subject, course)
    device = torch.device(subject.device).type
    scaler = torch.amp.GradScaler(device, init_scale=SCALE, growth_interval=10**6)
    rows, moved = [tuple(trial.values())], 0.0
    try:
        for t, row in enumerate(course.gradients):
            factor = float(scaler.get_scale()) if t else SCALE
            scaler.scale(torch.ones((), device=subject.device))  # makes the scale, as a loss does
            for n, (parameter, gradient) in enumerate(zip(trial.parameters, row, strict=True)):
                parameter.grad = _scaled_gradient(
                    subject, gradient, factor, infinite=t == overflow and n == 0
                )
            before = trial.values()
            with warnings.catch_warnings():
                # torch warns of its own scaler's keyword for fused optimizers.
                warnings.simplefilter("ignore")
                if unscale:
                    scaler.unscale_(trial.optimizer)
                scaler.step(trial.optimizer)
                scaler.update()
            if t == overflow:
                moved = difference(before, trial.values())
            rows.append(tuple(trial.values()))
    except Exception as error:
        raise StepFailedError(exception_words(error)) from error
    return Trail(tuple(rows)), moved


def _scaled_gradient(subject: Subject, gradient: Tensor | None, factor: float, *, infinite: bool) -> Any:
    if gradient is None:
        return None
    scaled = gradient * factor
    if infinite:
        scaled.view(-1)[0] = float("inf")
    return subject.handed(scaled)


LAW = GateLaw(
    text=law_text(
        "grad-scaler",
        "A GradScaler is served",
        "Gradients scaled by 2^10 give the unscaled steps, and a step whose gradients overflow changes "
        "neither weights nor state, also after unscale_().",
        equation="step(2^10 g, 2^10) = step(g), and step(inf) = nothing",
        source="torch.amp.GradScaler: grad_scale and found_inf; pytorch/pytorch#95847",
        meaning="The optimizer unscales by itself and forgets it, or steps where found_inf is set.",
    ),
    tier="exact",
    blind_to="gradients of float16, whose scaler runs with autocast",
    check=check,
    applies=applies,
)
