"""Narrow weights resume with the saved state; loading rounds none of it."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ilr_check.evidence.gate import Severity
from ilr_check.gate.agreement import failed_reading
from ilr_check.gate.law import Circumstances, GateLaw, Reading, fact_reading, law_text, same_reading
from ilr_check.gate.laws.old_state import applies as has_a_state
from ilr_check.gate.reference.trajectory import DTYPES
from ilr_check.gate.stimuli.courses import Course, StepFailedError, advance, begin, make_course
from ilr_check.gate.stimuli.paths import difference
from ilr_check.gate.subject import Subject, SubjectError
from ilr_check.gate.trial import Trial
from ilr_check.gate.words.exceptions import exception_words

ORDER = 34
STEPS, BREAK = 9, 4
SHAPES = ((64, 8), (8, 8))
NARROW = ("float32", "bfloat16", "float16")


def applies(subject: Subject) -> str:
    """Return why the law is not judged: no state can be saved, or no narrow weights are accepted."""
    return has_a_state(subject) or ("" if _dtypes(subject) else "it is made for float64 weights alone")


def check(subject: Subject, circumstances: Circumstances) -> Iterable[Reading]:
    """Judge the state after loading, and the steps after it, in each narrow dtype."""
    # Who promises masters or a compensation loses what was promised; torch's own rounding is a fragility.
    severity: Severity | None = "defect" if subject.tags.rounding in ("master", "kahan") else None
    for name in _dtypes(subject):
        hyper = {"eps": 2.0**-10} if name == "float16" and subject.can_vary("eps") else {}
        course = make_course(
            subject, circumstances.generator(name), SHAPES, steps=STEPS, dtypes=[name] * 2, hyper=hyper
        )
        try:
            whole = begin(subject, course)
            for t in range(STEPS):
                advance(whole, course, t)
        except SubjectError as error:
            yield Reading(group=name, verdict="skipped", message=str(error))
            continue
        except StepFailedError as error:  # it refuses this dtype, which low-precision tells as well
            yield failed_reading(f"{name} weights", error)
            continue
        try:
            resumed = _resumed(subject, course, name)
        except StepFailedError as error:
            yield replace(failed_reading(f"{name} weights, resumed", error), severity=severity)
            continue
        yield from (replace(reading, severity=severity) for reading in resumed[1])
        if subject.tags.deterministic is False:
            continue  # Two paths with random rounding differ, whatever was saved.
        yield same_reading(
            difference(whole.values(), resumed[0].values()),
            group=f"{name} weights",
            severity=severity,
            diagnosis=f"a path of {name} weights resumed after {BREAK} steps ends elsewhere, by {{}}",
            n_steps=STEPS,
            dtype=name,
        )


def _dtypes(subject: Subject) -> tuple[str, ...]:
    return tuple(name for name in NARROW if name in subject.dtypes and name != subject.dtype)


def _resumed(subject: Subject, course: Course, name: str) -> tuple[Trial, list[Reading]]:
    trial = begin(subject, course)
    for t in range(BREAK):
        advance(trial, course, t)
    fresh = subject.start(trial.values(), **course.hyper)
    try:
        fresh.optimizer.load_state_dict(copy.deepcopy(trial.optimizer.state_dict()))
    except Exception as error:
        raise StepFailedError(exception_words(error)) from error
    narrowed = sorted(_narrowed(trial, fresh))
    reading = fact_reading(
        not narrowed,
        group=f"state of {name} weights",
        message="; ".join(narrowed) or "every tensor of the state keeps its dtype",
        diagnosis=f"loading rounds the state of {name} weights: {'; '.join(narrowed)}",
        dtype=name,
    )
    for t in range(BREAK, STEPS):
        advance(fresh, course, t)
    return fresh, [reading]


def _narrowed(saved: Trial, loaded: Trial) -> set[str]:
    """Return the tensors of the state that loading made narrower than they were saved."""
    found = set()
    for p, q in zip(saved.parameters, loaded.parameters, strict=True):
        before, after = (_state(trial, parameter) for trial, parameter in ((saved, p), (loaded, q)))
        for key, tensor in before.items():
            other: Any = after.get(key)
            if isinstance(tensor, Tensor) and isinstance(other, Tensor) and tensor.is_floating_point():
                was, now = torch.finfo(tensor.dtype).bits, torch.finfo(other.dtype).bits
                if now < was and other.dtype in DTYPES.values():
                    found.add(f"{key} was {tensor.dtype} and is {other.dtype}".replace("torch.", ""))
    return found


def _state(trial: Trial, parameter: Any) -> Any:
    state = getattr(trial.optimizer, "state", {})
    return state.get(parameter, {}) if hasattr(state, "get") else {}


LAW = GateLaw(
    text=law_text(
        "narrow-resume",
        "Narrow weights are resumed without loss",
        "A training of float32, bfloat16 or float16 weights goes on after state_dict and load_state_dict "
        "bit for bit, with moments, masters and compensations as wide as they were.",
        equation="load(save(state)) = state, for every dtype of weights",
        source="facebookresearch/fairseq2#212: load_state_dict casts the state to the weights' dtype",
        meaning="float32 moments or master weights become bfloat16 on the first resume.",
        rivals=("state cast to the dtype of the weights",),
    ),
    tier="exact",
    blind_to="state that is quantised in blocks, which quantised-state judges",
    check=check,
    applies=applies,
    milder={
        "": (
            "fragility",
            "torch's own load_state_dict rounds the state; a defect for rounding=master or kahan",
        )
    },
)
