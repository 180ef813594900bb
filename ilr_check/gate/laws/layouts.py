"""The memory layout changes nothing; where entries do not interact, the shape changes nothing either."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ilr_check.evidence.gate import Severity
from ilr_check.gate.agreement import agreement, failed_reading, gap, gap_reading
from ilr_check.gate.interaction import FACTOR, interaction_of
from ilr_check.gate.law import Circumstances, GateLaw, Reading, law_text
from ilr_check.gate.laws.switches import usable
from ilr_check.gate.serving import draws_numbers
from ilr_check.gate.stimuli.courses import Course, StepFailedError, Trail, drive, make_course
from ilr_check.gate.subject import Subject, SubjectError
from ilr_check.gate.trial import CannotVaryError

ORDER = 24
STEPS = 3
SHAPE, DEEP = (5, 3), (2, 3, 2, 2)
SHAPES: tuple[tuple[int, ...], ...] = ((12, 1), (1, 12), (4, 3), (2, 3, 2))
"""These shapes have twelve entries and are compared with a matrix of 3 x 4."""
WHOLES: tuple[tuple[str, int, tuple[int, ...], tuple[int, ...]], ...] = (
    ("a scalar", 1, (), (1, 1)),
    ("more entries than a block", 13, (13 * 389,), (1, 389)),
)
"""The number of copies, the shape of the whole and of a copy. 5057 entries are no multiple of any block size,
and more than the 4096 of a usual kernel's block; a copy is smaller than that."""
RARE: tuple[Severity, str] = ("fragility", "most weights and gradients are contiguous")
LIKE_A_VECTOR = "a scalar, as a vector"
"""Judged where entries interact: a single entry has no other to interact with."""
EXPANDED = "an expanded gradient"
Lay = Callable[[Tensor], Tensor]


def by_columns(tensor: Tensor) -> Tensor:
    """Return the same numbers, laid out column by column."""
    return tensor.transpose(-1, -2).contiguous().transpose(-1, -2)


def with_gaps(tensor: Tensor) -> Tensor:
    """Return the same numbers as a view of every second entry of a larger tensor."""
    wide = tensor.new_zeros((*tensor.shape[:-1], 2 * tensor.shape[-1]))
    wide[..., ::2] = tensor
    return wide[..., ::2]


def channels_last(tensor: Tensor) -> Tensor:
    """Return the same numbers with the second axis innermost."""
    return tensor.contiguous(memory_format=torch.channels_last)


MATCHING = "weights and gradient transposed"
"""A backward pass gives this layout by itself: the gradient is laid out like the weights."""
LAYOUTS: dict[str, tuple[tuple[int, ...], Lay | None, Lay | None]] = {
    MATCHING: (SHAPE, by_columns, by_columns),
    "transposed weights": (SHAPE, by_columns, None),
    "a transposed gradient": (SHAPE, None, by_columns),
    "weights with gaps between them": (SHAPE, with_gaps, None),
    "a gradient with gaps": (SHAPE, None, with_gaps),
    "weights in channels_last": (DEEP, channels_last, None),
    "a gradient in channels_last": (DEEP, None, channels_last),
}
"""Each case has a shape and the layouts of weights and gradients."""


def applies(subject: Subject) -> str:
    """Return why the law is not judged."""
    return "it draws its random numbers in the order of memory" if draws_numbers(subject) else ""


def check(subject: Subject, circumstances: Circumstances) -> Iterable[Reading]:
    """Judge layouts under every implementation, a gradient that is one number for all entries, and shapes."""
    ways: dict[str, Mapping[str, Any]] = {"": {}, **usable(subject)}
    for way, switch in ways.items():
        tried = subject.with_switches(**switch) if switch else subject
        for reading in _layouts(tried, f"{way}, " if way else "", circumstances):
            yield reading
            if way and reading.verdict == "violated":
                break  # a path that runs over memory fails in most layouts, and one report is enough
    if interaction_of(subject).within == "entry" and not subject.matrices_only:
        yield from _shapes(subject, circumstances)
    elif not subject.matrices_only:
        yield _like_a_vector(subject, circumstances)


