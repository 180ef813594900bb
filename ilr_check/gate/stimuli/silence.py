"""Measure how many first steps of an optimizer move nothing: AdaShift collects ten gradients first."""

from __future__ import annotations

from ilr_check.gate.subject import Subject

MOST = 32
"""An optimizer that stands still for longer is told that it goes nowhere."""


def silent_steps(subject: Subject) -> int:
    """Return the number of first steps that move nothing, measured when it is first asked for.

    It is 0 where nothing ever moves.
    """
    if "silence" not in subject.measured:
        subject.measured["silence"] = _measured(subject)
    found: int = subject.measured["silence"]
    return found


def _measured(subject: Subject) -> int:
    start = subject.tensor([[1.0, -2.0], [0.5, 1.5]])
    gradient = subject.tensor([[0.3, 1.0], [-2.0, 0.7]])
    hyper = {"lr": 0.1} if subject.can_vary("lr") else {}
    try:
        trial = subject.start([start.clone()], **hyper)
        for t in range(MOST):
            trial.step([gradient])
            if bool((trial.values()[0] != start).any()):
                return t
    except Exception:  # the laws tell what it raises
        return 0
    return 0
