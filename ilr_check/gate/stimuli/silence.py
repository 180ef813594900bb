"""Measure how many first steps of an optimizer move nothing: AdaShift collects ten gradients first."""

from __future__ import annotations

from ilr_check.gate.subject import Subject

NEAR_ZERO = 2.0**-14
STILL = "it moves weights near zero alone, and those of this law are larger"
"""The reason why a law is not judged."""
MOST = 32
"""An optimizer that stands still for longer is told that it goes nowhere."""


def silent_steps(subject: Subject) -> int:
    """Return the number of first steps that move nothing, measured when it is first asked for.

    It is 0 where nothing ever moves.
    """
    if "silence" not in subject.measured:
        subject.measured["silence"] = _moves_at(subject, 1.0) or 0
    found: int = subject.measured["silence"]
    return found


def moves_near_zero_alone(subject: Subject) -> bool:
    """Return whether it moves weights near zero and no others, as one that trains the small ones does."""
    if "near zero alone" not in subject.measured:
        moves = _moves_at(subject, 1.0) is None and _moves_at(subject, NEAR_ZERO) is not None
        subject.measured["near zero alone"] = moves
    found: bool = subject.measured["near zero alone"]
    return found


def _moves_at(subject: Subject, size: float) -> int | None:
    """Return the step that first moves weights of this size; ``None`` where none of the first ones does."""
    start = size * subject.tensor([[1.0, -2.0], [0.5, 1.5]])
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
    return None
