"""lr and weight decay act, and a step uses the values that its group has when the step begins."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ilr_check.gate.agreement import agreement, failed_reading, gap
from ilr_check.gate.law import Circumstances, GateLaw, Reading, fact_reading, law_text
from ilr_check.gate.stimuli.courses import Course, StepFailedError, Trail, advance, begin, drive, make_course
from ilr_check.gate.subject import Subject

ORDER = 10
STEPS = 8
SHAPES = ((3, 4), (2, 3))
VALUES = {"lr": (0.1, 0.025), "weight_decay": (0.3, 0.05)}
"""Each hyper-parameter has the value to set and an alternative."""


def applies(subject: Subject) -> str:
    """Return why the law is not judged: neither lr nor weight decay can be set."""
    return "" if any(subject.can_vary(name) for name in VALUES) else "neither lr nor weight decay can be set"


def check(subject: Subject, circumstances: Circumstances) -> Iterable[Reading]:
    """Judge each of the two: built with two values, and built with one and then set to the other."""
    course = make_course(subject, circumstances.generator(), SHAPES, steps=STEPS)
    for name, (value, other) in VALUES.items():
        if not subject.can_vary(name):
            continue
        words = name.replace("_", " ")
        wanted, rest = _with(course, name, value), _with(course, name, other)
        try:
            apart = gap(drive(subject, wanted), drive(subject, rest), subject.unit)
        except StepFailedError as error:
            yield failed_reading(words, error)
            continue
        # A constructor that takes any keyword promises nothing about one that no group keeps.
        dropped = subject.drops(name)
        yield fact_reading(
            apart.ratio > 1.0,
            group=f"{words} acts",
            message=f"{words} of {value:g} and of {other:g} give other steps",
            diagnosis=f"{words} has no effect: {value:g} and {other:g} give the same steps"
            + ("; the constructor takes any keyword and drops this one" if dropped else ""),
            n_steps=len(course.gradients),
            severity="fragility" if dropped else None,
        )
        if subject.can_schedule(name):
            yield agreement(
                f"{words} set before the first step",
                lambda name=name, value=value, rest=rest: _set_first(subject, rest, name, value),  # type: ignore[misc]
                lambda wanted=wanted: drive(subject, wanted),  # type: ignore[misc]
                sentence=f"{words} set before the first step does not give the steps of one that was built "
                "with it,",
                unit=subject.unit,
            )


def _with(course: Course, name: str, value: float) -> Course:
    settings = tuple({**setting, name: value} for setting in course.settings)
    return replace(course, settings=settings, hyper={**course.hyper, name: value})


def _set_first(subject: Subject, course: Course, name: str, value: float) -> Trail:
    trial = begin(subject, course)
    trial.set(**{name: value})
    rows = [tuple(trial.values())]
    for t in range(len(course.gradients)):
        advance(trial, course, t)
        rows.append(tuple(trial.values()))
    return Trail(tuple(rows))


LAW = GateLaw(
    text=law_text(
        "settings",
        "Settings act, and act as they stand",
        "Another lr or weight decay gives other steps, and one that is set in the group before the first "
        "step acts as one from the constructor.",
        equation="w′ is a function of the settings in the group as step() begins",
        source="torch.optim: param_groups; warm-ups set lr before the first step",
        meaning="A setting is overwritten by the step, cached by the constructor, or ignored.",
    ),
    tier="exact",
    blind_to="settings other than lr and weight decay",
    check=check,
    applies=applies,
    milder={
        "lr set": ("departure", "some optimizers keep the lr that they were built with as a yardstick"),
        "weight decay set": ("departure", "an optimizer may give several groups decays of their own"),
    },
)
