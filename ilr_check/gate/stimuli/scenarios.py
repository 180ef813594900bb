"""Scenarios are gradients and settings under which two optimizers, or two versions, are compared."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from ilr_check.gate.law import Circumstances
from ilr_check.gate.subject import Subject, SubjectError
from ilr_check.gate.trial import CannotVaryError
from ilr_check.gate.words.exceptions import exception_words

SHAPE = (3, 4)
LR, WEIGHT_DECAY = 0.05, 0.12


@dataclass(frozen=True)
class Scenario:
    """The size of each step's gradient (0: zero, ``None``: no gradient), and the settings."""

    scales: tuple[float | None, ...]
    weight_decay: float = 0.0
    lrs: tuple[float, ...] = ()


SCHEDULE = (0.05, 0.02, 0.08, 0.01)
SCENARIOS = {
    "gradients alone": Scenario((1.0,) * 6),
    "gradients and weight decay": Scenario((1.0,) * 6, WEIGHT_DECAY),
    "weight decay alone": Scenario((0.0,) * 3, WEIGHT_DECAY),
    "a schedule of lr": Scenario((1.0,) * 4, 0.0, SCHEDULE),
    "a schedule of lr and weight decay": Scenario((1.0,) * 4, WEIGHT_DECAY, SCHEDULE),
    "one gradient and then zeros": Scenario((1.0, 0.0, 0.0, 0.0, 0.0)),
    "a step without gradient": Scenario((1.0, None, 1.0)),
    "tiny gradients": Scenario((1e-6,) * 4),
    "large gradients": Scenario((1e6,) * 4),
}


def traces(subject: Subject, seed: int = 0) -> dict[str, list[list[float]]]:
    """Return the weights after every step of every scenario that this optimizer allows."""
    found = {}
    for name, scenario in SCENARIOS.items():
        hyper = {"lr": LR} if subject.can_vary("lr") else {}
        if subject.can_vary("weight_decay"):
            hyper["weight_decay"] = scenario.weight_decay
        elif scenario.weight_decay:
            continue
        if None in scenario.scales and "missing-gradient" in subject.exceptions:
            continue
        try:
            found[name] = list(_played(subject, scenario, hyper, seed))
        except (CannotVaryError, SubjectError):
            continue
    return found


def _played(
    subject: Subject, scenario: Scenario, hyper: dict[str, float], seed: int
) -> Iterator[list[float]]:
    rng = Circumstances("same-steps", seed).generator()
    trial = subject.start([_tensor(rng.normal(size=SHAPE), subject)], **hyper)
    for t, scale in enumerate(scenario.scales):
        drawn = rng.normal(size=SHAPE)
        gradient = None if scale is None else _tensor(scale * drawn, subject)
        try:
            trial.step([gradient], **({"lr": scenario.lrs[t]} if scenario.lrs else {}))
        except Exception as error:  # the target's own: the laws report it, and it must not end the gate
            raise SubjectError(exception_words(error)) from error
        yield trial.values()[0].double().cpu().numpy().ravel().tolist()


def _tensor(array: np.ndarray, subject: Subject) -> torch.Tensor:
    return torch.tensor(array, dtype=torch.float64, device=subject.device)
