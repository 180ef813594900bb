"""The form of a modelled optimizer: numbers prepared on the host, and one pure function of tensors.

``torch.optim`` computes ``1 - beta2**step`` and similar numbers in Python's float64, whatever the dtype of
the weights is, and steps with the results. A rule does the same. ``coefficients`` turns a run's
hyper-parameters into such numbers for every step at once, and ``step`` does the rest, in torch's order of
operations. So a step counter is data like the learning rate, and no compiled program depends on it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ilr_check.optim.sgd import RULES, StepHyper, UpdateRule, plain

Array = NDArray[np.float64]
Columns: TypeAlias = Mapping[str, Array]
"""Hyper-parameters by name, each [steps, runs]."""
State: TypeAlias = tuple[Tensor, ...]

OF_EVERY_RUN = ("lr", "weight_decay", "momentum", "dampening")
"""The hyper-parameters that every run has, whatever its rule is."""


@dataclass(frozen=True, eq=False)
class Rule:
    """One optimizer for all runs of a fleet.

    ``coefficients`` maps columns [steps, runs] to float64 arrays [steps, runs]. ``step`` maps (weights,
    gradient, state, coefficients broadcastable to the weights) to (new weights, new state). ``slots`` names
    the tensors of the state; each has the shape of the weights and starts at 0. ``defaults`` are
    hyper-parameters beyond those that every run has. ``dimensions`` is the required number of dimensions of a
    weight tensor, or None. ``coarseness`` is the share of a step that arithmetic coarser than that of the
    weights may change.
    """

    name: str
    coefficients: Callable[[Columns], tuple[Array, ...]]
    step: Callable[[Tensor, Tensor, State, tuple[Tensor, ...]], tuple[Tensor, State]]
    slots: tuple[str, ...] = ()
    defaults: Mapping[str, float] = field(default_factory=dict)
    dimensions: int | None = None
    coarseness: float = 0.0

    @property
    def names(self) -> frozenset[str]:
        """The names of the rules that step the tensors of a net."""
        return frozenset({self.name})

    def of(self, name: str) -> Rule:
        """Return the rule that steps the tensor of this name. It gets the coefficients of the whole rule."""
        return self

    def with_lr(self, columns: Columns, change: Callable[[Array], Array]) -> dict[str, Array]:
        """Return the hyper-parameters with every learning rate, [steps, runs], as ``change`` makes it."""
        return {**columns, "lr": change(columns["lr"])}

    def columns_of(self, name: str, columns: Columns) -> Columns:
        """Return the hyper-parameters of the tensor of this name."""
        return columns

    def limited(self, gradients: dict[str, Tensor], coefficients: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """Return the gradients of all tensors, [lanes, ...], as the steps use them: clipped, for example."""
        return gradients


@lru_cache(maxsize=256)
def as_rule(rule: Rule | UpdateRule) -> Rule:
    """Return a rule of the SGD family, or any function of its form, as a ``Rule``."""
    if isinstance(rule, Rule):
        return rule

    def step(w: Tensor, g: Tensor, state: State, c: tuple[Tensor, ...]) -> tuple[Tensor, State]:
        new, buffer = rule(w, g, state[0] if state else None, StepHyper(*c))
        return new, state if buffer is None else (buffer,)

    name = next((name for name, known in RULES.items() if known is rule), getattr(rule, "__name__", "rule"))
    return Rule(name, _sgd, step, slots=() if rule is plain else ("momentum_buffer",))


def _sgd(columns: Columns) -> tuple[Array, ...]:
    dampening = columns["dampening"].copy()
    # torch starts the buffer with the whole gradient.
    dampening[:1] = 0.0
    return StepHyper(columns["lr"], columns["weight_decay"], columns["momentum"], dampening)  # type: ignore[arg-type,return-value]
