"""Another default dtype of torch does not change the steps, over many steps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch

from ilr_check.gate.agreement import agreement
from ilr_check.gate.law import Circumstances, GateLaw, Reading, law_text
from ilr_check.gate.stimuli.courses import Course, Trail, drive, make_course
from ilr_check.gate.subject import Subject
from ilr_check.optim.contracts.reference import UNIT

ORDER = 30
STEPS = 300
"""The number of steps exceeds 256, where a count in bfloat16 stops."""
DEFAULTS = ("float64", "bfloat16")


def check(subject: Subject, circumstances: Circumstances) -> Iterable[Reading]:
    """Compare float64 and bfloat16 as the default dtype with float32."""
    course = make_course(subject, circumstances.generator(), [(2, 3)], steps=STEPS)
    kept = torch.get_default_dtype()
    plain: list[Trail] = []

    def usual() -> Trail:
        if not plain:
            plain.append(_under(subject, course, kept))
        return plain[0]

    for name in DEFAULTS:
        yield agreement(
            f"the default dtype is {name}",
            lambda name=name: _under(subject, course, getattr(torch, name)),  # type: ignore[misc]
            usual,
            sentence=f"under torch.set_default_dtype(torch.{name}) the steps change,",
            # A step count and its powers may be in the default dtype, which is float32 as a rule.
            unit=max(subject.unit, UNIT["float32"]),
        )


def _under(subject: Subject, course: Course, dtype: torch.dtype) -> Trail:
    with _default(dtype):
        return drive(subject, course)


@contextmanager
def _default(dtype: torch.dtype) -> Iterator[None]:
    kept = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(kept)


LAW = GateLaw(
    text=law_text(
        "default-dtype",
        "torch's default dtype changes nothing",
        "Under a default dtype of float64 or bfloat16 the weights take the same steps, 300 of them.",
        equation="w′ is a function of the dtypes of w and g alone",
        source="pytorch/ao#4915: a step count in bfloat16 stops at 256",
        meaning="A count or a constant is made in the default dtype, and rounded to it.",
        rivals=("a step count that stops at 256",),
    ),
    tier="exact",
    blind_to="default devices",
    check=check,
    milder={"": ("fragility", "few trainings change torch's default dtype")},
)
