"""Every tensor gets the same step as under an optimizer of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from ilr_check.evidence.gate import Severity
from ilr_check.gate.agreement import Gap, failed_reading, gap, gap_reading
from ilr_check.gate.interaction import tensors_interact
from ilr_check.gate.law import Circumstances, GateLaw, Reading, law_text
from ilr_check.gate.stimuli.courses import Course, StepFailedError, Trail, drive, make_course
from ilr_check.gate.subject import Subject, SubjectError
from ilr_check.gate.trial import CannotVaryError
from ilr_check.gate.variation import built_with, flipped_keys, varied_options
from ilr_check.gate.words.course_snippet import Training, course_snippet

ORDER = 21
MATRICES = ((3, 4), (3, 4), (2, 3), (5, 2))
SHAPES = ((3, 4), (3, 4), (5,), (2, 2, 3))
EMPTY, EMPTY_MATRIX = (0,), (0, 3)
SCHEDULE = tuple(
    {"lr": lr, "weight_decay": wd} for lr, wd in ((0.3, 0.1), (0.11, 0.4), (0.17, 0.0), (0.05, 0.2))
)
"""lr and weight decay at each step; no other step's value passes for this one's."""


def cases(subject: Subject) -> Mapping[str, Mapping[str, Any]]:
    """Return the surroundings of a tensor in each case, as arguments of ``make_course``."""
    shapes = MATRICES if subject.matrices_only else SHAPES
    empty = EMPTY_MATRIX if subject.matrices_only else EMPTY
    pairs = ((0, 1), (2,), (3,))
    wide = subject.dtype
    found: dict[str, Mapping[str, Any]] = {
        "several tensors": {"shapes": shapes},
        "several groups": {"shapes": shapes, "groups": pairs},
        "a group added later": {"shapes": shapes, "groups": pairs, "joins": (0, 0, 2)},
        # Tensors of one shape, because a state that is paired with the wrong tensor has to fit there.
        "gradients missing between": {"shapes": shapes[:2] * 2, "missing": {0: (1, 2), 2: (2,)}},
        "late first gradients": {"shapes": shapes, "missing": {0: (0,), 2: (0, 1)}},
        "an empty tensor first": {"shapes": (empty, *shapes[:2])},
        "an empty tensor in the middle": {"shapes": (shapes[0], empty, shapes[1])},
        "an empty tensor last": {"shapes": (*shapes[:2], empty)},
        "a group of one empty tensor": {"shapes": (*shapes[:2], empty), "groups": ((0, 1), (2,))},
        "a group without parameters": {"shapes": shapes, "groups": ((0, 1), (), (2, 3))},
        "a hundred tensors": {"shapes": tuple((1 + n % 3, 2) for n in range(100)), "steps": 2},
    }
    narrow = [name for name in ("float32", "bfloat16") if name in subject.dtypes and name != wide]
    if narrow:
        mix = (wide, narrow[0], wide, narrow[-1])
        found["mixed dtypes"] = {"shapes": shapes, "dtypes": mix}
        found["mixed dtypes, the narrow first"] = {"shapes": shapes, "dtypes": mix[::-1]}
    changing = [name for name in ("lr", "weight_decay") if subject.can_schedule(name)]
    if changing:
        rows = tuple({name: rates[name] for name in changing} for rates in SCHEDULE)
        found["rates that change"] = {"shapes": shapes, "schedule": rows}
    for words, options in (
        ("an option of each group", varied_options(subject)),
        ("a key of each group", flipped_keys(subject)),
    ):
        if options:
            found[words] = {"shapes": MATRICES, "groups": ((0, 1), (2, 3)), "options": ({}, options)}
    return found


def check(subject: Subject, circumstances: Circumstances) -> Iterable[Reading]:
    """Judge each case."""
    for name, course_of in cases(subject).items():
        yield _one(subject, circumstances, name, dict(course_of))


def _one(subject: Subject, circumstances: Circumstances, name: str, wanted: dict[str, Any]) -> Reading:
    course = make_course(subject, circumstances.generator(name), wanted.pop("shapes"), **wanted)
    try:
        own = {
            i: drive(_own(subject, course, i), course.alone(i))
            for i in range(len(course.starts))
            if course.starts[i].numel() and course.seen(i)
        }
    except (SubjectError, CannotVaryError, StepFailedError) as error:
        return Reading(group=name, verdict="skipped", message=f"a tensor alone cannot be stepped: {error}")
    try:
        together = drive(subject, course)
    except (SubjectError, CannotVaryError) as error:
        return Reading(group=name, verdict="skipped", message=f"it cannot be built so: {error}")
    except StepFailedError as error:
        mild: Severity | None = "fragility" if _refuses_rates(subject, course) else None
        return replace(failed_reading(name, error), severity=mild)
    worst = Gap(0.0)
    for i, trail in own.items():
        found = gap(together.of(i, course.seen(i)), trail, subject.unit)
        if found.ratio > worst.ratio:
            worst = replace(found, tensor=i)
    sentence = f"{name}: a tensor does not step as it does in an optimizer of its own;"

    def snippet(found: Gap) -> str:
        seen = course.seen(found.tensor)[: found.step]
        beside = Training(
            "together", subject, course, range(len(course.starts)), range(seen[-1] + 1 if seen else 0)
        )
        alone = Training(
            "alone",
            _own(subject, course, found.tensor),
            course.alone(found.tensor),
            (found.tensor,),
            seen,
        )
        return course_snippet(course, beside, alone, found)

    reading = gap_reading(
        worst,
        group=name,
        sentence=f"{sentence} the two differ",
        n_steps=len(course.gradients),
        snippet=snippet,
    )
    if (
        reading.verdict == "violated"
        and len(course.groups) > 1
        and _keys_alone(subject, course, own, together)
    ):
        told = f"{reading.diagnosis}; lr and weight decay of a group are not those of a constructor"
        return replace(reading, severity="departure", diagnosis=told)
    return reading


def _keys_alone(subject: Subject, course: Course, own: Mapping[int, Trail], together: Trail) -> bool:
    """Return whether every tensor steps as alone in one group that has its settings as keys.

    Some optimizers make a yardstick of the lr that their constructor gets.
    """
    try:
        for i in own:
            grouped = replace(course.alone(i), hyper=course.hyper, as_groups=True)
            alone = drive(_own(subject, course, i), grouped)
            if gap(together.of(i, course.seen(i)), alone, subject.unit).ratio > 1.0:
                return False
    except (SubjectError, CannotVaryError, StepFailedError):
        return False
    return True


def _refuses_rates(subject: Subject, course: Course) -> bool:
    """Return whether groups of one lr and weight decay are stepped: then a step refuses other ones loudly."""
    alike = (course.settings[0],) * len(course.settings)
    try:
        drive(subject, replace(course, settings=alike))
    except (SubjectError, CannotVaryError, StepFailedError):
        return False
    return len(course.groups) > 1


def _own(subject: Subject, course: Course, i: int) -> Subject:
    """Return the subject whose constructor gets the options that the group of tensor ``i`` has."""
    if not course.options:
        return subject
    k = next(k for k, members in enumerate(course.groups) if i in members)
    return built_with(subject, course.options[k])


LAW = GateLaw(
    text=law_text(
        "alone",
        "Every tensor steps as if it were alone",
        "Beside other tensors, groups, dtypes, empty tensors and missing gradients, a tensor's steps are "
        "those of an optimizer that has this tensor only, built with the options of its group.",
        equation="w_i′ is a function of w_i, g_i, the settings of its group and its own past",
        source="torch.optim: per-parameter options, add_param_group; NVIDIA/TransformerEngine#3207, "
        "pytorch/pytorch#53712",
        meaning="A step count, a setting or a buffer of another tensor is used, or a tensor is left out.",
        rivals=("one step count for all", "the first group's lr", "tensors after an empty one left out"),
    ),
    tier="exact",
    blind_to="whatever an optimizer of one tensor does wrong as well",
    check=check,
    applies=tensors_interact,
    milder={
        "a group added later": ("fragility", "groups are rarely added to a running optimizer"),
        "gradients missing between": ("departure", "some families count steps by group"),
        "late first gradients": ("departure", "some families count steps by group"),
        "mixed dtypes": ("fragility", "most trainings keep the weights of one optimizer in one dtype"),
        "an option of each group": ("fragility", "most trainings set only lr and weight decay by group"),
        "an empty tensor": ("fragility", "few models have parameters without entries"),
        "a group of one empty tensor": ("fragility", "few models have parameters without entries"),
        "a group without parameters": ("fragility", "few trainings have a group without parameters"),
    },
)
