"""Find the arithmetic of an optimizer by the gradients that its steps cannot distinguish.

An optimizer that casts its gradients to float32 cannot see a relative change of 2^-29. One that casts to
bfloat16 cannot see 2^-20. An optimizer of signs sees neither, so it counts as exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from ilr_check.gate.driving import take_step
from ilr_check.gate.options import WEIGHT_DTYPES
from ilr_check.gate.tags import Tags
from ilr_check.optim.contracts.contract import Contract
from ilr_check.optim.contracts.reference import UNIT

SHAPE, STEPS = (4, 4), 4
LR = 0.25
FINE, MIDDLE, COARSE = 2.0**-29, 2.0**-20, 2.0**-4
"""Relative changes far from every unit roundoff: between float64 and float32, between float32 and bfloat16,
and well above bfloat16. A change of 2^-29 crosses a rounding boundary of float32 with probability 2^-5."""
SHARE = 0.5
"""If more than this share of the entries does not move, a change counts as unseen."""


class Drivable(Protocol):
    """The part of a ``Subject`` that is used here; the subject imports this module to measure itself."""

    @property
    def tags(self) -> Tags: ...
    @property
    def contract(self) -> Contract | None: ...
    @property
    def device(self) -> str: ...
    @property
    def dtype(self) -> str: ...
    @property
    def dtypes(self) -> tuple[str, ...]: ...
    @property
    def needs_closure(self) -> bool: ...
    def can_vary(self, *names: str) -> bool: ...
    def parameters(self, values: Sequence[Tensor]) -> list[nn.Parameter]: ...
    def build(self, parameters: Sequence[nn.Parameter], **hyper: Any) -> Any: ...
    def handed(self, gradient: Tensor) -> Tensor: ...


def widest_dtype(subject: Drivable) -> str:
    """Return the widest of its dtypes of weights that its own arithmetic does not narrow."""
    offered = [name for name in WEIGHT_DTYPES if name in subject.dtypes]
    if subject.tags.arithmetic in offered:
        return str(subject.tags.arithmetic)
    for name in offered:
        steps = _steps(subject, name, 0.0)
        if steps is None:
            continue
        narrowed = _narrowed_to(subject, name, steps)
        return narrowed if narrowed in offered else name
    return offered[0]


def arithmetic_unit(subject: Drivable) -> float:
    """Return the unit roundoff of its arithmetic, at least that of its weights."""
    if subject.tags.arithmetic is not None:
        return UNIT[subject.tags.arithmetic]
    name = subject.dtype
    if subject.contract is not None and subject.contract.float32_state:
        return max(UNIT[name], UNIT["float32"])
    plain = _steps(subject, name, 0.0)
    if plain is None or not _seen(subject, name, plain, COARSE):
        return UNIT[name]
    # Weights of float32 themselves hide a change of 2^-20 of a step.
    if not _seen(subject, name, plain, MIDDLE if name == "float64" else 8.0 * MIDDLE):
        return UNIT["bfloat16"]
    seen_finely = name != "float64" or _seen(subject, name, plain, FINE)
    return UNIT[name] if seen_finely else UNIT["float32"]


def _narrowed_to(subject: Drivable, name: str, steps: list[Tensor]) -> str:
    """Return a narrower dtype that holds all weights after a step or that the gradients pass through."""
    last = steps[-1]
    for narrow in ("bfloat16", "float32"):
        finer = UNIT[narrow] > UNIT[name]
        if finer and bool((last.to(getattr(torch, narrow)).to(last.dtype) == last).all()):
            return narrow
    through_float32 = (
        name == "float64" and not _seen(subject, name, steps, FINE) and _seen(subject, name, steps, MIDDLE)
    )
    return "float32" if through_float32 else name


def _seen(subject: Drivable, name: str, plain: list[Tensor], change: float) -> bool:
    """Return whether a relative change of the gradients moves the weights."""
    other = _steps(subject, name, change)
    if other is None:
        return True
    # The first steps of an Adam are nearly signs, so the last one decides.
    return float((plain[-1] == other[-1]).double().mean()) < SHARE


def _steps(subject: Drivable, name: str, change: float) -> list[Tensor] | None:
    """Return the weights after each of a few steps, with the gradients changed by this share."""
    rng = np.random.default_rng(11)
    # Small weights, so that their own rounding hides as little of a step as possible.
    drawn = rng.uniform(0.5, 2.0, size=SHAPE) * 2.0**-8
    start = torch.tensor(drawn, device=subject.device).to(getattr(torch, name))
    parameters = subject.parameters([start.clone()])
    found = []
    try:
        optimizer = subject.build(parameters, **({"lr": LR} if subject.can_vary("lr") else {}))
        for _ in range(STEPS):
            gradient = rng.normal(size=SHAPE) * (1.0 + change * rng.uniform(0.5, 1.0, size=SHAPE))
            handed = torch.tensor(gradient, device=subject.device).to(getattr(torch, name))
            take_step(
                optimizer,
                parameters,
                [subject.handed(handed)],
                closure=subject.needs_closure,
                in_backward=subject.tags.steps_in_backward,
            )
            found.append(parameters[0].detach().double().clone())
    except Exception:  # whatever the target raises, it does not take these weights
        return None
    return found
