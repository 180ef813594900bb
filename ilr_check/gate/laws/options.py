"""Each switch of the constructor changes some step, keeps weight decay, and leaves finite weights. No switch
makes an optimizer climb that goes downhill without it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from ilr_check.gate.agreement import gap
from ilr_check.gate.interaction import steady_course
from ilr_check.gate.law import Circumstances, GateLaw, Reading, fact_reading, law_text
from ilr_check.gate.laws.settings import ONCE, PROMISED, TWICE, decays_twice, with_value
from ilr_check.gate.stimuli.courses import Course, StepFailedError, Trail, drive, make_course
from ilr_check.gate.stimuli.silence import STILL, moves_near_zero_alone
from ilr_check.gate.subject import SWITCHES, Subject, SubjectError
from ilr_check.gate.trial import CannotVaryError
from ilr_check.gate.variation import FROM_ZERO, built_with, option_words, varied_options

ORDER = 37
STEPS = 12
SHAPES = ((3, 4), (5,), (2, 2, 1, 2))
DECAYS = (0.3, 0.05)
ELSEWHERE = ("maximize", *SWITCHES, *PROMISED)
"""Other laws judge these."""
OF_THE_MACHINE = (
    "compile",
    "distributed",
    "verbose",
    "print",
    "debug",
    "triton",
    "cuda",
    "sync",
    "cpu",
    "memory",
)
"""Words in the names of switches that say how a step is computed and not which step it is."""
OF_THE_SIGN = ("maxim", "minim", "ascent", "ascend", "descent", "descend", "uphill", "negat")
"""Words in the names of switches that turn the direction on purpose."""
FIRST = 2
"""Later steps of one gradient may go back, as Lookahead's do when it returns to the slow weights."""
UPHILL = 0.05
"""A cosine above this is no rounding of a step that is orthogonal to the gradient."""


def applies(subject: Subject) -> str:
    """Return why the law is not judged."""
    if moves_near_zero_alone(subject):
        return STILL
    return "" if any(_switches(subject)) else "its constructor has no switch that other laws leave alone"


def check(subject: Subject, circumstances: Circumstances) -> Iterable[Reading]:
    """Turn each switch, alone and beside others until it acts."""
    shapes = SHAPES[:1] if subject.matrices_only else SHAPES
    course = make_course(subject, circumstances.generator(), shapes, steps=STEPS)
    decays = subject.can_vary("weight_decay") and _apart(
        _tried(subject, with_value(course, "weight_decay", DECAYS[0])),
        _tried(subject, with_value(course, "weight_decay", DECAYS[1])),
        subject,
    )
    alone = _alone(course)
    falls = _climb(subject, alone) < -UPHILL
    for name, value in _switches(subject):
        yield from _one(subject, course, name, value, decays=bool(decays))
        if falls and not any(word in name for word in OF_THE_SIGN):
            yield from _downhill(subject, alone, name, value)


def _downhill(subject: Subject, course: Course, name: str, value: bool) -> Iterator[Reading]:
    """Judge whether the first steps with a switch go uphill, where those without it go downhill."""
    cosine, steps = _climb(built_with(subject, {name: value}), course), len(course.gradients)
    yield fact_reading(
        not cosine > UPHILL,
        group=f"downhill, {name}={value}",
        message=f"what a gradient does in {steps} steps has cosine {cosine:.4g} with it",
        diagnosis=f"with {name}={value} the first {steps} steps go uphill, and without it downhill: the "
        f"cosine of the gradient and of what it does is {cosine:.4g}",
        n_steps=steps,
    )


def _alone(course: Course) -> Course:
    """Return the first tensor of a course alone, without weight decay and with one gradient at all steps."""
    one = course.without(*range(1, len(course.starts)))
    settings = tuple({k: v for k, v in s.items() if k != "weight_decay"} for s in one.settings)
    hyper = {k: (0.0 if k == "weight_decay" else v) for k, v in one.hyper.items()}
    rows = (one.gradients[0],) * (FIRST + len(one.gradients) - STEPS)
    return replace(one, gradients=rows, settings=settings, hyper=hyper)


def _climb(subject: Subject, course: Course) -> float:
    """Return the cosine of the gradient and what it does: 0 where that is nothing, or a step is refused.

    What a gradient does is how far the ways along it and along its negative lie apart. So a switch that pulls
    the weights to zero, as the constraint of SCION does, goes neither uphill nor downhill.
    """
    gradient = course.gradients[0][0]
    if gradient is None:
        return 0.0
    negated = replace(course, gradients=((-gradient,),) * len(course.gradients))
    one, other = _tried(subject, course), _tried(subject, negated)
    if one is None or other is None:
        return 0.0
    way = (one.weights[-1][0] - other.weights[-1][0]).double()
    size = float(way.norm() * gradient.double().norm())
    return float((way * gradient.double()).sum()) / size if size > 0 else 0.0


