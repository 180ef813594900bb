"""Record what an optimizer does: tensors of several shapes, played in each of its settings.

Nothing is judged: ``reference.same_behaviour`` compares the record of one version with that of the next.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from ilr_check.gate.law import Circumstances
from ilr_check.gate.recorded import Behaviour, Played
from ilr_check.gate.stimuli.argument_settings import LR, Setting, settings_of
from ilr_check.gate.subject import Subject, SubjectError
from ilr_check.gate.words.exceptions import exception_words
from ilr_check.optim.contracts.reference import UNIT

SHAPES: Mapping[str, tuple[int, ...]] = {
    "a vector": (4,),
    "a matrix": (2, 3),
    "a tall matrix": (4, 2),
    "a 4-d tensor": (2, 2, 1, 2),
    "a scalar": (),
}
MATRICES = ("a matrix", "a tall matrix")
PERTURBATION = {"float64": 2.0**-46, "float32": 2.0**-17}
"""128 units of roundoff: far more than another order of operations, and far less than any change."""
DIGITS = 10
LATER_LR = 0.4 * LR


@dataclass(frozen=True)
class Play:
    """The size of each step's gradients, and what else happens before which step."""

    scales: tuple[float, ...]
    dtype: str = "float64"
    lrs: Mapping[int, float] = field(default_factory=dict)
    """What a schedule writes before some of the steps."""
    some_missing: tuple[int, ...] = ()
    """The steps at which every second tensor has no gradient."""
    all_missing: tuple[int, ...] = ()
    """The steps at which no tensor has one."""


PLAIN = {"": Play((1.0,) * 12, lrs={8: LATER_LR})}
"""Twelve steps: what happens at every fifth or tenth step happens in them."""
WHOLE = {
    **PLAIN,
    "zero gradients first": Play((0.0, 0.0, 1.0, 1.0)),
    "zero gradients later": Play((1.0, 0.0, 0.0, 0.0)),
    "tiny gradients": Play((1e-6,) * 4),
    "large gradients": Play((1e6,) * 4),
    "an lr of zero": Play((1.0,) * 4, lrs={1: 0.0, 2: LR}),
    "an lr of zero first": Play((1.0,) * 3, lrs={0: 0.0, 1: LR}),
    "a missing gradient": Play((1.0,) * 4, some_missing=(1,)),
    "no gradient at first": Play((1.0,) * 3, all_missing=(0,)),
    "in float32": Play((1.0,) * 4, dtype="float32"),
}


def behaviour(subject: Subject, seed: int = 0) -> Behaviour:
    """Return what an optimizer does in each of its settings. Never raises what the target raises."""
    found: Behaviour = {}
    for setting in settings_of(subject):
        found[setting.words] = _in_setting(setting, seed)
    return found


def _in_setting(setting: Setting, seed: int) -> dict[str, Played]:
    found: dict[str, Played] = {}
    names = MATRICES if _matrices_only(setting.subject) else tuple(SHAPES)
    for words, play in (WHOLE if setting.whole else PLAIN).items():
        together = _played(setting, play, names, seed)
        if any(played.error for played in together.values()):
            # One tensor must not hide the others.
            together = {name: _played(setting, play, (name,), seed)[name] for name in names}
        for name, played in together.items():
            found[f"{name}, {words}" if words else name] = played
    errors = {played.error for played in found.values() if not played.lengths}
    if len(errors) == 1 and all(played.error and not played.lengths for played in found.values()):
        return {"": Played(error=errors.pop())}
    return found


def _matrices_only(subject: Subject) -> bool:
    try:
        return subject.matrices_only
    except (Exception, SystemExit):  # the trial steps raise what the record will say
        return False


def _played(setting: Setting, play: Play, names: Sequence[str], seed: int) -> dict[str, Played]:
    """Play twice, the second time with gradients that differ by rounding."""
    rows, error = _steps(setting, play, names, seed, 0.0)
    again, _ = _steps(setting, play, names, seed, PERTURBATION[play.dtype])
    found = {}
    for i, name in enumerate(names):
        circumstances = Circumstances("behaviour", seed)
        direction = circumstances.generator(name).normal(size=SHAPES[name])
        start = circumstances.generator(name, "weights").normal(size=SHAPES[name])
        steps = [row[i] for row in rows]
        ways = [float(np.linalg.norm(step)) for step in steps]
        moved = max(ways, default=0.0)
        gaps = [float(np.linalg.norm(a - b[i])) for a, b in zip(steps, again, strict=False)]
        # The weights are rounded once a step, whatever the size of the step is.
        gaps.append(UNIT[play.dtype] * (float(np.linalg.norm(start)) + sum(ways)))
        found[name] = Played(
            lengths=tuple(_kept(float(np.linalg.norm(step))) for step in steps),
            products=tuple(_kept(float(np.sum(step * direction))) for step in steps),
            noise=_kept(max(gaps, default=0.0) / moved if moved else 0.0) or 0.0,
            error=error,
        )
    return found


def _steps(
    setting: Setting, play: Play, names: Sequence[str], seed: int, perturbation: float
) -> tuple[list[list[np.ndarray]], str]:
    """Return what each step added to each tensor, and the exception that ended them."""
    circumstances = Circumstances("behaviour", seed)
    draws = [circumstances.generator(name, "gradients") for name in names]
    starts = [circumstances.generator(name, "weights").normal(size=SHAPES[name]) for name in names]
    nudges = [circumstances.generator(name, "nudges") for name in names]
    _seed_all()
    rows: list[list[np.ndarray]] = []
    try:
        trial = setting.subject.start(
            [_tensor(start, play, setting.subject) for start in starts], **setting.hyper
        )
        scheduled = "lr" in setting.hyper and setting.subject.can_schedule("lr")
        before = _arrays(trial.values())
        for t, scale in enumerate(play.scales):
            gradients: list[Tensor | None] = []
            for i, name in enumerate(names):
                drawn = draws[i].normal(size=SHAPES[name]) * scale
                nudge = 1.0 + perturbation * nudges[i].choice((-1.0, 1.0), size=SHAPES[name])
                absent = t in play.all_missing or (t in play.some_missing and i % 2 == 0)
                gradients.append(None if absent else _tensor(drawn * nudge, play, setting.subject))
            changed = {"lr": play.lrs[t]} if scheduled and t in play.lrs else {}
            trial.step(gradients, **changed)
            after = _arrays(trial.values())
            rows.append([b - a for a, b in zip(before, after, strict=True)])
            before = after
    except (Exception, SystemExit) as error:  # the target's own, and part of what it does
        return rows, exception_words(
            error.__cause__ if isinstance(error, SubjectError) and error.__cause__ else error
        )
    return rows, ""


def _seed_all() -> None:
    """Start all random numbers anew; whoever watches the process puts them back."""
    torch.manual_seed(0)
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002


def _tensor(array: np.ndarray, play: Play, subject: Subject) -> Tensor:
    return torch.tensor(array, dtype=getattr(torch, play.dtype), device=subject.device)


def _arrays(tensors: Sequence[Tensor]) -> list[np.ndarray]:
    return [tensor.double().cpu().numpy() for tensor in tensors]


def _kept(number: float) -> float | None:
    return float(f"{number:.{DIGITS}g}") if np.isfinite(number) else None
