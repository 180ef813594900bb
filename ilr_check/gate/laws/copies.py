"""Copies and neighbours: deepcopy, pickle, and a second optimizer of the same class."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterable

from torch import Tensor

from ilr_check.gate.law import Circumstances, GateLaw, Reading, fact_reading, law_text, same_reading
from ilr_check.gate.stimuli.paths import Path, difference, paths
from ilr_check.gate.subject import Subject, Trial

ORDER = 27
STEPS, BREAK = 5, 2


def check(subject: Subject, circumstances: Circumstances) -> Iterable[Reading]:
    """For each setting; a class that cannot be pickled where it stands is no defect."""
    for words, path in paths(subject, circumstances, steps=STEPS).items():
        whole = path.ends()
        trial = path.advance(path.begin(), 0, BREAK)
        copied = copy.deepcopy(trial.optimizer)
        try:
            ends = _go_on(path, copied)
        except Exception as error:
            told = f"a deepcopy cannot step: {type(error).__name__}: {error}"
            yield fact_reading(False, group=f"deepcopy, {words}", message=told, diagnosis=told)
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


def _pickled(path: Path, words: str, whole: list[Tensor]) -> Iterable[Reading]:
    trial = path.advance(path.begin(), 0, BREAK)
    try:
        stored = pickle.dumps(trial.optimizer)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        if "local" in str(error) or "not the same object" in str(error) or "lambda" in str(error):
            return  # the class stands where pickle cannot find it, which is its user's choice
        yield fact_reading(
            False, group=f"pickle, {words}", message=str(error), diagnosis=f"it cannot be pickled: {error}"
        )
        return
    yield same_reading(
        difference(whole, _go_on(path, pickle.loads(stored))),
        group=f"pickle, {words}",
        diagnosis="a pickled copy taken in the middle ends elsewhere, by {}",
    )


def _go_on(path: Path, optimizer: object) -> list[Tensor]:
    """Step an optimizer with the parameters that it brought along."""
    groups = optimizer.param_groups  # type: ignore[attr-defined]
    parameters = [p for group in groups for p in group["params"]]
    return path.advance(Trial(path.subject, parameters, optimizer), BREAK, STEPS).values()


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
)