def _one(subject: Subject, course: Course, name: str, value: bool, *, decays: bool) -> Iterator[Reading]:
    words, tried, acting = f"{name}={value}", 0, False
    for beside in _companions(subject, name):
        turned = {**beside, name: value}
        ends = _tried(built_with(subject, turned), course)
        if ends is None:
            continue  # it does not take this
        if not tried:
            yield from _sound(subject, course, words, turned, ends, decays=decays)
        tried += 1
        acting = bool(_apart(ends, _tried(built_with(subject, beside), course), subject))
        if acting:
            break
    if not tried:
        yield Reading(group=words, verdict="skipped", message="it does not take this")
        return
    if not acting:
        # A switch may steer a number that grows under steady gradients alone, as Prodigy's d.
        steady = steady_course(subject, course)
        ends = _tried(built_with(subject, {name: value}), steady)
        acting = bool(_apart(ends, _tried(subject, steady), subject))
    yield fact_reading(
        acting,
        group=f"acts, {words}",
        message=f"steps with {words} and without, beside {tried} other settings",
        diagnosis=f"{name} has no effect: {value} and {not value} give the same steps, alone and beside "
        f"{tried - 1} other settings of the constructor",
        n_steps=STEPS,
    )


def _sound(
    subject: Subject, course: Course, words: str, turned: Mapping[str, Any], ends: Trail, *, decays: bool
) -> Iterator[Reading]:
    """Judge whether the weights stay finite and weight decay acts under a switch."""
    yield fact_reading(
        all(bool(w.isfinite().all()) for w in ends.weights[-1]),
        group=f"finite, {words}",
        message=f"{STEPS} steps with {option_words(turned)}",
        diagnosis=f"with {option_words(turned)} the weights are not finite after {STEPS} steps",
        n_steps=STEPS,
    )
    driven = built_with(subject, turned)
    if decays:
        one, other = (_tried(driven, with_value(course, "weight_decay", decay)) for decay in DECAYS)
        acts = _apart(one, other, subject)
        if acts is not None:
            yield fact_reading(
                acts,
                group=f"weight decay acts, {words}",
                message=f"weight decay of {DECAYS[0]} and of {DECAYS[1]} with {option_words(turned)}",
                diagnosis=f"with {option_words(turned)} weight decay has no effect: {DECAYS[0]} and "
                f"{DECAYS[1]} give the same steps",
                n_steps=STEPS,
            )
        if "decoupl" in words:
            yield fact_reading(
                not decays_twice(driven, with_value(course, "weight_decay", DECAYS[0])),
                group=f"{ONCE}, {words}",
                message="the factor of the weights in a step under gradients of zeros",
                diagnosis=f"with {option_words(turned)}: {TWICE}",
                n_steps=1,
            )


def _switches(subject: Subject) -> Iterator[tuple[str, bool]]:
    """Yield each switch of the constructor and the value that it does not have by default."""
    for name, default in subject.signature.defaults.items():
        known = name in ELSEWHERE or any(word in name for word in OF_THE_MACHINE)
        if isinstance(default, bool) and not known and name not in {**subject.args, **subject.switches}:
            yield name, not default


def _companions(subject: Subject, name: str) -> Iterator[dict[str, Any]]:
    """Yield other settings beside which a switch may act; alone first."""
    defaults = subject.signature.defaults
    moved = dict(varied_options(subject))
    yield {}
    if defaults.get("momentum") == 0:
        yield {"momentum": FROM_ZERO}
    yield moved
    for other, value in _switches(subject):
        if other != name:
            yield {other: value}
            yield {**moved, other: value}


def _tried(subject: Subject, course: Course) -> Trail | None:
    """Return the trail, or ``None`` where the optimizer does not take these settings."""
    try:
        return drive(subject, course)
    except (SubjectError, CannotVaryError, StepFailedError):
        return None


def _apart(one: Trail | None, other: Trail | None, subject: Subject) -> bool | None:
    """Return whether two trails differ; ``None`` where one of them does not exist."""
    return None if one is None or other is None else gap(one, other, subject.unit).ratio > 1.0


LAW = GateLaw(
    text=law_text(
        "options",
        "Switches of the constructor act",
        "Each switch of the constructor changes some step; with it weight decay still acts, the weights "
        "stay finite, and the first steps do not go uphill.",
        equation="w′(switch) ≠ w′(no switch), and both are finite",
        source="pytorch_optimizer 4.1.0: RAdam(weight_decouple=False) has no weight decay",
        meaning="An option is read nowhere, or its path loses the weight decay or breaks the state.",
        rivals=("the option is ignored", "no weight decay under the option", "uphill under the option"),
    ),
    tier="exact",
    blind_to="switches that act after many steps, or on tensors of other shapes; options that are no switch",
    check=check,
    applies=applies,
    milder={"": ("fragility", "most trainings leave these switches alone")},
)
