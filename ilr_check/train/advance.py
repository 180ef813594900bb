"""How a chunk of runs makes its next steps: with a modelled rule, in a world, or with a black box."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ilr_check.optim.rules import Rule, State
from ilr_check.seeds import derive
from ilr_check.train.blackbox import BlackBox, Stepper, Trial
from ilr_check.train.noise import Weights
from ilr_check.train.settings import Settings
from ilr_check.train.steps import Batch, shaped
from ilr_check.train.world import HYPER, Visit

BLOCK = 32
"""The number of steps whose batches are drawn at once. It is large enough that the draws cost little."""

Advance = Callable[[int, int, Batch, Weights, bool], tuple[Tensor, Weights]]
"""(step, count, block of batches, noise, whether the gradients are wanted) -> (losses, gradients) of the last
of ``count`` steps. It makes these steps, which are in one block."""
States = dict[str, State]
"""The states of the rule by tensor. They change with every step."""
Bind = Callable[[Any], Callable[..., Any]]
"""Binds the program of a fleet to the weights of a chunk, and to the state or gradients that it writes."""


def modelled(
    bind: Bind, rule: Rule, weights: Weights, settings: Settings, loops: bool
) -> tuple[Advance, States]:
    """Return the steps of a rule. With ``loops`` the program makes several of them in one call."""
    numbers = rule.coefficients(settings.distinct)
    state = _zero_state(rule, weights)
    step = bind(state)
    like = next(iter(weights.values()))
    # They keep their storage, because a compiled step is specialised on sizes and strides.
    block = tuple(like.new_zeros(BLOCK, len(like)) for _ in numbers)
    places = [torch.tensor(offset) for offset in range(BLOCK + 1)]

    def advance(t: int, count: int, batches: Batch, noise: Weights, wanted: bool) -> tuple[Tensor, Weights]:
        offset = t % BLOCK
        if offset == 0:
            for mine, values in zip(block, numbers, strict=True):
                rows = np.ascontiguousarray(values[t : t + BLOCK, settings.of_lane])
                mine[: len(rows)] = torch.from_numpy(rows).to(like.device, like.dtype)
        out: tuple[Tensor, Weights]
        if loops:
            out = step(batches, noise, block, places[offset], places[offset + count])
        else:
            out = step(batches.at(offset), noise, tuple(values[offset] for values in block))
        return out

    return advance, state


def in_world(
    bind: Bind, rule: Rule, weights: Weights, settings: Settings, visit: Visit
) -> tuple[Advance, States]:
    """Return the steps of a rule in a world. The rule makes a step, and the world may change it.

    The states are those of the rule. A world that has its own keeps them to itself.
    """
    settings = _in_world(settings, rule, visit)
    state = _zero_state(rule, weights)
    numbers = rule.coefficients(settings.distinct)
    grads = {name: torch.empty_like(w) for name, w in weights.items()}
    gradient = bind(grads)
    like = next(iter(weights.values()))

    def of_lanes(values: NDArray[np.float64], t: int) -> Tensor:
        row = torch.from_numpy(np.ascontiguousarray(values[t, settings.of_lane]))
        return row.to(like.device, like.dtype)

    def advance(t: int, count: int, batches: Batch, noise: Weights, wanted: bool) -> tuple[Tensor, Weights]:
        batch = Batch(*visit.batch(*batches.at(t % BLOCK), t))
        loss = gradient(batch, noise)
        given = {name: visit.gradient(name, g, weights[name], t) for name, g in grads.items()}
        row = tuple(of_lanes(values, t) for values in numbers)
        used = rule.limited(given, row)
        for name, w in weights.items():
            own = rule.of(name)
            new, state[name] = own.step(w, used[name], state[name], shaped(row, w))
            if visit.replaces(own.name):
                columns = rule.columns_of(name, settings.distinct)
                # As many numbers as ``HYPER`` has names; the type of a tuple of any length does not say so.
                hyper = shaped(tuple(of_lanes(columns[of], t) for of in HYPER), w)
                new = visit.update(name, w, used[name], new, hyper, t)  # type: ignore[arg-type]
            w.copy_(new)
        return loss, {name: g.clone() for name, g in given.items()} if wanted else {}

    return advance, state


def black_box(
    bind: Bind,
    box: BlackBox,
    weights: Weights,
    settings: Settings,
    trial: Trial,
    seeds: Sequence[int],
    used: int,
) -> Advance:
    """Return the steps of a real optimizer. ``trial`` is how it was found to be steppable."""
    grads = {name: torch.empty_like(w) for name, w in weights.items()}
    random = [derive("optimizer", seed) for seed in seeds] if trial.random else None
    stepper = Stepper(box, weights, grads, settings, used=used, layout=trial.layout, random=random)
    gradient = bind(grads)

    def advance(t: int, count: int, batches: Batch, noise: Weights, wanted: bool) -> tuple[Tensor, Weights]:
        loss = gradient(batches.at(t % BLOCK), noise)
        # They are taken before the step, because an optimizer may write into its gradients.
        given = {name: g.clone() for name, g in grads.items()} if wanted else {}
        stepper.step(t)
        return loss, given

    return advance


def _zero_state(rule: Rule, weights: Weights) -> States:
    return {name: tuple(torch.zeros_like(w) for _ in rule.of(name).slots) for name, w in weights.items()}


def _in_world(settings: Settings, rule: Rule, visit: Visit) -> Settings:
    """Return the settings with the world's learning rates; each lane has a column of its own."""
    distinct = {name: column[:, settings.of_lane].copy() for name, column in settings.distinct.items()}
    if visit.has("lr"):
        distinct = rule.with_lr(distinct, visit.schedule)
    return Settings(distinct, np.arange(len(settings.of_lane)))
