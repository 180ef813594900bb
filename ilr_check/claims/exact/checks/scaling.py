"""One training at two scales of the weights, with an optimizer's arguments multiplied by their powers of
a."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import msgspec
import torch
from torch import Tensor, nn

from ilr_check.claims.exact.checks.derivatives import gradients_leave_range
from ilr_check.claims.exact.checks.paths import (
    UNDERFLOW,
    difference,
    finite,
    rescaled,
    shortened,
    turned,
    underflows,
)
from ilr_check.claims.exact_law import Worst
from ilr_check.nets import build
from ilr_check.optim.schedules import ScheduleSpec, Sequence
from ilr_check.optim.specs import OptimizerSpec
from ilr_check.optim.symmetry import Symmetry, first_phase_steps
from ilr_check.theory.rounding import UNIT_ROUNDOFF
from ilr_check.train.loop import DTYPES, OptimizerFactory, Setting, Step, steps_of


def scaled_setting(setting: Setting, optimizer: OptimizerSpec, symmetry: Symmetry, a: float) -> Setting:
    """Return the run whose lr and weight decay carry their powers of a, phase by phase."""
    lr, decay = symmetry.rates(a)
    changed = rescaled(setting, lr=lr, weight_decay=decay)
    if not symmetry.first_phase:
        return changed
    early_lr, early_decay = symmetry.rates(a, first_phase=True)
    first, steps = first_phase_steps(optimizer), setting.hyper.steps

    def phased(schedule: ScheduleSpec, factor: float) -> Sequence:
        values = schedule.factors(max(1, steps))
        return Sequence(values=tuple(v * factor if t < first else v for t, v in enumerate(values)))

    return msgspec.structs.replace(
        changed,
        lr_schedule=phased(setting.lr_schedule, early_lr / lr),
        decay_schedule=phased(setting.decay_schedule, early_decay / decay),
    )


def scaled_path(
    setting: Setting, optimizer: OptimizerSpec, symmetry: Symmetry, a: float, factory: OptimizerFactory
) -> Iterator[Step]:
    """Return the path from a times the initial weights, with ``factory`` as the optimizer."""
    return steps_of(scaled_setting(setting, optimizer, symmetry, a), factory, weight_factor=a)


def paths_agree(
    setting: Setting, optimizer: OptimizerSpec, symmetry: Symmetry, a: float, worst: Worst
) -> tuple[int, str]:
    """Compare both paths bit for bit; ``a`` is a power of two. Return the steps compared, and why it
    stopped."""
    other_optimizer = symmetry.scaled(optimizer, a)
    return compare(
        steps_of(setting, optimizer),
        scaled_path(setting, optimizer, symmetry, a, other_optimizer),
        symmetry,
        a,
        setting,
        worst,
    )


def compare(
    plain_path: Iterator[Step],
    other_path: Iterator[Step],
    symmetry: Symmetry | None,
    a: float | Callable[[int], float],
    setting: Setting,
    worst: Worst,
) -> tuple[int, str]:
    """Add the difference of the two paths at every step; return the steps compared, and why it stopped.

    ``a`` is the factor between their weights, a power of two, and may depend on the step. ``setting`` is that
    of either path.
    """
    module = build(setting.net, dtype=DTYPES[setting.dtype], device=setting.device)
    steps = 0
    for plain, other in zip(plain_path, other_path, strict=False):
        factor = a(plain.t) if callable(a) else a
        if not finite(plain, other):
            break
        deviation = difference(plain, other, factor, setting.dtype, symmetry)
        if deviation > 0 and (
            underflows(plain, other, factor, symmetry)
            or any(gradients_leave_range(module, step.before, step.x, step.y) for step in (plain, other))
        ):
            return steps, UNDERFLOW
        worst.add(deviation, 1.0, group="all", step=plain.t)
        steps += 1
    return steps, ""


def rescale(
    optimizer: torch.optim.Optimizer, parameters: Mapping[str, nn.Parameter], symmetry: Symmetry, a: float
) -> None:
    """Multiply weights, state and arguments in place by their powers of a, except lr and weight decay."""
    for p in parameters.values():
        p.mul_(a)
        for key, value in optimizer.state.get(p, {}).items():
            if isinstance(value, Tensor):
                value.mul_(symmetry.state_factor(key, a))
    for group in optimizer.param_groups:
        for name in symmetry.arguments.keys() & group.keys() - {"lr", "weight_decay"}:
            group[name] = symmetry.multiplied(name, group[name], a)


def shift(
    setting: Setting, optimizer: OptimizerSpec, symmetry: Symmetry, a: float, *, steps: int = 2
) -> float:
    """Return how far the paths separate within a few steps under these powers, in units of u."""
    short = shortened(setting, steps)
    other = scaled_path(short, optimizer, symmetry, a, symmetry.scaled(optimizer, a))
    return parted(steps_of(short, optimizer), other, setting.dtype)


def parted(one: Iterator[Step], other: Iterator[Step], dtype: str) -> float:
    """Return the largest difference between the directions of two paths, in units of u."""
    turns = (turned(x, y) for x, y in zip(one, other, strict=False))
    return max(turns, default=0.0) / UNIT_ROUNDOFF[dtype]
