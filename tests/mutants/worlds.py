"""Worlds with planted defects, which the tests of statistical claims share."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ilr_check.optim.rules import Rule, State
from ilr_check.optim.sgd import StepHyper, UpdateRule
from ilr_check.seeds import derive
from ilr_check.train.world import World, world_of


class SteppingBy:
    """SGD's step is replaced by ``rule``, which has the form of the rules in ``ilr_check.optim.sgd``.

    ``settings`` are attributes of the world, such as ``fraction`` and ``judged_only``.
    """

    def __init__(self, rule: UpdateRule, **settings: Any) -> None:
        self.rule, self.name = rule, rule.__name__
        vars(self).update(settings)

    def update(
        self,
        name: str,
        weights: Tensor,
        gradient: Tensor,
        buffer: Tensor,
        lr: Tensor,
        weight_decay: Tensor,
        momentum: Tensor,
        step: int,
    ) -> tuple[Tensor, Tensor]:
        hyper = StepHyper(lr, weight_decay, momentum, torch.zeros_like(lr))
        new, after = self.rule(weights, gradient, buffer, hyper)
        return new, buffer if after is None else after


def stepping_by(rule: UpdateRule, **settings: Any) -> World:
    """Return the world in which every run of SGD steps by ``rule``."""
    return world_of(SteppingBy(rule, **settings))


class SteppingAs:
    """The update of ``rule``, one of those that a fleet models, in place of the rules in ``replaces``.

    ``hyper`` are its hyper-parameters beyond lr, weight decay and momentum.
    """

    def __init__(self, rule: Rule, *replaces: str, **hyper: float) -> None:
        self.rule, self.replaces, self.hyper, self.name = rule, replaces, hyper, rule.name
        self._columns: dict[str, list[np.ndarray[Any, Any]]] = {}
        self._numbers: dict[bytes, list[Tensor]] = {}
        self._state: dict[str, State] = {}

    def update(
        self,
        name: str,
        weights: Tensor,
        gradient: Tensor,
        buffer: Tensor,
        lr: Tensor,
        weight_decay: Tensor,
        momentum: Tensor,
        step: int,
    ) -> tuple[Tensor, Tensor]:
        now = np.stack([x.flatten().double().cpu().numpy() for x in (lr, weight_decay, momentum)])
        past = self._columns.setdefault(name, [])
        past.append(now)
        key = step.to_bytes(4, "big") + now.tobytes()
        if key not in self._numbers:
            self._numbers[key] = [c.to(weights) for c in self._coefficients(past)]
        numbers = tuple(c.reshape(lr.shape) for c in self._numbers[key])
        state = self._state.get(name, tuple(torch.zeros_like(weights) for _ in self.rule.slots))
        new, self._state[name] = self.rule.step(weights, gradient, state, numbers)
        return new, buffer

    def _coefficients(self, past: list[np.ndarray[Any, Any]]) -> list[Tensor]:
        """The coefficients of the last step; they may depend on the number of steps before it."""
        lr, decay, momentum = np.moveaxis(np.stack(past), 1, 0)
        columns = {"lr": lr, "weight_decay": decay, "momentum": momentum, "dampening": np.zeros_like(lr)}
        for name, value in {**self.rule.defaults, **self.hyper}.items():
            columns[name] = np.full_like(lr, value)
        return [torch.from_numpy(np.array(c[-1])) for c in self.rule.coefficients(columns)]


def stepping_as(rule: Rule, *replaces: str, **hyper: float) -> World:
    """Return the world in which the rules of these names step as ``rule`` does."""
    return world_of(SteppingAs(rule, *replaces, **hyper))


def generators_from(rows: Tensor) -> list[torch.Generator]:
    """Return a random generator for each run, seeded by the rows that were drawn for it."""
    return [torch.Generator().manual_seed(derive("rows", *row)) for row in rows.tolist()]


class Training:
    """The net that is trained differs from the net in the claim."""

    def __init__(self, trained: Any) -> None:
        self.trained = trained

    def net(self, spec: Any) -> Any:
        return self.trained


def training(net: Any) -> World:
    """Return the world in which ``net`` is trained for every claim."""
    return world_of(Training(net), "another net")
