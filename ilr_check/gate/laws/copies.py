"""A deepcopy, a pickle, and a second optimizer of the same class do not disturb the path."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from ilr_check.gate.law import Circumstances, GateLaw, Reading, fact_reading, law_text, same_reading
from ilr_check.gate.stimuli.paths import Path, difference, paths
from ilr_check.gate.subject import Subject
from ilr_check.gate.trial import Trial
from ilr_check.gate.words.exceptions import exception_words

ORDER = 27
STEPS, BREAK = 5, 2


def check(subject: Subject, circumstances: Circumstances) -> Iterable[Reading]:
    """Judge each setting; a class that cannot be pickled where it is defined is no defect."""
    told = False
    for words, path in paths(subject, circumstances, steps=STEPS).items():
        whole = path.ends()
        trial = path.advance(path.begin(), 0, BREAK)
        copied, dropped = _copied(trial.optimizer)
        # What torch's own __getstate__ drops is one finding. The copy is judged with it as well.
        lost = _lost(path, whole, copied, dropped) if dropped else ""
        if dropped:
            copied = _given_back(trial.optimizer)
        try:
            ends = _go_on(path, copied)
            if lost and not told and difference(whole, ends) == 0.0:
                told = True
                yield fact_reading(False, group="attributes", message=lost, diagnosis=lost)
        except Exception as error:
            failed = f"a deepcopy cannot step: {type(error).__name__}: {error}"
            yield fact_reading(False, group=f"deepcopy, {words}", message=failed, diagnosis=failed)
            return
        yield same_reading(
            difference(whole, ends),
            group=f"deepcopy, {words}",
            diagnosis="a deepcopy taken in the middle ends elsewhere, by {}",
        )
        yield same_reading(
            difference(whole, path.advance(trial, BREAK, STEPS).values()),
            group=f"original, {words}",
            diagnosis="stepping a deepcopy moves the original's path by {}",
        )
        yield from _pickled(path, words, whole)
        path.advance(path.begin(), 0, BREAK)
        yield same_reading(
            difference(whole, path.ends()),
            group=f"second instance, {words}",
            diagnosis="a second optimizer of the class ends elsewhere, by {}: state is shared, or random",
        )


def _copied(optimizer: Any) -> tuple[Any, str]:
    """Return a deepcopy, and the names of the attributes that torch's ``__getstate__`` leaves out."""
    copied = copy.deepcopy(optimizer)
    if getattr(type(optimizer), "__getstate__", None) is not torch.optim.Optimizer.__getstate__:
        return copied, ""
    torchs = vars(torch.optim.SGD([torch.zeros(1)]))
    return copied, ", ".join(name for name in vars(optimizer) if name not in {*vars(copied), *torchs})


def _lost(path: Path, whole: list[Tensor], copied: Any, names: str) -> str:
    """Describe how a copy without these attributes goes wrong; empty where it does not."""
    cause = f"torch's Optimizer.__getstate__ keeps defaults, state and param_groups alone and drops {names}"
    fix = "keep them in the state, or define __getstate__"
    try:
        size = difference(whole, _go_on(path, copied))
    except Exception as error:
        words = exception_words(error)
        return f"{cause}, so that a deepcopy cannot step ({words}); {fix}"
    return f"{cause}, so that a deepcopy ends elsewhere, by {size:.3g}; {fix}" if size else ""


def _given_back(optimizer: Any) -> Any:
    """Return a deepcopy with the attributes that torch's ``__getstate__`` drops."""
    memo: dict[int, Any] = {}
    copied = copy.deepcopy(optimizer, memo)
    for name, value in vars(optimizer).items():
        if name not in vars(copied):
            copied.__dict__[name] = copy.deepcopy(value, memo)
    return copied


def _pickled(path: Path, words: str, whole: list[Tensor]) -> Iterable[Reading]:
    trial = path.advance(path.begin(), 0, BREAK)
    dropped = _copied(trial.optimizer)[1]
    more = {name: vars(trial.optimizer)[name] for name in dropped.split(", ") if dropped}
    try:
        stored = pickle.dumps((trial.optimizer, more))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        local = any(word in str(error) for word in ("local", "not the same object", "lambda"))
        if local or more:
            return  # Pickle cannot find the class, or cannot store what torch drops.
        yield fact_reading(
            False, group=f"pickle, {words}", message=str(error), diagnosis=f"it cannot be pickled: {error}"
        )
        return
    loaded, given = pickle.loads(stored)
    vars(loaded).update(given)
    yield same_reading(
        difference(whole, _go_on(path, loaded)),
        group=f"pickle, {words}",
        diagnosis="a pickled copy taken in the middle ends elsewhere, by {}",
    )


def _go_on(path: Path, optimizer: object) -> list[Tensor]:
    """Step an optimizer with its own parameters."""
    groups = optimizer.param_groups  # type: ignore[attr-defined]
    parameters = [p for group in groups for p in group["params"]]
    return path.advance(Trial(path.subject, parameters, optimizer), BREAK, STEPS).values()


def _applies(subject: Subject) -> str:
    return (
        "it steps in hooks on its parameters, which a copy of them does not have"
        if subject.tags.steps_in_backward
        else ""
    )


LAW = GateLaw(
    text=law_text(
        "copies",
        "Copies and neighbours are alone",
        "deepcopy and pickle in the middle, and a second optimizer, give the same path, bit for bit.",
        equation="copy(o) ≡ o, and o₁ knows nothing of o₂",
        source="torch.optim: __getstate__, __setstate__; repeated runs in one process",
        meaning="State stands on the class or the module, is left out of copies, or is random.",
    ),
    tier="exact",
    blind_to="state that is shared between processes",
    check=check,
    milder={
        "attributes": ("fragility", "few trainings copy an optimizer"),
        "deepcopy": ("fragility", "few trainings copy an optimizer"),
        "original": ("fragility", "few trainings copy an optimizer"),
        "pickle": ("fragility", "few trainings copy an optimizer"),
    },
    applies=_applies,
)
