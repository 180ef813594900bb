"""The effect of one step of a real optimizer on each invariant group, measured in float64."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ilr_check.nets import Group, build, net_groups, orthogonality_bounds
from ilr_check.optim.hyper import HyperParams
from ilr_check.theory.step_rounding import StepSizes
from ilr_check.train.loop import DTYPES, OptimizerFactory, Setting, Step, steps_of, torch_sgd

Vector = NDArray[np.float64]

RANGE = (1e-130, 1e130)
"""The range of norms whose squares and products neither under- nor overflow in float64."""


@dataclass(frozen=True, eq=False)
class Motion:
    """One group in one step: its weights before and after and its gradient, as float64 vectors, with their
    norms."""

    names: tuple[str, ...]
    step: Step
    w: Vector
    gradient: Vector
    w_next: Vector
    sizes: StepSizes

    @property
    def name(self) -> str:
        """The names of the group's tensors, for a reader."""
        return "+".join(self.names)

    @property
    def inner(self) -> float:
        """Return <w, w'>."""
        return float(self.w @ self.w_next)

    @property
    def turned(self) -> float:
        """Return the length of the part of w' that is orthogonal to w; it is precise where 1 - cos is
        rounding."""
        along = self.inner / float(self.w @ self.w)
        return float(np.linalg.norm(self.w_next - along * self.w))


class KeptTrainings:
    """An optimizer factory that keeps the steps of its trainings, so that several laws may judge the same."""

    def __init__(self, build: OptimizerFactory) -> None:
        self.build = build
        self.trainings: dict[bytes, list[tuple[Step, dict[Group, float]]]] = {}

    def __call__(self, parameters: Sequence[nn.Parameter], hyper: HyperParams) -> torch.optim.Optimizer:
        return self.build(parameters, hyper)


def bounded_steps(
    setting: Setting, optimizer: OptimizerFactory = torch_sgd
) -> Iterator[tuple[Step, dict[Group, float]]]:
    """Train, and yield each step with the rounding bound of <g, w> for each group of the net.

    The iteration ends before the first step that is not finite.
    """
    if not isinstance(optimizer, KeptTrainings):
        yield from _bounded_steps(setting, optimizer)
        return
    key = msgspec.json.encode(setting)
    if key not in optimizer.trainings:
        optimizer.trainings[key] = list(_bounded_steps(setting, optimizer))
    yield from optimizer.trainings[key]


def _bounded_steps(
    setting: Setting, optimizer: OptimizerFactory, start: int = 0
) -> Iterator[tuple[Step, dict[Group, float]]]:
    module = build(setting.net, dtype=DTYPES[setting.dtype], device=setting.device)
    groups = net_groups(setting.net)
    for step in steps_of(setting, optimizer):
        state = (step.before, step.gradient, step.after)
        if not all(bool(torch.isfinite(v).all()) for tensors in state for v in tensors.values()):
            return
        if step.t >= start:
            bounds = orthogonality_bounds(module, step.before, step.x, step.y, groups)
            yield step, dict(zip(groups, bounds, strict=True))


def motions(
    setting: Setting, optimizer: OptimizerFactory = torch_sgd, *, start: int = 0
) -> Iterator[tuple[Motion, ...]]:
    """Train, and yield the motion of every invariant group at each step from step ``start`` on.

    The iteration ends before the first step that is not finite. A group is left out of a step where the
    square of a norm is no normal float64 number, or where a norm is zero, because it has no direction there.
    """
    steps = bounded_steps(setting, optimizer) if start == 0 else _bounded_steps(setting, optimizer, start)
    for step, bounds in steps:
        state = (step.before, step.gradient, step.after)
        found = (
            _measured(
                group.names,
                step,
                *(_vector(tensors, group.names) for tensors in state),
                eta=step.lr,
                lam=step.weight_decay,
                inner=inner,
                dtype=setting.dtype,
            )
            for group, inner in bounds.items()
            if group.invariant
        )
        yield tuple(motion for motion in found if motion is not None)


def after(motion: Motion, weights: Mapping[str, Tensor], *, eta: float, lam: float) -> Motion | None:
    """Return another step of the same group from the same state, to ``weights``; ``None`` out of range."""
    return _measured(
        motion.names,
        motion.step,
        motion.w,
        motion.gradient,
        _vector(weights, motion.names),
        eta=eta,
        lam=lam,
        inner=motion.sizes.inner,
        dtype=motion.sizes.dtype,
    )


def _measured(
    names: tuple[str, ...],
    step: Step,
    w: Vector,
    gradient: Vector,
    w_next: Vector,
    *,
    eta: float,
    lam: float,
    inner: float,
    dtype: str,
) -> Motion | None:
    r, g, r_next = (float(np.linalg.norm(v)) for v in (w, gradient, w_next))
    inside = all(RANGE[0] <= norm <= RANGE[1] for norm in (r, r_next)) and g <= RANGE[1]
    if not inside or not math.isfinite(inner):
        return None
    return Motion(names, step, w, gradient, w_next, StepSizes(r, r_next, g, eta, lam, inner, len(w), dtype))


def _vector(tensors: Mapping[str, Tensor], names: tuple[str, ...]) -> Vector:
    flat = torch.cat([tensors[name].double().flatten() for name in names])
    return np.asarray(flat.cpu().numpy(), dtype=np.float64)
