"""Two trainings that should take one path, compared bit for bit, and whether underflow explains a gap."""

from __future__ import annotations

import msgspec
import torch
from torch import Tensor

from ilr_check.optim.symmetry import Symmetry
from ilr_check.theory.rounding import UNIT_ROUNDOFF
from ilr_check.train.loop import Setting, Step

UNDERFLOW = "skipped (subnormal): a scaled intermediate underflows"


def rescaled(setting: Setting, *, lr: float, weight_decay: float) -> Setting:
    """Return the same run with lr and weight decay multiplied."""
    old = setting.hyper
    new = msgspec.structs.replace(old, lr=old.lr * lr, weight_decay=old.weight_decay * weight_decay)
    return msgspec.structs.replace(setting, hyper=new)


def shortened(setting: Setting, steps: int) -> Setting:
    """Return the same run, ended after at most ``steps`` steps."""
    hyper = msgspec.structs.replace(setting.hyper, steps=min(setting.hyper.steps, steps))
    return msgspec.structs.replace(setting, hyper=hyper)


def finite(*steps: Step) -> bool:
    """Return whether all weights after these steps are finite."""
    return all(bool(torch.isfinite(v).all()) for step in steps for v in step.after.values())


def difference(plain: Step, other: Step, a: float, dtype: str, symmetry: Symmetry | None = None) -> float:
    """Return the largest entrywise relative difference in units of u; it is above 1 unless every bit agrees.

    The losses, the weights times ``a``, and, where a contract gives its powers, the optimizer's state are
    compared.
    """
    pairs = [(plain.loss, other.loss)]
    pairs += [(plain.after[name] * a, other.after[name]) for name in plain.after]
    if symmetry is not None:
        for name in plain.state:
            pairs += [(one * factor, two) for one, two, factor in _entries(plain, other, a, symmetry, name)]
    largest = 0.0
    for one, two in pairs:
        if not torch.equal(one, two):
            size = torch.maximum(one.abs(), two.abs()).double()
            gap = (one.double() - two.double()).abs() / size.clamp_min(1e-300)
            largest = max(largest, float(gap.max()) / UNIT_ROUNDOFF[dtype])
    return largest


def _entries(
    plain: Step, other: Step, a: float, symmetry: Symmetry, name: str
) -> list[tuple[Tensor, Tensor, float]]:
    """Return the tensors that the optimizer keeps for a parameter, in both runs, and the factor between
    them."""
    return [
        (value, other.state[name][key], symmetry.state_factor(key, a))
        for key, value in plain.state[name].items()
        if isinstance(value, Tensor)
    ]


def underflows(plain: Step, other: Step, a: float, symmetry: Symmetry | None = None) -> bool:
    """Return whether rounding is not relative, so that a power of two changes more than the exponent.

    That is the case where gradients differ only in entries near the smallest normal number, and where new
    weights have such entries. Numbers outside the range inside the net are not seen here. An optimizer with a
    state leaves the range where each entry that differs, of the state or of the weights, has an entry of the
    state out of range, or a gradient whose highest power in the step is out of range or which lies below the
    floor of its contract. One such entry stands for its whole tensor where the optimizer mixes entries.
    """
    info = torch.finfo(next(iter(plain.after.values())).dtype)
    floor = info.tiny / info.eps
    for name, g in plain.gradient.items():
        differs = g != other.gradient[name] * a
        if bool(differs.any()):
            return bool((g[differs].abs() < floor).all())
    if any(bool(((w != 0) & (w.abs() < floor)).any()) for w in plain.after.values()):
        return True
    return symmetry is not None and _leaves_range(plain, other, a, symmetry, info)


def _leaves_range(plain: Step, other: Step, a: float, symmetry: Symmetry, info: torch.finfo) -> bool:
    infos = [info, torch.finfo(getattr(torch, symmetry.computes_in))] if symmetry.computes_in else [info]
    low, high = max(i.tiny / i.eps for i in infos), min(i.max * i.eps for i in infos)

    def outside(value: Tensor, powers: int = 1) -> Tensor:
        size = value.double().abs()
        return torch.logical_or(size < low ** (1 / powers), size > high ** (1 / powers))

    seen = False
    for name, w in plain.after.items():
        excused = torch.zeros_like(w, dtype=torch.bool)
        for step in (plain, other):
            direction = step.gradient[name].double()
            if symmetry.coupled:
                direction = direction + step.weight_decay * step.before[name].double()
            lost = outside(direction, symmetry.gradient_powers) | (direction.abs() < symmetry.gradient_floor)
            # Of a gradient that is 0 nothing is lost.
            excused |= lost & (direction != 0)
            if symmetry.mixes:
                excused |= bool(excused.any())
        for one, two, factor in _entries(plain, other, a, symmetry, name):
            out = outside(one) | outside(two)
            differs = one * factor != two
            seen |= bool(differs.any())
            if bool((differs & ~out).any()) and (one.shape != w.shape or bool((differs & ~excused).any())):
                return False
            if one.shape == w.shape:
                excused |= out & ((one != 0) | (two != 0))
                if symmetry.mixes:
                    excused |= bool(excused.any())
        differs = w * a != other.after[name]
        seen |= bool(differs.any())
        if bool((differs & ~excused).any()):
            return False
    return seen


def turned(one: Step, other: Step) -> float:
    """Return the largest difference between the directions of two states; functions depend on directions
    only."""
    largest = 0.0
    for name, w in one.after.items():
        v = other.after[name]
        if (
            bool(torch.isfinite(v).all())
            and bool(torch.isfinite(w).all())
            and float(w.norm())
            and float(v.norm())
        ):
            largest = max(largest, float((w / w.norm() - v / v.norm()).abs().max()))
    return largest
