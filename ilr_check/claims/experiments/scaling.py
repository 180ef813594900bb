"""One training at two scales of the weights: an optimizer's arguments multiplied by their powers of a."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from ilr_check.claims.exact import Worst
from ilr_check.claims.experiments.paths import (
    UNDERFLOW,
    difference,
    finite,
    rescaled,
    shortened,
    turned,
    underflows,
)
from ilr_check.optim.schedules import ScheduleSpec, Sequence
from ilr_check.optim.specs import OptimizerSpec
from ilr_check.optim.symmetry import Symmetry, first_phase_steps
from ilr_check.theory.rounding import UNIT_ROUNDOFF
from ilr_check.train.loop import OptimizerFactory, Setting, Step, steps_of


def scaled_setting(setting: Setting, optimizer: OptimizerSpec, symmetry: Symmetry, a: float) -> Setting:
    """The run whose lr and weight decay carry their powers of a, phase by phase."""
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
    """The path from a times the initial weights, with ``factory`` as the optimizer."""
    return steps_of(scaled_setting(setting, optimizer, symmetry, a), factory, weight_factor=a)


def paths_agree(
    setting: Setting, optimizer: OptimizerSpec, symmetry: Symmetry, a: float, worst: Worst
) -> tuple[int, str]:
    """Compare both paths bit for bit, a power of two for ``a``; the steps compared, and why it broke off."""
    other_optimizer = symmetry.scaled(optimizer, a)
    return compare(
        steps_of(setting, optimizer),
        scaled_path(setting, optimizer, symmetry, a, other_optimizer),
        symmetry,
        a,
        setting.dtype,
        worst,
    )


def compare(
    plain_path: Iterator[Step],
    other_path: Iterator[Step],
    symmetry: Symmetry,
    a: float,
    dtype: str,
    worst: Worst,
) -> tuple[int, str]:
    """Add the difference of the two paths at every step; the steps compared, and why it broke off."""
    steps = 0
    for plain, other in zip(plain_path, other_path, strict=False):
        if not finite(plain, other):
            break
        deviation = difference(plain, other, a, dtype, symmetry)
        if deviation > 0 and underflows(plain, other, a, symmetry):
            return steps, UNDERFLOW
        worst.add(deviation, 1.0, group="all", step=plain.t)
        steps += 1
    return steps, ""


def shift(
    setting: Setting, optimizer: OptimizerSpec, symmetry: Symmetry, a: float, *, steps: int = 2
) -> float:
    """How far the paths part within a few steps under these powers, in units of u."""
    short = shortened(setting, steps)
    other_optimizer = symmetry.scaled(optimizer, a)
    pairs = zip(
        steps_of(short, optimizer), scaled_path(short, optimizer, symmetry, a, other_optimizer), strict=False
    )
    return max((turned(x, y) for x, y in pairs), default=0.0) / UNIT_ROUNDOFF[setting.dtype]
