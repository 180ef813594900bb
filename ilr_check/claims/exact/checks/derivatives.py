"""Gradients of one net at several scales of its groups, compared bit for bit under powers of two."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec
import torch
from torch import Tensor, nn
from torch.func import functional_call

from ilr_check.claims.settings.generated import settings
from ilr_check.nets import net_groups
from ilr_check.nets.curvature import Curvature
from ilr_check.nets.ranges import RangeWatch
from ilr_check.nets.specs import NetSpec
from ilr_check.theory.rounding import UNIT_ROUNDOFF
from ilr_check.train.loop import Setting

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

Tensors = Mapping[str, Tensor]

MAX_POWER = 16


class Scaling(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A setting, and the powers k of c = 2^k by which its groups are scaled; the groups use them in turn."""

    setting: Setting
    powers: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.powers or not any(self.powers) or any(abs(k) > MAX_POWER for k in self.powers):
            raise ValueError(
                f"powers={self.powers!r}: must be whole numbers within [-{MAX_POWER}, {MAX_POWER}], "
                "and one of them not 0"
            )

    def factors(self) -> dict[str, float]:
        """Return the factor of every trained tensor: one for each layer, one for jointly invariant layers.

        A bias in front of a norm that subtracts it has no effect, but it takes part in rounding, so it is
        scaled with its layer.
        """
        parts = _layers(self.setting.net)
        return {
            name: 2.0 ** self.powers[i % len(self.powers)] for i, names in enumerate(parts) for name in names
        }


def _layers(net: NetSpec) -> list[set[str]]:
    """Return the tensors that are scaled together."""
    parts: list[set[str]] = []
    for group in net_groups(net):
        if not group.invariant:
            continue
        owners = {name.rpartition(".")[0] for name in group.names}
        touching = [part for part in parts if owners & {name.rpartition(".")[0] for name in part}]
        parts = [part for part in parts if part not in touching] + [set(group.names).union(*touching)]
    return parts


def scalings(*, max_steps: int) -> SearchStrategy[Scaling]:
    """Return settings with powers, with few steps, since each state is an example of its own."""
    import hypothesis.strategies as st

    powers = st.lists(st.sampled_from((1, -1, 2, -2, 3, -5, 8, 0)), min_size=1, max_size=3)
    powers = powers.filter(any)
    return st.builds(
        lambda setting, ks: Scaling(setting=shortened_to(setting, max_steps), powers=tuple(ks)),
        settings(momentum=True),
        powers,
    )


def shortened_to(setting: Setting, steps: int) -> Setting:
    """Return the same run, ended after at most ``steps`` steps."""
    hyper = msgspec.structs.replace(setting.hyper, steps=min(setting.hyper.steps, steps))
    return msgspec.structs.replace(setting, hyper=hyper)


def gradients(module: nn.Module, weights: Tensors, x: Tensor, y: Tensor) -> dict[str, Tensor]:
    """Return the minibatch gradient at ``weights``."""
    leaves = {name: w.detach().clone().requires_grad_() for name, w in weights.items()}
    loss = nn.functional.cross_entropy(functional_call(module, leaves, (x,)), y)
    found = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True, materialize_grads=True)
    return dict(zip(leaves, found, strict=True))


def scaled(tensors: Tensors, factors: Mapping[str, float], degree: int = 1) -> dict[str, Tensor]:
    """Return each tensor times its factor to the power ``degree``; exact for powers of two."""
    return {name: value * factors[name] ** degree for name, value in tensors.items()}


def gap(one: Tensor, two: Tensor, dtype: str) -> float:
    """Return the largest entrywise relative difference in units of u; it is above 1 unless every bit
    agrees."""
    if torch.equal(one, two):
        return 0.0
    size = torch.maximum(one.abs(), two.abs()).double().clamp_min(1e-300)
    return float(((one.double() - two.double()).abs() / size).max()) / UNIT_ROUNDOFF[dtype]


def is_finite(*found: Tensors) -> bool:
    """Return whether every entry is finite."""
    return all(bool(torch.isfinite(v).all()) for tensors in found for v in tensors.values())


def out_of_range(
    module: nn.Module, weights: Tensors, x: Tensor, y: Tensor, one: Tensors, two: Tensors
) -> bool:
    """Return whether rounding is not relative, so that a power of two changes more than the exponent.

    That is the case where two results differ only in entries near the smallest normal number, and where the
    gradient is computed with numbers outside the range.
    """
    info = torch.finfo(x.dtype)
    floor = info.tiny / info.eps
    differing = [one[name][one[name] != two[name]].abs() for name in one]
    small = [bool((part < floor).all()) for part in differing if part.numel()]
    return (bool(small) and all(small)) or gradients_leave_range(module, weights, x, y)


def gradients_leave_range(module: nn.Module, weights: Tensors, x: Tensor, y: Tensor) -> bool:
    """Return whether the loss or its gradient meets a number outside the range; see ``RangeWatch``."""
    with RangeWatch() as watch:
        gradients(module, weights, x, y)
    return bool(watch.left)


def products_leave_range(module: nn.Module, weights: Tensors, x: Tensor, y: Tensor, v: Tensors) -> bool:
    """Return the same for the product of the Hessian with ``v``, whose terms are smaller than the
    gradient's."""
    with RangeWatch() as watch:
        Curvature(module, weights, x, y).adjoints(v)
    return bool(watch.left)
