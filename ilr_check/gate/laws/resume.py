"""A path continues unchanged after its state_dict was loaded into a fresh optimizer."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ilr_check.gate.law import Circumstances, GateLaw, Reading, fact_reading, law_text, same_reading
from ilr_check.gate.stimuli.courses import StepFailedError, advance, begin, make_course
from ilr_check.gate.stimuli.paths import Path, difference, paths
from ilr_check.gate.subject import Subject
from ilr_check.gate.trial import Trial
from ilr_check.gate.words.exceptions import exception_words

ORDER = 26
STEPS, BREAK = 6, 3
PERIODS = (1, 10, 20, 50, 100, 200, 500, 1000)
"""Usual periods of what an optimizer does at every n-th step."""


def check(subject: Subject, circumstances: Circumstances) -> Iterable[Reading]:
    """Judge each setting, through memory and through a file; the fresh optimizer has other settings."""
    for number, (words, path) in enumerate(paths(subject, circumstances, steps=STEPS).items()):
        whole = path.ends()
        ways: dict[str, Callable[[Any], Any]] = {"in memory": copy.deepcopy, "through a file": _filed}
        for way, carry in ways.items():
            trial = path.advance(path.begin(), 0, BREAK)
            try:
                saved = [carry(optimizer.state_dict()) for optimizer in _nested(trial.optimizer)]
            except (pickle.PicklingError, AttributeError) as error:
                if "pickle" not in str(error):
                    raise
                told = f"its state_dict cannot be saved by torch.save: {exception_words(error)}"
                yield fact_reading(False, group=f"saved {way}, {words}", message=told, diagnosis=told)
                continue
            except pickle.UnpicklingError as error:
                told = (
                    f"torch.load refuses its saved state unless weights_only=False: {exception_words(error)}"
                )
                yield fact_reading(False, group=f"loaded by default, {words}", message=told, diagnosis=told)
                saved = [_filed(o.state_dict(), weights_only=False) for o in _nested(trial.optimizer)]
            resumed = _fresh(path, trial)
            for optimizer, state in zip(_nested(resumed.optimizer), saved, strict=True):
                # torch keeps the tensors that it loads, and the steps change them in place.
                optimizer.load_state_dict(copy.deepcopy(state))
            try:
                ends = path.advance(resumed, BREAK, STEPS).values()
            except Exception as error:
                if not _keeps_float32(trial):
                    raise
                told = "torch widens the float32 state of float64 weights on load, and the next step fails: "
                told += exception_words(error)
                yield fact_reading(False, group=f"widened {way}, {words}", message=told, diagnosis=told)
                continue
            size = difference(whole, ends)
            if _keeps_float32(trial):
                size = 0.0 if size <= _room(path, whole) else size
            told = f"a path resumed {way} after {BREAK} steps ends elsewhere, by {{}}"
            reading = same_reading(size, group=f"{way}, {words}", diagnosis=told, n_steps=STEPS)
            yield _of_the_constructor(path, saved, whole, reading) if size else reading
        inner = _nested(path.begin().optimizer)[1:]
        if number == 0 and inner:
            yield _kept_inside(path, len(inner))
        elif number == 0 and subject.dtype == "float64":
            try:
                yield from _other_dtype(path)
            except Exception as error:  # whatever the target raises, it does so at once
                told = f"a float64 state loaded beside float32 weights fails: {exception_words(error)}"
                yield fact_reading(False, group="onto float32", message=told, diagnosis=told)
        if number == 0 and not inner:
            yield _attributes(path)
    if subject.can_schedule("lr") and not subject.takes_names:
        yield _two_groups(subject, circumstances)


def _of_the_constructor(path: Path, saved: list[Any], whole: list[Tensor], reading: Reading) -> Reading:
    """Return a milder reading where a fresh optimizer with the same rates in its constructor goes on."""
    begun = path.advance(path.begin(), 0, BREAK)
    fresh = path.subject.start(begun.values(), **path.hyper)
    for optimizer, state in zip(_nested(fresh.optimizer), saved, strict=True):
        optimizer.load_state_dict(copy.deepcopy(state))
    if difference(whole, path.advance(fresh, BREAK, STEPS).values()):
        return reading
    told = f"{reading.diagnosis}, unless it is built with the lr and the weight decay of the saved one"
    return replace(reading, severity="fragility", diagnosis=told)


def _two_groups(subject: Subject, circumstances: Circumstances) -> Reading:
    """Judge two groups with different rates, loaded into a fresh optimizer with other rates."""
    shapes = ((3, 4), (2, 3))
    course = make_course(subject, circumstances.generator("groups"), shapes, steps=STEPS, groups=((0,), (1,)))
    whole, trial = begin(subject, course), begin(subject, course)
    try:
        for t in range(STEPS):
            advance(whole, course, t)
            if t < BREAK:
                advance(trial, course, t)
    except StepFailedError as error:
        told = f"two groups of other rates cannot be stepped, which alone judges: {error}"
        return Reading(group="two groups", verdict="skipped", message=told)
    halved = tuple({name: 0.5 * value for name, value in group.items()} for group in course.settings)
    resumed = begin(subject, replace(course, starts=tuple(trial.values()), settings=halved))
    for optimizer, saved in zip(_nested(resumed.optimizer), _nested(trial.optimizer), strict=True):
        optimizer.load_state_dict(copy.deepcopy(saved.state_dict()))
    for t in range(BREAK, STEPS):
        advance(resumed, course, t)
    ends = whole.values()
    size = difference(ends, resumed.values())
    if _keeps_float32(trial):
        moved = max(float((e - s).abs().max()) for e, s in zip(ends, course.starts, strict=True))
        size = 0.0 if size <= STEPS * 8 * 2.0**-24 * moved else size
    return same_reading(
        size,
        group="two groups",
        diagnosis=f"a training of two groups resumed after {BREAK} steps ends elsewhere, by {{}}",
        n_steps=STEPS,
    )


def _attributes(path: Path) -> Reading:
    """Judge numbers that are attributes of the optimizer, change from step to step and are not restored.

    A count that nobody reads does no harm. So each is set to numbers before which something periodic may
    happen, and matters if one of them changes the next step.
    """
    trial = path.begin()
    begun = _numbers(trial.optimizer)
    path.advance(trial, 0, BREAK)
    resumed = _fresh(path, trial)
    resumed.optimizer.load_state_dict(copy.deepcopy(trial.optimizer.state_dict()))
    path.advance(trial, BREAK, BREAK + 1)
    path.advance(resumed, BREAK, BREAK + 1)
    there, now = _numbers(trial.optimizer), _numbers(resumed.optimizer)
    lost = [name for name in there if there[name] != begun.get(name) and there[name] != now.get(name)]
    telling = [name for name in lost if _matters(path, name, there[name])]
    told = ", ".join(
        f"{name} is {there[name]:g}, and {now.get(name, 0):g} in a resumed one" for name in telling
    )
    return fact_reading(
        not telling,
        group="attributes",
        message=told or f"{len(there)} numbers that are attributes of the optimizer",
        diagnosis=f"steps depend on an attribute that state_dict leaves out: after {BREAK + 1} steps {told}",
        n_steps=BREAK + 1,
    )


def _matters(path: Path, name: str, usual: float) -> bool:
    """Return whether the next step is another one at some value of this attribute."""

    def after(value: float) -> list[Tensor]:
        trial = path.advance(path.begin(), 0, BREAK)
        old = vars(trial.optimizer)[name]
        vars(trial.optimizer)[name] = type(old)(value)
        return path.advance(trial, BREAK, BREAK + 1).values()

    plain = after(usual)
    try:
        return any(difference(plain, after(period + at)) > 0 for period in PERIODS for at in (-1, 0))
    except Exception:  # the value may make no sense, and then nothing is said of it
        return False


def _numbers(optimizer: Any) -> dict[str, float]:
    return {
        name: float(value)
        for name, value in vars(optimizer).items()
        if type(value) in (int, float) and not name.startswith("__")
    }


def _keeps_float32(trial: Trial) -> bool:
    """Return whether its state has float32 numbers beside float64 weights: torch widens them on load."""
    contract = getattr(trial.subject, "contract", None)
    if contract is not None and contract.float32_state:
        return True
    state = getattr(trial.optimizer, "state", {})
    values = [v for s in state.values() if isinstance(s, dict) for v in s.values()] if state else []
    narrow = any(isinstance(v, Tensor) and v.dtype is torch.float32 for v in values)
    return narrow and any(p.dtype is torch.float64 for p in trial.parameters)


def _nested(optimizer: Any) -> list[Any]:
    """Return an optimizer and those that it wraps, as SAM does; each one is saved and loaded by itself."""
    inside = [v for v in vars(optimizer).values() if isinstance(v, torch.optim.Optimizer)]
    return [optimizer, *inside]


def _kept_inside(path: Path, count: int) -> Reading:
    """Return whether the state_dict of a wrapper has the state of the wrapped optimizer."""
    trial = path.advance(path.begin(), 0, BREAK)
    resumed = _fresh(path, trial)
    resumed.optimizer.load_state_dict(copy.deepcopy(trial.optimizer.state_dict()))
    size = difference(path.ends(), path.advance(resumed, BREAK, STEPS).values())
    return same_reading(
        size,
        group="the wrapper's own state_dict",
        diagnosis="it wraps "
        + ("an optimizer" if count == 1 else f"{count} optimizers")
        + ", and its state_dict leaves out what is inside: resumed from it alone a path ends elsewhere, by "
        "{}. Save and load the inner optimizer as well",
        n_steps=STEPS,
    )


def _room(path: Path, ends: list[Tensor]) -> float:
    """Return the effect of a factor that is float32 before and float64 after loading: a rounding a step."""
    moved = max(float((e - s).abs().max()) for e, s in zip(ends, path.starts, strict=True))
    return STEPS * 8 * 2.0**-24 * moved


def _filed(state: Any, *, weights_only: bool = True) -> Any:
    """Return a state that was saved and loaded again, as torch.load does it by default."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=weights_only)