def _like_a_vector(subject: Subject, circumstances: Circumstances) -> Reading:
    """Compare a scalar with a vector of one entry. Whose first step agrees promises that all do.

    Shampoo preconditions vectors and no scalars, so that the first step already tells the two apart.
    """
    vector = make_course(subject, circumstances.generator(LIKE_A_VECTOR), [(1,)], steps=STEPS)
    sentence = "a scalar steps otherwise than a vector of one entry;"
    first = replace(vector, gradients=vector.gradients[:1])
    own = _alike(subject, LIKE_A_VECTOR, _shaped(first, ()), first, 1, sentence)
    if own.verdict == "violated":
        return Reading(group=LIKE_A_VECTOR, verdict="holds", message=f"by design, {own.diagnosis}")
    return _alike(subject, LIKE_A_VECTOR, _shaped(vector, ()), vector, 1, sentence)


def _layouts(subject: Subject, way: str, circumstances: Circumstances) -> Iterable[Reading]:
    for case, (shape, weights, gradient) in LAYOUTS.items():
        if len(shape) == 2 or not subject.matrices_only:
            course = make_course(subject, circumstances.generator(case), [shape, shape], steps=STEPS)
            yield _compared(subject, f"{way}{case}", course, weights, gradient)
    yield _expanded(subject, f"{way}{EXPANDED}", circumstances)


def _compared(
    subject: Subject, group: str, course: Course, weights: Lay | None, gradient: Lay | None
) -> Reading:
    # One tensor keeps its layout, since a kernel may look at the first one only.
    starts = course.starts if weights is None else (weights(course.starts[0]), course.starts[1])
    rows = course.gradients
    if gradient is not None:
        rows = tuple((gradient(_there(row[0])), *row[1:]) for row in rows)
    laid = replace(course, starts=starts, gradients=rows)
    reading = agreement(
        group,
        lambda: drive(subject, laid),
        lambda: drive(subject, course),
        sentence=f"{group}: the steps are not those of the same numbers row by row;",
        unit=subject.unit,
    )
    return replace(reading, severity=None if group.endswith(MATCHING) else "fragility")


def _expanded(subject: Subject, group: str, circumstances: Circumstances) -> Reading:
    course = make_course(subject, circumstances.generator("expanded"), [SHAPE], steps=STEPS)
    numbers = [_there(row[0])[0, 0] for row in course.gradients]
    full = replace(course, gradients=tuple((n.expand(SHAPE).contiguous(),) for n in numbers))
    thin = replace(course, gradients=tuple((n.expand(SHAPE),) for n in numbers))
    reading = agreement(
        group,
        lambda: drive(subject, thin),
        lambda: drive(subject, full),
        sentence=f"{group}, as sum().backward() gives it: the steps are not those of the full one;",
        unit=subject.unit,
    )
    return replace(reading, severity="fragility")


def _shapes(subject: Subject, circumstances: Circumstances) -> Iterable[Reading]:
    course = make_course(subject, circumstances.generator("shapes"), [(3, 4)], steps=STEPS)
    for shape in SHAPES:
        yield agreement(
            f"shape {shape}",
            lambda shape=shape: _flat(drive(subject, _shaped(course, shape))),  # type: ignore[misc]
            lambda: _flat(drive(subject, course)),
            sentence=f"the same entries in shape {shape} step otherwise than in shape (3, 4);",
            unit=subject.unit,
        )
    sentence = "the same entries as a vector step otherwise than as a matrix;"
    vectors = _alike(subject, "vectors", _shaped(course, (12,)), course, 1, sentence)
    yield vectors
    for words, split, whole, matrix in WHOLES:
        part = matrix[1:] if vectors.verdict == "violated" else matrix
        if subject.tags.state_bits and words != "a scalar":
            continue  # the state of so many entries is quantised, and quantised-state judges that
        one = make_course(subject, circumstances.generator(words), [part], steps=STEPS)
        if split > 1 and _blocks(subject, _tiled(one, split, whole)):
            told = "entries of large tensors interact, as those of a state that is quantised in blocks"
            yield Reading(group=words, verdict="skipped", message=told)
            continue
        sentence = f"{words}: {split} copies of a tensor of shape {part} step otherwise than one of them;"
        yield _alike(subject, words, _tiled(one, split, whole), one, split, sentence)


