"""lr and weight decay act, and a step uses the values that its group has when the step begins."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import torch

from ilr_check.gate.agreement import agreement, failed_reading, gap
from ilr_check.gate.interaction import interaction_of
from ilr_check.gate.law import Circumstances, GateLaw, Reading, fact_reading, law_text
from ilr_check.gate.laws.zero_lr import lr_is_its_own
from ilr_check.gate.stimuli.courses import Course, StepFailedError, Trail, advance, begin, drive, make_course
from ilr_check.gate.stimuli.silence import STILL, moves_near_zero_alone, silent_steps
from ilr_check.gate.subject import Subject, SubjectError
from ilr_check.gate.variation import FROM_ZERO, built_with, flipped_keys

ORDER = 10
STEPS = 8
SHAPES = ((3, 4), (2, 3))
VALUES = {"lr": (0.1, 0.025), "weight_decay": (0.3, 0.05)}
"""Each hyper-parameter has the value to set and an alternative."""
GENERATOR = "parameters from a generator"
TOWARDS_ZERO = "weight decay pulls to zero"
ONCE = "weight decay once"
TWICE = (
    "under gradients of zeros a step multiplies the weights by (1 - lr*wd)^2: weight decay is applied twice"
)
PROMISED = ("momentum", "nesterov", "beta", "beta1", "beta2", "betas", "ns_steps", "eps")
"""Options that mean the same in every optimizer. Each has to change some step."""


LARGE_EPS = 0.5
"""An eps of the size of the gradients."""


def applies(subject: Subject) -> str:
    """Return why the law is not judged: neither lr nor weight decay can be set, or nothing moves."""
    if moves_near_zero_alone(subject):
        return STILL
    return "" if any(subject.can_vary(name) for name in VALUES) else "neither lr nor weight decay can be set"


def check(subject: Subject, circumstances: Circumstances) -> Iterable[Reading]:
    """Judge each of the two: built with two values, and built with one and then set to the other."""
    course = make_course(subject, circumstances.generator(), SHAPES, steps=STEPS)
    for name, (value, other) in VALUES.items():
        if not subject.can_vary(name):
            continue
        words = name.replace("_", " ")
        wanted, rest = with_value(course, name, value), with_value(course, name, other)
        try:
            apart = gap(drive(subject, wanted), drive(subject, rest), subject.unit)
        except StepFailedError as error:
            yield failed_reading(words, error)
            continue
        # A constructor that takes any keyword promises nothing about one that no group keeps.
        dropped = subject.drops(name)
        acts = apart.ratio > 1.0
        # Who leaves lr out by default has another way to find it.
        optional = subject.signature.defaults.get(name, value) is None
        conditional = not acts and (optional or _acts_beside(subject, name, wanted, rest))
        yield fact_reading(
            acts,
            group=f"{words} acts",
            message=f"{words} of {value:g} and of {other:g} give other steps",
            diagnosis=f"{words} has no effect: {value:g} and {other:g} give the same steps"
            + ("; the constructor takes any keyword and drops this one" if dropped else ""),
            n_steps=len(course.gradients),
            severity="fragility" if dropped else "departure" if conditional else None,
        )
        if name == "lr" and subject.can_schedule(name):
            its_own = lr_is_its_own(subject)
            yield fact_reading(
                not its_own,
                group="lr kept",
                message=its_own or "lr in the groups before and after some steps",
                diagnosis=f"{its_own}; a scheduler multiplies what it finds there",
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
    if subject.can_vary("weight_decay"):
        yield _pulls(subject, course)
        yield _decays_once(subject, course)
    if not subject.takes_names and not subject.tags.group_keys:
        yield _generated(subject, course)
    for words, key, values in _other_options(subject):
        told = [_acts(subject, course, key, values[0], other) for other in values[1:]]
        if False in told and True not in told:
            told += [_acts(*_of_vectors(subject, circumstances), key, values[0], far) for far in values[1:]]
        if any(acts is not None for acts in told):
            yield fact_reading(
                any(told),
                group=f"option {words}",
                message=f"another {words} gives other steps",
                diagnosis=f"{words} has no effect: {key}={values[0]} and {values[1]} give the same steps",
                n_steps=len(course.gradients),
            )


def _pulls(subject: Subject, course: Course) -> Reading:
    """Judge whether weight decay alone, under gradients of zeros, moves any weight away from zero."""
    still = _silenced(course)
    try:
        ends, plain = (
            drive(subject, with_value(still, "weight_decay", decay)).weights[1:]
            for decay in (VALUES["weight_decay"][0], 0.0)
        )
    except StepFailedError as error:
        return Reading(group=TOWARDS_ZERO, verdict="skipped", message=str(error))
    away = 0.0
    first = silent_steps(subject) if subject.contract is None else 0
    entrywise = interaction_of(subject).within == "entry"
    for w, with_decay, without in zip(course.starts, ends[first], plain[first], strict=True):
        pulled = (with_decay - without).nan_to_num() * w.sign()
        # A matrix that multiplies the decay, as in Shampoo, keeps the angle below 90 degrees and no more.
        away = max(away, float(pulled.max() if entrywise else (pulled * w.abs()).sum()))
    return fact_reading(
        away <= 0.0,
        group=TOWARDS_ZERO,
        message="what weight decay adds to a step under gradients of zeros",
        diagnosis=f"weight decay moves weights away from zero, by {away:.3g} in a step",
        n_steps=1 + first,
    )


def _decays_once(subject: Subject, course: Course) -> Reading:
    """Judge whether a step under gradients of zeros shrinks the weights by ``lr*wd`` twice."""
    twice = decays_twice(subject, with_value(course, "weight_decay", VALUES["weight_decay"][0]))
    return fact_reading(
        not twice,
        group=ONCE,
        message="the factor of the weights in a step under gradients of zeros",
        diagnosis=TWICE,
        n_steps=1,
    )


def decays_twice(subject: Subject, course: Course) -> bool:
    """Return whether a step under gradients of zeros multiplies all weights by ``(1 - lr*wd)^2``, which is no
    known form of weight decay and looks like one that is applied two times."""
    rate, decay = (float(course.hyper.get(name, 0.0)) for name in VALUES)
    first = silent_steps(subject) if subject.contract is None else 0
    try:
        rows = drive(subject, _silenced(course)).weights[first : first + 2]
    except (SubjectError, StepFailedError):
        return False
    once = 1.0 - rate * decay
    return once != 1.0 and all(
        torch.allclose(after, before * once**2, rtol=8 * torch.finfo(after.dtype).eps, atol=0.0)
        for before, after in zip(*rows, strict=True)
    )


def _silenced(course: Course) -> Course:
    """Return the course with gradients of zeros."""
    rows = tuple(tuple(None if g is None else torch.zeros_like(g) for g in row) for row in course.gradients)
    return replace(course, gradients=rows)


def _generated(subject: Subject, course: Course) -> Reading:
    """Compare parameters that come one by one, as ``model.parameters()`` gives them, with a list of them."""

    def generating(parameters: Any, **arguments: Any) -> Any:
        return subject.factory((p for p in parameters), **arguments)

    functools.update_wrapper(generating, subject.factory, assigned=(), updated=())  # keeps the signature
    reading = agreement(
        GENERATOR,
        lambda: drive(replace(subject, factory=generating), course),
        lambda: drive(subject, course),
        sentence=f"{GENERATOR}: the steps are not those of a list of the same parameters,",
        unit=subject.unit,
    )
    if reading.message.startswith("it does not take this"):
        told = f"{GENERATOR}, such as model.parameters(): {reading.message}"
        return replace(reading, verdict="violated", diagnosis=told, raised=True)
    return reading


def _acts_beside(subject: Subject, name: str, one: Course, other: Course) -> bool:
    """Return whether a setting acts once a switch of the constructor is turned, such as ``relative_step``.

    A switch for decoupled decay chooses the form of weight decay, and promises that both forms act.
    """
    for key, default in subject.signature.defaults.items():
        form = name == "weight_decay" and "decoupl" in key
        if isinstance(default, bool) and key not in subject.args and not form:
            turned = subject.with_switches(**{key: not default})
            with suppress(SubjectError, StepFailedError):
                if gap(drive(turned, one), drive(turned, other), subject.unit).ratio > 1.0:
                    return True
    return False


def _acts(subject: Subject, course: Course, key: str, value: Any, other: Any) -> bool | None:
    """Return whether another value of an option changes a step, alone or beside a switch that it needs, or
    with other values of the keys that each group must have.

    The result is ``None`` where the optimizer does not take the value.
    """
    defaults = subject.signature.defaults
    beside: list[dict[str, Any]] = [{}]
    if key != "momentum" and defaults.get("momentum") == 0:
        beside.append({"momentum": FROM_ZERO})
    beside += [{name: True} for name, default in defaults.items() if default is False and name != key]
    if keys := flipped_keys(subject):
        beside.append(dict(keys))
    found: list[bool] = []
    for switches in beside:
        one, another = (built_with(subject, {**switches, key: of}) for of in (value, other))
        with suppress(SubjectError, StepFailedError):  # it does not take these, and need not
            # What never acts leaves the same numbers, however coarse the arithmetic is.
            found.append(gap(drive(one, course), drive(another, course)).ratio > 1.0)
            if found[-1]:
                return True
    return False if found else None


def _of_vectors(subject: Subject, circumstances: Circumstances) -> tuple[Subject, Course]:
    """Return a course of a vector: an optimizer of matrices may step vectors in another way, to which some of
    its options belong."""
    plain = subject.with_contract(None, {})
    return plain, make_course(plain, circumstances.generator("vectors"), ((5,),), steps=STEPS)


def _other_options(subject: Subject) -> Iterator[tuple[str, str, list[Any]]]:
    """Yield the name of each promised option, its argument, and values of it, the default first.

    The other values are far off: the sign of an average is the same for many momenta.
    """
    given = {**subject.args, **subject.switches}
    for key in PROMISED:
        value = None if key in given else subject.signature.defaults.get(key)
        if isinstance(value, bool):
            yield key, key, [value, not value]
        elif key == "eps":
            if isinstance(value, float):
                yield key, key, [value, LARGE_EPS]
        elif isinstance(value, (tuple, list)):
            for i, entry in enumerate(value):
                if others := _far(entry):
                    moved = [(*value[:i], other, *value[i + 1 :]) for other in others]
                    yield f"{key}[{i}]", key, [tuple(value), *moved]
        elif type(value) is int and value > 1:
            yield key, key, [value, value - 1]
        elif others := _far(value):
            yield key, key, [value, *others]


def _far(value: Any) -> list[float]:
    """Return other values of a share, far from it; none where the value is no share."""
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0.0 <= value < 1.0:
        return []
    return [FROM_ZERO] if value == 0.0 else [0.5 * value, 0.05 * value]


def with_value(course: Course, name: str, value: float) -> Course:
    """Return the course with another lr or weight decay in every group."""
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
        "Another lr, weight decay, momentum or beta gives other steps, and an lr or decay that is set in the "
        "group before the first step acts as one from the constructor. Weight decay pulls to zero, and "
        "parameters may come from a generator.",
        equation="w′ is a function of the settings in the group as step() begins",
        source="torch.optim: param_groups; warm-ups set lr before the first step",
        meaning="A setting is overwritten by the step, cached by the constructor, or ignored.",
    ),
    tier="exact",
    blind_to="other settings than lr, weight decay, momentum, betas and Newton-Schulz steps",
    check=check,
    applies=applies,
    milder={
        "lr kept": ("fragility", "some optimizers find their lr by themselves"),
        "lr set": ("departure", "some optimizers keep the lr that they were built with as a yardstick"),
        "option": ("fragility", "an optimizer may read an option at rare steps alone, or in another method"),
        "weight decay set": ("departure", "an optimizer may give several groups decays of their own"),
    },
    refusable={GENERATOR: "list(model.parameters()) is a way around it, and the constructor says so"},
)
