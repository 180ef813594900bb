"""Deep nets with and without normalisation and skips: many runs as one batched product a layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ilr_check.claims.claim import Progress
from ilr_check.claims.function_space.trainings.steps import Steps
from ilr_check.data import DigitsSpec
from ilr_check.data.batches import Batches
from ilr_check.data.sets import load
from ilr_check.nets.norms import DEAD_FACTOR
from ilr_check.seeds import derive
from ilr_check.train.noise import dot
from ilr_check.train.world import Visit

Array = NDArray[np.float64]


class DeepNet(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A ReLU MLP of ``depth`` equal layers, then a fixed random head.

    ``normalised`` puts BatchNorm behind every layer. With ``skips`` every layer after the first adds its
    output to its input. The weights of a normalised net are scale-invariant either way.
    """

    depth: int
    width: int = 32
    normalised: bool = True
    skips: bool = False


@dataclass(frozen=True)
class DeepTrace:
    """What was measured at each step of each run and layer, [steps, runs, layers]."""

    norm2: Array
    grad2: Array
    log_cosine: Array
    """log of the cosine of the angle between the weights before and after the step."""
    loss: Array
    """[steps, runs]"""

    @property
    def unit_grad2(self) -> Array:
        """Squared gradient at unit norm, ||g||^2 r^2."""
        return self.norm2 * self.grad2


def train(
    net: DeepNet,
    seeds: Sequence[int],
    steps: int,
    *,
    lr: float,
    weight_decay: float,
    batch_size: int,
    device: str = "cpu",
    visit: Visit | None = None,
    progress: Progress = lambda fraction: None,
) -> DeepTrace:
    """Train every run for ``steps`` steps on digits with label noise 0.5; ``visit`` is its world.

    The initial weights are normal with variance 2 / fan_in, at which a deep ReLU net without normalisation
    keeps the size of its signal.
    """
    data = load(DigitsSpec(label_noise=0.5), dtype=torch.float32, device=device)
    batches = Batches(
        examples=len(data), classes=data.classes, batch_size=batch_size, label_noise=0.5, device=device
    )
    generators = batches.generators(seeds)
    weights = _initial(net, seeds, data.x.shape[1], device)
    head = _normal((net.width, data.classes), derive("deep head", 0), device) / math.sqrt(net.width)
    stepper = Steps(visit, len(seeds))
    hyper = (weights[0].new_tensor(lr), weights[0].new_tensor(weight_decay))
    rows: list[tuple[Tensor, ...]] = []
    for t in range(steps):
        index, label = (drawn[0] for drawn in batches.draw(generators, 1))
        if visit:
            index, label = visit.batch(index, label, t)
        y = torch.where(label >= 0, label, data.y[index])
        logits = _forward(net, weights, data.x[index]) @ head
        loss = (
            nn.functional.cross_entropy(logits.flatten(0, 1), y.flatten(), reduction="none")
            .view_as(y)
            .mean(dim=1)
        )
        # Runs share no weights: the gradient of the sum is every run's own.
        grads = torch.autograd.grad(loss.sum(), weights)
        with torch.no_grad():
            new = list(stepper.step(_named(weights), _named(grads), *hyper).values())
            rows.append((*_measured(weights, grads, new), loss.detach()))
        weights = [w.requires_grad_() for w in new]
        if t % 16 == 15:
            progress((t + 1) / steps)
    return DeepTrace(*(torch.stack(c).double().cpu().numpy() for c in zip(*rows, strict=True)))


def _forward(net: DeepNet, weights: list[Tensor], x: Tensor) -> Tensor:
    """Return the features [runs, batch, width]."""
    h = x
    for number, w in enumerate(weights):
        z = torch.bmm(h, w.transpose(1, 2))
        z = torch.relu(_normalised(z) if net.normalised else z)
        h = h + z if net.skips and number else z
    return h


def _normalised(z: Tensor) -> Tensor:
    """Return BatchNorm without eps, over the batch of each run; a unit without spread gives 0."""
    centred = z - z.mean(dim=1, keepdim=True)
    variance = (centred * centred).mean(dim=1, keepdim=True)
    least = DEAD_FACTOR * torch.finfo(z.dtype).eps * z.detach().abs().amax(dim=1, keepdim=True)
    dead = variance <= least * least
    return torch.where(dead, 0.0, centred * torch.where(dead, 1.0, variance).rsqrt())


def _measured(weights: list[Tensor], grads: Sequence[Tensor], new: list[Tensor]) -> tuple[Tensor, ...]:
    """Return the squared norms of weights and gradients and log cos, each [runs, layers].

    They are computed in float64: the squares of a hundred layers' gradients do not fit into float32.
    """
    columns = []
    for w32, g32, v32 in zip(weights, grads, new, strict=True):
        w, g, v = w32.double(), g32.double(), v32.double()
        norm2, inner = dot(w, w), dot(w, v)
        turned = v - w * (inner / norm2)[:, None, None]
        tangent2 = dot(turned, turned) * norm2 / inner**2
        columns.append((norm2, dot(g, g), -0.5 * torch.log1p(tangent2)))
    return tuple(torch.stack(column, dim=-1) for column in zip(*columns, strict=True))


def _initial(net: DeepNet, seeds: Sequence[int], inputs: int, device: str) -> list[Tensor]:
    shapes = [(net.width, inputs), *[(net.width, net.width)] * (net.depth - 1)]
    runs = [
        [
            _normal(shape, derive("deep weights", seed, layer), device) * math.sqrt(2.0 / shape[1])
            for layer, shape in enumerate(shapes)
        ]
        for seed in seeds
    ]
    return [torch.stack(layer).requires_grad_() for layer in zip(*runs, strict=True)]


def _normal(shape: tuple[int, ...], seed: int, device: str) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(device)


def _named(layers: Sequence[Tensor]) -> dict[str, Tensor]:
    return {f"layers.{number}.weight": layer for number, layer in enumerate(layers)}