def _blocks(subject: Subject, course: Course) -> bool:
    """Return whether one entry of the first gradient moves another weight of a large tensor."""
    first = _there(course.gradients[0][0]).clone()
    first.view(-1)[0] *= FACTOR
    grown = replace(course, gradients=((first,), *course.gradients[1:]))
    try:
        ends = [drive(subject, one).weights[-1][0].flatten()[1:] for one in (course, grown)]
    except StepFailedError:
        return False  # the comparison tells that
    return not torch.equal(*ends)


def _alike(subject: Subject, group: str, flat: Course, matrix: Course, copies: int, sentence: str) -> Reading:
    """Compare a vector or a scalar with copies of a matrix. By convention, weight decay may spare it."""
    try:
        expected, steps = _repeated(drive(subject, matrix), copies), _flat(drive(subject, flat))
        found = gap(steps, expected, subject.unit)
        if found.ratio > 1.0 and "weight_decay" in matrix.hyper:
            bare = _repeated(drive(subject, _undecayed(matrix)), copies)
            if gap(steps, bare, subject.unit).ratio <= 1.0:
                told = f"{group}: the steps are those of a matrix without weight decay, which spares them"
                return Reading(group=group, verdict="holds", message=told)
    except (SubjectError, CannotVaryError) as error:
        return Reading(group=group, verdict="skipped", message=str(error))
    except StepFailedError as error:
        return failed_reading(group, error)
    return gap_reading(found, group=group, sentence=sentence, n_steps=STEPS)


def _undecayed(course: Course) -> Course:
    settings = tuple({**setting, "weight_decay": 0.0} for setting in course.settings)
    return replace(course, settings=settings, hyper={**course.hyper, "weight_decay": 0.0})


def _shaped(course: Course, shape: tuple[int, ...]) -> Course:
    rows = tuple((_there(row[0]).reshape(shape),) for row in course.gradients)
    return replace(course, starts=(course.starts[0].reshape(shape),), gradients=rows)


def _tiled(course: Course, times: int, shape: tuple[int, ...]) -> Course:
    """Return the course of a tensor that repeats the first one; means and ratios of norms stay the same."""
    rows = tuple((_there(row[0]).flatten().repeat(times).reshape(shape),) for row in course.gradients)
    return replace(course, starts=(course.starts[0].flatten().repeat(times).reshape(shape),), gradients=rows)


def _repeated(trail: Trail, times: int) -> Trail:
    return Trail(tuple((row[0].flatten().repeat(times),) for row in trail.weights))


def _flat(trail: Trail) -> Trail:
    return Trail(tuple(tuple(w.flatten() for w in row) for row in trail.weights))


def _there(gradient: Tensor | None) -> Tensor:
    assert gradient is not None
    return gradient


LAW = GateLaw(
    text=law_text(
        "layouts",
        "The order in memory changes nothing",
        "Transposed, sliced and channels_last weights and gradients step as contiguous ones; where entries "
        "do not interact, a tensor of another shape with the same entries steps alike.",
        equation="w′ is a function of numbers, not of strides",
        source="views and channels_last; hpcaitech/ColossalAI#633: size(0) as the number of entries",
        meaning="A kernel runs over memory instead of entries, or counts entries wrongly.",
        rivals=("the first size(0) entries alone", "gradients in the order of memory"),
    ),
    tier="exact",
    blind_to="tensors large enough for several threads",
    check=check,
    applies=applies,
    milder={
        **dict.fromkeys((case for case in LAYOUTS if case != MATCHING), RARE),
        EXPANDED: RARE,
        LIKE_A_VECTOR: ("fragility", "an optimizer may treat a parameter without axes in a way of its own"),
        "vectors": ("fragility", "an optimizer may treat vectors, such as biases, in a way of their own"),
    },
    refusable={
        MATCHING: "few models have such weights, and the first step says so",
        "a scalar": "few models have a parameter without axes, and the first step says so",
    },
)
