"""Full-batch gradient descent from many starts at once: first without weight decay, then with it or without.

There is no noise: runs differ by their initial weights. The arithmetic is float64, since a settled gradient
is small.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ilr_check.claims.function_space.trainings.full_batch import (
    FullBatch,
    initial,
    inner,
    random_like,
    scaled,
)
from ilr_check.claims.function_space.trainings.steps import ASKED, Steps, Weights
from ilr_check.claims.lab import Lab, RunDiverged
from ilr_check.data import DataSpec
from ilr_check.nets.specs import NetSpec
from ilr_check.seeds import derive
from ilr_check.theory.descent import edge, first_crossing, mean_rotation

Array = NDArray[np.float64]

LANES = 64
FIRST_PRODUCTS = 60
"""Hessian-vector products for the sharpness of new weights, from a random vector."""
LATER_PRODUCTS = 4
"""The same at a later time, from the vector of the time before."""
EDGE_EVERY = 10
"""Steps from one evaluation of the sharpness to the next."""


class Descent(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Descent on the first ``examples`` of a set: ``settle`` steps without decay, then two arms.

    One arm continues without decay. In the other the weights are scaled, which changes no output, so that the
    edge Phi lambda_max / 2 is at ``edge_start``, and decay is switched on. Both arms last for the predicted
    time to the first crossing and ``burn_in + window`` over lambda_e. The rotation is averaged over the
    window at the end.
    """

    title: str
    net: NetSpec
    data: DataSpec
    lr: float = 0.1
    intrinsic_lr: float = 0.01
    examples: int = 64
    settle: int = 500
    edge_start: float = 0.1
    burn_in: float = 1.0
    window: float = 8.0
    looks: tuple[int, ...] = (64, 128)

    @property
    def weight_decay(self) -> float:
        """lambda_e / lr."""
        return self.intrinsic_lr / self.lr

    @property
    def window_steps(self) -> int:
        """Steps over which the rotation is averaged."""
        return round(self.window / self.intrinsic_lr)

    @property
    def steps(self) -> int:
        """Steps of either arm."""
        free = float(first_crossing(self.edge_start, self.intrinsic_lr))
        return round(free + self.burn_in / self.intrinsic_lr) + self.window_steps


@dataclass(frozen=True)
class Descended:
    """What was measured of n runs; times count from where decay is switched on."""

    rotation: Array
    """Mean of -log cos over the window, over -log(1 - lambda_e), with decay, [n]."""
    rotation_without: Array
    """The same of the arm without decay, over the same lambda_e, [n]."""
    growth: Array
    """log of the norm's growth over the window, with decay, [n]."""
    crossing: Array
    """Steps until Phi lambda_max / 2 is first above 1, [n]; the whole arm's where it never was."""
    crossing_predicted: Array
    """K* from the sharpness where decay is switched on, [n]."""
    edge: Array
    """Phi lambda_max / 2 with decay, at every ``EDGE_EVERY``-th step, [n, looks]."""
    log_norm: Array
    """log of the norm with decay, at the same steps, [n, looks]."""
    loss: Array
    """Loss with decay, at the same steps, [n, looks]."""


