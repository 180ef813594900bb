"""The next step starts from weights that were written between two steps."""

from __future__ import annotations

import copy
from collections.abc import Iterable

import torch
from torch import Tensor

from ilr_check.gate.agreement import failed_reading
from ilr_check.gate.law import Circumstances, GateLaw, Reading, fact_reading, law_text
from ilr_check.gate.stimuli.courses import StepFailedError, advance, begin, make_course
from ilr_check.gate.subject import Subject

ORDER = 35
STEPS, WRITE = 4, 2
SHAPES = ((3, 4), (2, 3))
FAR = 64.0
"""The distance of the written weights from the old ones, in units of the largest step so far."""


def applies(subject: Subject) -> str:
    """Return why the law is not judged: the optimizer says that it keeps weights of its own."""
    if subject.tags.rounding in ("master", "kahan"):
        return f"it keeps more of its weights than they show (tag rounding={subject.tags.rounding})"
    if callable(getattr(subject.build([torch.nn.Parameter(torch.ones(2, 2))]), "eval", None)):
        return "it keeps averages of its weights, between which train() and eval() switch"
    return ""


def check(subject: Subject, circumstances: Circumstances) -> Iterable[Reading]:
    """Judge the step after distant weights were written, in place and through ``.data``."""
    for words in ("copy_", ".data"):
        course = make_course(subject, circumstances.generator(words), SHAPES, steps=STEPS, decay=False)
        trial = begin(subject, course)
        moved = 0.0
        try:
            for t in range(WRITE):
                before = trial.values()
                advance(trial, course, t)
                moved = max(moved, _apart(before, trial.values()))
            old = trial.values()
            written = [w + FAR * max(moved, 1e-3) for w in old]
            _write(trial.parameters, written, through_data=words == ".data")
            advance(trial, course, WRITE)
        except StepFailedError as error:
            yield failed_reading(words, error)
            continue
        ends = trial.values()
        lost = [_apart([e], [o]) < _apart([e], [w]) for e, o, w in zip(ends, old, written, strict=True)]
        yield fact_reading(
            not any(lost),
            group=words,
            message="the next step starts from what was written"
            if not any(lost)
            else "the next step starts from the weights as they were before",
            diagnosis="weights written between two steps are lost: the optimizer keeps a copy of its own. "
            "Loading a checkpoint of the model, averaging or clipping weights then does nothing. "
            "If that is meant, say so with --tag rounding=master",
            n_steps=STEPS,
        )


def _write(parameters: Iterable[torch.nn.Parameter], values: Iterable[Tensor], *, through_data: bool) -> None:
    with torch.no_grad():
        for parameter, value in zip(parameters, values, strict=True):
            if through_data:
                parameter.data = copy.deepcopy(value)
            else:
                parameter.copy_(value)


def _apart(one: Iterable[Tensor], other: Iterable[Tensor]) -> float:
    return max(float((a - b).abs().max()) for a, b in zip(one, other, strict=True))


LAW = GateLaw(
    text=law_text(
        "written-weights",
        "A step starts from the weights as they are",
        "After weights were written between two steps, in place or through .data, the next step starts "
        "from them.",
        equation="w_{t+1} = w_t + u_t, with w_t as it stands",
        source="loading a model, averaging weights (EMA, SWA), clipping and tying them all write weights",
        meaning="The optimizer steps a copy of its own and overwrites what was written.",
        rivals=("a flat copy made at construction",),
    ),
    tier="exact",
    blind_to="copies that are refreshed by load_state_dict only",
    check=check,
    applies=applies,
    milder={"": ("fragility", "plain training writes no weights between two steps")},
)