def _fresh(path: Path, trial: Trial, dtype: torch.dtype | None = None) -> Trial:
    """Build an optimizer over the weights of another, with other rates, which loading must overwrite."""
    rates = {name: path.hyper[name] * 0.5 for name in ("lr", "weight_decay") if name in path.hyper}
    return path.subject.start([v.to(dtype or v.dtype) for v in trial.values()], **{**path.hyper, **rates})


def _other_dtype(path: Path) -> Iterable[Reading]:
    """Judge a float64 state beside float32 weights: moments get their dtype, the step count survives."""
    trial = path.advance(path.begin(), 0, BREAK)
    resumed = _fresh(path, trial, torch.float32)
    resumed.optimizer.load_state_dict(copy.deepcopy(trial.optimizer.state_dict()))
    before = [v.double() for v in resumed.values()]
    narrow = [g.float() for g in path.gradients[BREAK]]
    resumed.step(narrow)
    path.advance(trial, BREAK, BREAK + 1)
    moved = [a.double() - b for a, b in zip(resumed.values(), before, strict=True)]
    full = [a - p for a, p in zip(trial.values(), _before(path), strict=True)]
    # Weights, gradients, state and the step itself are rounded to float32 a few times each: 64 roundings of
    # weights and step together is generous, and a lost count or moment is off by a good part of the step.
    room = [
        64 * 2.0**-24 * (float(b.abs().max()) + float(m.abs().max()))
        for b, m in zip(before, full, strict=True)
    ]
    worst = max(float((a - b).abs().max()) / r for a, b, r in zip(moved, full, room, strict=True))
    yield fact_reading(
        worst <= 1.0 and all(p.dtype is torch.float32 for p in resumed.parameters),
        group="onto float32",
        message=f"the next step is within {worst:.3g} of 64 roundings of float32",
        diagnosis=f"a float64 state loaded beside float32 weights steps elsewhere, {worst:.3g} bounds away",
    )


def _before(path: Path) -> list[Tensor]:
    return path.advance(path.begin(), 0, BREAK).values()


LAW = GateLaw(
    text=law_text(
        "resume",
        "A resumed run goes on as if nothing had happened",
        "state_dict saved in the middle and loaded into a fresh optimizer gives the same path, bit for bit.",
        equation="load(save(state)) = state",
        source="torch.optim: state_dict, load_state_dict",
        meaning="A buffer or a step count is not saved, options are not loaded, or state is shared.",
        rivals=("no step count", "no buffers", "options of the constructor"),
    ),
    tier="exact",
    blind_to="formats of older versions",
    check=check,
    milder={
        "loaded by default": ("fragility", "its users can load with weights_only=False"),
        "the wrapper's own state_dict": ("fragility", "the wrapped optimizer can be saved by itself"),
        "attributes": ("fragility", "it shows only where the resumed training comes to depend on it"),
        "widened": ("fragility", "few weights are float64"),
        "onto float32": ("fragility", "most trainings go on in the dtype in which they were saved"),
    },
)