class Descents:
    """Runs of a descent, which grow look by look."""

    def __init__(self, descent: Descent, lab: Lab) -> None:
        self.descent, self._lab = descent, lab
        net, device = lab.net(descent.net), lab.context.device
        self._batch = FullBatch(net, descent.data, descent.examples, device)
        self._parts: list[Descended] = []
        self._count = 0

    def take(self, n: int) -> Descended:
        """Return the first ``n`` runs; raises ``RunDiverged`` if one has left the finite numbers."""
        while self._count < n:
            count = min(LANES, n - self._count)
            seeds = [derive(self._lab.seed, "descent", i) for i in range(self._count, self._count + count)]
            self._lab.claim_seeds("descent", seeds)
            self._parts.append(self._train(seeds))
            self._count += count
        joined = {
            f.name: np.concatenate([getattr(p, f.name) for p in self._parts])[:n] for f in fields(Descended)
        }
        return Descended(**joined)

    def _train(self, seeds: Sequence[int]) -> Descended:
        descent, device = self.descent, self._lab.context.device
        weights = initial(descent.net, seeds, descent.lr, device)
        with torch.no_grad():
            steps = self._steps(weights)
            for _ in range(descent.settle):
                weights = self._step(steps, weights, 0.0)[0]
            top, direction = self._batch.sharpness(weights, random_like(weights, seeds), FIRST_PRODUCTS)
            without = self._arm(weights, 0.0, direction, edges=False)
            now = torch.from_numpy(edge(descent.lr, descent.weight_decay, top.cpu().numpy())).to(device)
            larger = {name: scaled(w, (now / descent.edge_start).sqrt()) for name, w in weights.items()}
            decayed = self._arm(larger, descent.weight_decay, direction, edges=True)
        unit = float(mean_rotation(descent.intrinsic_lr))
        window = descent.window_steps
        looks = decayed.edge.shape[1]
        above = decayed.edge > 1.0
        first = np.where(above.any(axis=1), above.argmax(axis=1), looks - 1)
        return Descended(
            rotation=decayed.rotation[:, -window:].mean(axis=1) / unit,
            rotation_without=without.rotation[:, -window:].mean(axis=1) / unit,
            growth=decayed.log_norm[:, -1] - decayed.log_norm[:, -window],
            crossing=_crossing(decayed.edge, first) * EDGE_EVERY,
            crossing_predicted=np.full(
                len(seeds), float(first_crossing(descent.edge_start, descent.intrinsic_lr))
            ),
            edge=decayed.edge,
            log_norm=decayed.log_norm[:, ::EDGE_EVERY],
            loss=decayed.loss[:, ::EDGE_EVERY],
        )

    def _arm(self, weights: Weights, weight_decay: float, v: Weights, *, edges: bool) -> _Arm:
        rotations, norms, losses, tops = [], [], [], []
        steps = self._steps(weights)
        for t in range(self.descent.steps):
            if edges and t % EDGE_EVERY == 0:
                top, v = self._batch.sharpness(weights, v, LATER_PRODUCTS)
                tops.append(top)
            new, loss = self._step(steps, weights, weight_decay)
            norms.append(0.5 * inner(weights, weights).log())
            rotations.append(_rotation(weights, new))
            losses.append(loss)
            weights = new
            if t % 100 == 0:
                half = 0.5 if edges else 0.0
                self._lab.context.progress(half + 0.5 * t / self.descent.steps)
        rotation, log_norm, of_loss = (
            torch.stack(rows, dim=1).cpu().numpy() for rows in (rotations, norms, losses)
        )
        if not (np.isfinite(rotation).all() and np.isfinite(of_loss).all()):
            raise RunDiverged(
                f"a run of {self.descent.title} is not finite; lower lr={self.descent.lr:g} or lambda_e"
            )
        sharpness = torch.stack(tops, dim=1).cpu().numpy() if tops else np.empty((len(rotation), 0))
        return _Arm(rotation, log_norm, of_loss, edge(self.descent.lr, weight_decay, sharpness))

    def _steps(self, weights: Weights) -> Steps:
        lanes = len(next(iter(weights.values())))
        return Steps(self._lab.visit(lanes, only=ASKED), lanes)

    def _step(self, steps: Steps, weights: Weights, weight_decay: float) -> tuple[Weights, Tensor]:
        grads, loss = self._batch.gradient(weights)
        hyper = (loss.new_tensor(self.descent.lr), loss.new_tensor(weight_decay))
        return steps.step(weights, grads, *hyper), loss


@dataclass(frozen=True)
class _Arm:
    rotation: Array
    log_norm: Array
    loss: Array
    edge: Array


def _crossing(path: Array, first: NDArray[np.intp]) -> Array:
    """Return the place of the first value above 1, between two times by a line in the logarithm."""
    rows, before = np.arange(len(path)), np.maximum(first - 1, 0)
    low, high = np.log(path[rows, before]), np.log(np.maximum(path[rows, first], 1e-300))
    rise = np.where(high > low, high - low, 1.0)
    return np.asarray(np.where(high > 0, before + np.clip(-low / rise, 0.0, 1.0), first))


def _rotation(before: Weights, after: Weights) -> Tensor:
    """Return -log cos of the step of all tensors as one vector, from the part of the step that turned."""
    along, norm2 = inner(before, after), inner(before, before)
    turned = {name: after[name] - scaled(w, along / norm2) for name, w in before.items()}
    return 0.5 * torch.log1p(inner(turned, turned) * norm2 / along**2)
