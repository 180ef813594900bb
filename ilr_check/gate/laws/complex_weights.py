"""A complex weight steps as the pair of its real and its imaginary part."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace

import torch
from torch import Tensor

from ilr_check.gate.agreement import gap, gap_reading
from ilr_check.gate.interaction import interaction_of
from ilr_check.gate.law import Circumstances, GateLaw, Reading, law_text
from ilr_check.gate.stimuli.courses import Course, StepFailedError, Trail, drive, make_course
from ilr_check.gate.subject import Subject, SubjectError
from ilr_check.gate.trial import CannotVaryError
from ilr_check.gate.variation import built_with, option_words, varied_options

ORDER = 25
WORD = "view_as_real"
"""How torch takes a complex tensor apart."""
STEPS = 4
SHAPES = ((3, 4, 2), (2, 3, 2))
"""The last axis holds the real and the imaginary part."""


def applies(subject: Subject) -> str:
    """Return why the law is not judged."""
    if subject.dtype not in ("float64", "float32"):
        return f"it computes in {subject.dtype}, of which there are no complex weights"
    if subject.contract is not None and subject.contract.sparse:
        return "its gradients are sparse"
    if not _speaks_of_complex(subject):
        return "nothing in its code speaks of complex weights"
    within = interaction_of(subject).within
    return "" if within == "entry" and not subject.matrices_only else "the entries of a tensor interact"


def _speaks_of_complex(subject: Subject) -> bool:
    """Return whether a class has the word, down to the one that defines its step; torch's classes do."""
    kind = subject.factory
    for base in kind.__mro__ if isinstance(kind, type) else (kind,):
        if base.__module__.startswith("torch.optim"):
            return base is not torch.optim.Optimizer
        with suppress(OSError, TypeError):  # a class whose source is not there
            source = inspect.getsource(base)
            if WORD in source or "def step(" in source:
                return WORD in source
    return False


def check(subject: Subject, circumstances: Circumstances) -> Iterable[Reading]:
    """Judge the default settings and other options; whoever refuses complex weights is right."""
    cases = {"default settings": subject}
    if options := varied_options(subject):
        cases[option_words(options)] = built_with(subject, options)
    for words, driven in cases.items():
        course = make_course(subject, circumstances.generator(words), SHAPES, steps=STEPS)
        try:
            pairs = drive(driven, course)
            found = _pairs(drive(driven, _complex(course)))
        except (SubjectError, CannotVaryError, StepFailedError) as error:
            told = f"it refuses complex weights: {error}"
            yield Reading(group=words, verdict="skipped", message=told)
            continue
        sentence = (
            "a complex weight does not step as the pair of its real and imaginary parts; the two differ"
        )
        yield gap_reading(
            gap(found, pairs, subject.unit), group=words, sentence=sentence, n_steps=len(course.gradients)
        )


def _complex(course: Course) -> Course:
    rows = tuple(tuple(None if g is None else _joined(g) for g in row) for row in course.gradients)
    return replace(course, starts=tuple(_joined(w) for w in course.starts), gradients=rows)


def _joined(pairs: Tensor) -> Tensor:
    return torch.view_as_complex(pairs.contiguous()).clone()


def _pairs(trail: Trail) -> Trail:
    return Trail(tuple(tuple(torch.view_as_real(w) for w in row) for row in trail.weights))


LAW = GateLaw(
    text=law_text(
        "complex-weights",
        "A complex weight is a pair",
        "An optimizer that takes complex weights steps them as their real and imaginary parts, or refuses "
        "them.",
        equation="w′(a + ib) = w′(a) + i w′(b)",
        source="torch.optim: view_as_real in every class that takes complex weights",
        meaning="A state or a step drops the imaginary part, or mixes the two.",
        rivals=("the imaginary part stands still",),
    ),
    tier="exact",
    blind_to="optimizers whose entries interact",
    check=check,
    applies=applies,
    milder={"": ("fragility", "few models have complex weights")},
)
