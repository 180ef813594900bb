"""Each implementation switch takes the steps of the default path in every situation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from ilr_check.gate.agreement import Gap, agreement
from ilr_check.gate.built import demand_built
from ilr_check.gate.law import Circumstances, GateLaw, Reading, law_text
from ilr_check.gate.laws.alone import cases
from ilr_check.gate.stimuli.courses import Course, StepFailedError, drive, make_course
from ilr_check.gate.subject import Subject, SubjectError
from ilr_check.gate.trial import CannotVaryError
from ilr_check.gate.words.course_snippet import Training, course_snippet
from ilr_check.optim.contracts.reference import UNIT

ORDER = 22
SWITCHES: dict[str, Mapping[str, Any]] = {
    "for loop": {"foreach": False},
    "foreach": {"foreach": True},
    "fused": {"fused": True},
    "capturable": {"capturable": True},
    "differentiable": {"differentiable": True},
}
MAXIMIZE = {"maximize": True}
WIDE_STEPS = 12


def check(subject: Subject, circumstances: Circumstances) -> Iterable[Reading]:
    """Judge every case of the law ``alone`` under each switch; an optimizer that climbs gets -g."""
    ways = offered(subject)
    if not ways:
        yield Reading(group="", verdict="skipped", message="it offers no implementation switch")
    for name, arguments in ways.items():
        switched = subject.with_switches(**arguments)
        refusal = refusal_of(switched)
        if refusal:
            yield Reading(group=name, verdict="skipped", message=f"it refuses to step here: {refusal}")
            continue
        yield from _against_the_default(subject, switched, name, arguments, circumstances)


def offered(subject: Subject) -> dict[str, Mapping[str, Any]]:
    """Return the switches in the target's signature, alone and with ``maximize``."""
    taken = subject.named_arguments
    free = {
        name: arguments
        for name, arguments in SWITCHES.items()
        if all(word in taken and word not in subject.args for word in arguments)
    }
    if "maximize" in taken and "maximize" not in subject.args:
        climbing = {f"{name} and maximize": {**arguments, **MAXIMIZE} for name, arguments in free.items()}
        free = {**free, "maximize": MAXIMIZE, **climbing}
    return {name: arguments for name, arguments in free.items() if _builds(subject, arguments)}


def _builds(subject: Subject, arguments: Mapping[str, Any]) -> bool:
    try:
        demand_built(subject.with_switches(**arguments))
    except SubjectError:
        return False
    return True


def usable(subject: Subject) -> dict[str, Mapping[str, Any]]:
    """Return the offered switches under which a plain step succeeds, without ``maximize``."""
    return {
        name: arguments
        for name, arguments in offered(subject).items()
        if not MAXIMIZE.keys() & arguments.keys() and not refusal_of(subject.with_switches(**arguments))
    }


def refusal_of(switched: Subject) -> str:
    """Return why a plain step fails under this switch, such as capturable on a CPU; else empty."""
    course = make_course(switched, Circumstances("switches").generator("plain"), [(3, 4)], steps=1)
    try:
        drive(switched, course)
    except (SubjectError, CannotVaryError, StepFailedError) as error:
        return str(error)
    return ""


def _against_the_default(
    subject: Subject,
    switched: Subject,
    name: str,
    arguments: Mapping[str, Any],
    circumstances: Circumstances,
) -> Iterable[Reading]:
    # These two paths keep the step count and its powers in tensors of float32, whatever the weights are.
    narrow = {"capturable", "differentiable"} & arguments.keys()
    unit = max(subject.unit, UNIT["float32"] if narrow else 0.0)
    climbs = "maximize" in arguments
    plain = "several tensors"
    for case, wanted in {**cases(subject), **_more(subject)}.items():
        if climbs and case not in ("several tensors", "several groups"):
            continue  # a step by the sign of the gradient does not depend on the surroundings of its tensor
        shapes = wanted["shapes"]
        rest = {key: value for key, value in wanted.items() if key != "shapes"}
        course = make_course(subject, circumstances.generator(case), shapes, **rest)
        judged = partial(
            agreement,
            f"{name}, {case}",
            partial(drive, switched, course),
            partial(drive, subject, course),
            sentence=f"{name}: with {case}, the steps are not those of the default path;"
            if not climbs
            else f"{name}: the steps are not those along negated gradients;",
            snippet=partial(_snippet, subject, switched, course),
        )
        reading = judged(unit=unit)
        mild = _rare(case)
        if reading.verdict == "violated" and not mild:
            # A factor that one path keeps in float32 moves a step by its last digits.
            mild = judged(unit=UNIT["float32"]).verdict == "holds"
        yield replace(reading, severity="fragility" if mild else None)
        if case == plain and reading.verdict == "violated":
            return  # it differs everywhere, and the other cases would report the same


def _snippet(subject: Subject, switched: Subject, course: Course, found: Gap) -> str:
    if switched.climbs:
        return ""  # the two get gradients of opposite signs
    every, steps = range(len(course.starts)), range(found.step)
    one = Training("switched", switched, course, every, steps)
    return course_snippet(course, one, replace(one, name="plain", subject=subject), found)


def _rare(case: str) -> bool:
    """Return whether this case is rare in trainings, as for the law ``alone``."""
    rare = ("empty", "without parameters", "mixed dtypes", "an option of each group")
    return any(words in case for words in rare)


def _more(subject: Subject) -> Mapping[str, Mapping[str, Any]]:
    """Return the cases that single tensors cannot show."""
    shapes = ((3, 4), (5, 3)) if subject.matrices_only else ((3, 4), (67,))
    return {"twelve steps": {"shapes": shapes, "steps": WIDE_STEPS}}


LAW = GateLaw(
    text=law_text(
        "switches",
        "Every implementation takes the same steps",
        "foreach, fused, the loop, capturable and differentiable give the default path's steps in every "
        "situation, and maximize gives those along negated gradients.",
        equation="w′(switch) = w′(default), w′(maximize, −g) = w′(g)",
        source="kozistr/pytorch_optimizer#519, FlagGems#4988: one path does otherwise",
        meaning="One code path uses another tensor's step count, another group's lr, or another order.",
        rivals=("one step count for all", "the first group's lr"),
    ),
    tier="exact",
    blind_to="what all paths do wrong alike; devices other than the one it runs on",
    check=check,
)
