"""Weights of zeros, such as new biases, leave zero and stay numbers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import torch

from ilr_check.gate.agreement import failed_reading
from ilr_check.gate.law import Circumstances, GateLaw, Reading, fact_reading, law_text
from ilr_check.gate.stimuli.courses import StepFailedError, Trail, drive, make_course
from ilr_check.gate.subject import Subject

ORDER = 12
STEPS = 3
SHAPES = ((3, 4), (2, 3), (4,))
MATRICES = SHAPES[:2]


def check(subject: Subject, circumstances: Circumstances) -> Iterable[Reading]:
    """Start one tensor at zero, and then all, in weights of the subject's own dtype and in float32."""
    dtypes = [subject.dtype, *({"float32"} & {*subject.dtypes} - {subject.dtype})]
    for dtype in dtypes:
        for words, count in (("one tensor of zeros", 1), ("zeros in every tensor", len(SHAPES))):
            group = words if dtype == subject.dtype else f"{words}, float32 weights"
            yield from _one(subject, circumstances, group, count, dtype)


def _one(
    subject: Subject, circumstances: Circumstances, group: str, count: int, dtype: str
) -> Iterable[Reading]:
    shapes = MATRICES if subject.matrices_only else SHAPES
    rng = circumstances.generator(group)
    course = make_course(subject, rng, shapes, steps=STEPS, dtypes=[dtype] * len(shapes))
    starts = tuple(torch.zeros_like(w) if i < count else w for i, w in enumerate(course.starts))
    try:
        trail = drive(subject, replace(course, starts=starts))
        other = drive(subject, course)
    except StepFailedError as error:
        yield failed_reading(group, error)
        return
    finite = all(bool(w.isfinite().all()) for w in trail.weights[-1])
    yield fact_reading(
        finite,
        group=f"finite, {group}",
        message=f"weights after {STEPS} steps from zero",
        diagnosis=f"{group}: after {STEPS} steps the weights are not finite, so something is divided by the "
        "weights, by their norm, or by how far they have moved",
        n_steps=STEPS,
        dtype=dtype,
    )
    stuck = [i for i in range(min(count, len(shapes))) if _still(trail, i) and not _still(other, i)]
    yield fact_reading(
        not stuck,
        group=f"leaves zero, {group}",
        message=f"weights after {STEPS} steps from zero",
        diagnosis=f"{group}: weights that are zero stay zero, whatever their gradient is, so a layer that "
        "begins at zero never learns",
        n_steps=STEPS,
        dtype=dtype,
    )


def _still(trail: Trail, i: int) -> bool:
    return bool((trail.weights[-1][i] == trail.weights[0][i]).all())


LAW = GateLaw(
    text=law_text(
        "zero-weights",
        "Weights of zeros leave zero",
        "A tensor that begins at zero, as biases and last layers do, has finite weights after some steps, "
        "and they are no longer zero.",
        equation="w = 0, g ≠ 0 ⇒ w′ is finite, and w′ ≠ 0",
        source="You et al. 2017: the trust ratio of weights that are zero; residual branches begin there",
        meaning="A step is divided by the weights or by their norm, or is multiplied by it.",
        rivals=("0 / 0", "a step in proportion to the norm of the weights"),
    ),
    tier="exact",
    blind_to="how long a step from zero is",
    check=check,
    milder={"leaves zero": ("departure", "some families scale every step by the norm of the weights")},
)
