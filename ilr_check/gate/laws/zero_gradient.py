"""A gradient of zeros leaves weights that are numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import torch

from ilr_check.gate.agreement import failed_reading
from ilr_check.gate.law import Circumstances, GateLaw, Reading, fact_reading, law_text
from ilr_check.gate.stimuli.courses import Course, StepFailedError, drive, make_course
from ilr_check.gate.subject import Subject

ORDER = 12
STEPS = 3
SHAPES = ((3, 4), (2, 3))
UNDECAYED = ", no weight decay"
"""Weight decay in the gradient leaves no gradient of zeros."""
CASES: Mapping[str, Mapping[int, Sequence[int]]] = {
    "zeros in one tensor": {0: (0, 1)},
    "zeros in one tensor after a step": {0: (1,)},
    "zeros everywhere": {0: (0, 1), 1: (0, 1)},
    f"zeros everywhere{UNDECAYED}": {0: (0, 1), 1: (0, 1)},
}
"""The steps at which each tensor has a gradient of zeros."""


def check(subject: Subject, circumstances: Circumstances) -> Iterable[Reading]:
    """Judge each case in weights of the subject's own dtype, and in float32."""
    dtypes = [subject.dtype, *({"float32"} & {*subject.dtypes} - {subject.dtype})]
    for dtype in dtypes:
        for words, zeros in CASES.items():
            if words.endswith(UNDECAYED) and not subject.can_vary("weight_decay"):
                continue
            group = words if dtype == subject.dtype else f"{words}, float32 weights"
            course = make_course(
                subject,
                circumstances.generator(group),
                SHAPES,
                steps=STEPS,
                dtypes=[dtype] * len(SHAPES),
                decay=not words.endswith(UNDECAYED),
            )
            try:
                ends = drive(subject, _zeroed(course, zeros)).weights[-1]
            except StepFailedError as error:
                yield failed_reading(group, error)
                continue
            yield fact_reading(
                all(bool(w.isfinite().all()) for w in ends),
                group=group,
                message=f"weights after {STEPS} steps",
                diagnosis=f"{group}: after {STEPS} steps the weights are not finite, so something is divided "
                "by a gradient or by a moment that is zero",
                n_steps=STEPS,
                dtype=dtype,
            )


def _zeroed(course: Course, zeros: Mapping[int, Sequence[int]]) -> Course:
    rows = tuple(
        tuple(
            torch.zeros_like(g) if g is not None and t in zeros.get(i, ()) else g for i, g in enumerate(row)
        )
        for t, row in enumerate(course.gradients)
    )
    return replace(course, gradients=rows)


LAW = GateLaw(
    text=law_text(
        "zero-gradient",
        "A gradient of zeros breaks nothing",
        "Steps under a gradient of zeros, in one tensor or everywhere, leave finite weights.",
        equation="g = 0 ⇒ w′ is finite",
        source="davda54/sam: rho / norm; a unit that is never active has a gradient of zeros",
        meaning="A step divides by a norm or by a moment without an eps.",
    ),
    tier="exact",
    blind_to="an eps that is lost in float16; gradients that are nearly zero",
    check=check,
    milder={"zeros everywhere": ("fragility", "a training with no gradient at all has come to its end")},
)
