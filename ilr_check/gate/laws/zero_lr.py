"""An lr of zero, at the first step or later, moves nothing and breaks nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor

from ilr_check.gate.agreement import failed_reading
from ilr_check.gate.law import Circumstances, GateLaw, Reading, fact_reading, law_text, same_reading
from ilr_check.gate.stimuli.courses import StepFailedError, advance, begin, make_course
from ilr_check.gate.stimuli.paths import difference
from ilr_check.gate.subject import Subject
from ilr_check.optim.contracts.running import ROUNDINGS

ORDER = 11
STEPS = 5
SHAPES = ((3, 4), (2, 3))
ZEROS = {"at the first step": (0,), "in the middle": (2,), "at the first two steps": (0, 1)}
LR = 0.1


def applies(subject: Subject) -> str:
    """Return why the law is not judged: lr is not in ``param_groups``."""
    return lr_is_its_own(subject) if subject.can_schedule("lr") else "its lr cannot be changed between steps"


def lr_is_its_own(subject: Subject) -> str:
    """Return why no schedule can set the lr: each step writes another lr of its own into the groups."""
    course = make_course(subject, Circumstances("zero-lr").generator("its own"), SHAPES, steps=STEPS)
    trial = begin(subject, course)
    try:
        before = trial.hyper["lr"]
        for t in range(STEPS):
            advance(trial, course, t)
    except StepFailedError:
        return ""  # another law tells that
    found = trial.hyper["lr"]
    return "" if found == before else f"its steps set lr in the groups themselves, from {before} to {found}"


def check(subject: Subject, circumstances: Circumstances) -> Iterable[Reading]:
    """Judge steps at lr = 0 without weight decay, with and without momentum."""
    cases: list[tuple[str, Mapping[str, Any]]] = [(words, {}) for words in ZEROS]
    cases += [("at the first step", setting) for setting in subject.settings[1:2]]
    for place, setting in cases:
        zeros = ZEROS[place]
        words = ", ".join((place, *([subject.words(setting)] if setting else [])))
        rng = circumstances.generator(words)
        course = make_course(subject, rng, SHAPES, steps=STEPS, decay=False, hyper=setting)
        trial = begin(subject, course)
        moved = 0.0
        try:
            for t in range(STEPS):
                before = trial.values()
                trial.set(lr=0.0 if t in zeros else LR)
                advance(trial, course, t)
                if t in zeros:
                    moved = max(moved, _beyond_rounding(subject, before, trial.values()))
        except StepFailedError as error:
            yield failed_reading(f"lr = 0 {words}", error)
            continue
        yield fact_reading(
            all(bool(w.isfinite().all()) for w in trial.values()),
            group=f"finite, {words}",
            message=f"{STEPS} steps, {len(zeros)} of them at lr = 0",
            diagnosis=f"an lr of zero {words} leaves weights that are not finite: something is divided by lr",
            n_steps=STEPS,
        )
        # What calls a closure at other weights, as SAM, has no other reason to move at its first step.
        stays_away = subject.needs_closure and place == "at the first step"
        yield same_reading(
            moved,
            group=f"still, {words}",
            diagnosis=f"with lr = 0 {words} and no weight decay the weights move by {{}}"
            + (": they do not come back from where its closure was called" if stays_away else ""),
            severity="defect" if stays_away else None,
            n_steps=STEPS,
        )

    if subject.contract is None and subject.can_vary("weight_decay"):
        yield from _decay_waits(subject, circumstances)


def _decay_waits(subject: Subject, circumstances: Circumstances) -> Iterable[Reading]:
    """Judge weight decay at lr = 0, where the same step without weight decay moves nothing.

    Contracts say it of their families; here nobody else asks whether decay follows a schedule of lr.
    """
    moved = []
    (last,) = ZEROS["in the middle"]
    for decay in (False, True):
        rng = circumstances.generator("decay waits")
        course = make_course(subject, rng, SHAPES, steps=STEPS, decay=decay)
        trial = begin(subject, course)
        try:
            for t in range(last + 1):
                before = trial.values()
                trial.set(lr=0.0 if t == last else LR)
                advance(trial, course, t)
        except StepFailedError:
            return  # the cases above tell that
        moved.append(_beyond_rounding(subject, before, trial.values()))
    if moved[0] == 0.0:
        yield same_reading(
            moved[1],
            group="decay waits",
            diagnosis="with lr = 0 weight decay still moves the weights by {}: it ignores a schedule of lr",
            n_steps=last + 1,
        )


def _beyond_rounding(subject: Subject, before: list[Tensor], after: list[Tensor]) -> float:
    """Return how far the weights moved, and 0 within some roundings: MADGRAD computes its weights anew."""
    moved = difference(before, after)
    largest = max(float(w.abs().max()) for w in before)
    return 0.0 if moved <= ROUNDINGS * subject.unit * largest else moved


LAW = GateLaw(
    text=law_text(
        "zero-lr",
        "lr = 0 moves nothing and breaks nothing",
        "A step at lr = 0 without weight decay leaves the weights, and later steps stay finite.",
        equation="lr_t = 0 ⇒ w_{t+1} = w_t",
        source="warm-ups start there; facebookresearch/fairseq#1408",
        meaning="A buffer is divided by the last lr, or the step has a part that ignores lr.",
    ),
    tier="exact",
    blind_to="lr that is small but not zero",
    check=check,
    applies=applies,
    milder={
        "still, at the first": (
            "fragility",
            "few trainings rest on steps at lr = 0; a defect with a closure",
        ),
        "decay waits": ("fragility", "a decay that does not depend on lr may be meant"),
        "still": ("departure", "with lr inside of the buffer a step at lr = 0 still moves"),
    },
    refusable={"lr = 0": "the step says so at once, and a warm-up can begin above zero"},
)
