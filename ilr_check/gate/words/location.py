"""Locate the optimizer's ``step`` in its source."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from ilr_check.evidence.gate import Location
from ilr_check.gate.subject import Subject, SubjectError
from ilr_check.optim.optax_target import spared


def step_location(subject: Subject) -> Location | None:
    """Return file and lines of ``step``, or of the function of optax; ``None`` where there is no source."""
    factory: Any = subject.factory
    while isinstance(factory, functools.partial):
        factory = factory.func
    if spared(factory):
        return _lines(factory.make)
    if inspect.isclass(factory):
        kind: Any = factory
    else:
        try:
            import torch

            kind = type(subject.build([torch.nn.Parameter(torch.ones(2, 2))]))
        except SubjectError:
            return None
    return _lines(getattr(kind, "step", None))


def _lines(step: Callable[..., Any] | None) -> Location | None:
    try:
        function = inspect.unwrap(step) if step is not None else None
        if function is None:
            return None
        file = inspect.getsourcefile(function)
        source, first = inspect.getsourcelines(function)
    except (OSError, TypeError):
        return None
    return None if file is None else Location(file=file, line=first, end_line=first + len(source) - 1)
