"""Independent runs of an optimizer on a scale-invariant loss that is all noise; what its equilibrium needs.

Each run is one tensor. Its gradient is isotropic and tangent to the sphere, of root mean square length
G / ||w||, drawn anew at every step: the premise of the closed forms for norm and rotation at equilibrium.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ilr_check.gate.subject import Subject
from ilr_check.theory import adaptive, momentum

Array = NDArray[np.float64]

RUNS, SIDE = 64, 8
COORDINATES = SIDE * SIDE
G = 1.0


@dataclass(frozen=True)
class Prediction:
    """The equilibrium of one family at one setting."""

    norm2: float
    cosine: float
    memory: float
    """Return the number of steps after which log r forgets by a factor e."""


Predict = Callable[[dict[str, Any]], Prediction]


def _sgd(h: dict[str, Any]) -> Prediction:
    lr, wd, mu = h["lr"], h["weight_decay"], h.get("momentum", 0.0)
    if h.get("nesterov"):
        gain, cosine = momentum.nesterov_gain(lr, wd, mu), momentum.nesterov_cosine(lr, wd, mu)
    else:
        tau = h.get("dampening", 0.0)
        gain = momentum.heavy_ball_gain(lr, wd, mu, tau)
        cosine = momentum.heavy_ball_cosine(lr, wd, mu, tau)
    rate = 4.0 * float(momentum.intrinsic_lr(lr, wd, mu, h.get("dampening", 0.0)))
    return Prediction(float(gain) ** 0.5 * G, float(cosine), 1.0 / rate)


def _adamw(h: dict[str, Any]) -> Prediction:
    norm2, cosine = adaptive.adamw(h["lr"], h["weight_decay"], COORDINATES, h["beta1"])
    return Prediction(norm2, cosine, 0.5 / (h["lr"] * h["weight_decay"]))


def _lion(h: dict[str, Any]) -> Prediction:
    norm2, cosine = adaptive.lion(h["lr"], h["weight_decay"], COORDINATES, h["beta1"], h["beta2"])
    return Prediction(norm2, cosine, 0.5 / (h["lr"] * h["weight_decay"]))


def _adam(h: dict[str, Any]) -> Prediction:
    norm2, cosine = adaptive.adam_l2(h["lr"], h["weight_decay"], COORDINATES, h.get("beta1", 0.0), G)
    pull = h["lr"] * h["weight_decay"] * norm2**0.5 * COORDINATES**0.5 / G
    return Prediction(norm2, cosine, 1.0 / (3.0 * pull))


_BETAS = {"beta1": 0.9, "beta2": 0.98, "eps": 1e-12}
FAMILIES: Mapping[str, tuple[Predict, tuple[dict[str, Any], ...]]] = {
    "sgd": (
        _sgd,
        (
            {"lr": 0.1, "weight_decay": 0.08},
            {"lr": 0.02, "weight_decay": 0.04, "momentum": 0.9},
            {"lr": 0.02, "weight_decay": 0.04, "momentum": 0.9, "nesterov": True},
        ),
    ),
    "adamw": (_adamw, ({"lr": 0.01, "weight_decay": 0.4, **_BETAS},)),
    "adam": (_adam, ({"lr": 0.01, "weight_decay": 0.02, **_BETAS},)),
    "rmsprop": (_adam, ({"lr": 0.01, "weight_decay": 0.02, "alpha": 0.98, "eps": 1e-12},)),
    "lion": (_lion, ({"lr": 0.003, "weight_decay": 1.3, "beta1": 0.9, "beta2": 0.98},)),
}
"""Each contract has its closed form and the settings in which it is tried."""

FLUCTUATION: Mapping[str, float] = {"sgd": 0.0, "adamw": 0.02, "adam": 0.02, "rmsprop": 0.02, "lion": 0.0}
"""1 - beta2, the order of what the closed forms of families with a second moment leave out."""


@dataclass(frozen=True)
class NoiseTrajectories:
    """Time means of each run, [RUNS]: log r and log cos at the first LR, log r at the divided one."""

    log_norm: Array
    log_cosine: Array
    log_norm_after: Array
    steps: int


def noise_trajectories(
    subject: Subject, hyper: dict[str, Any], predict: Predict, factor: float, generator: torch.Generator
) -> NoiseTrajectories:
    """Start at the predicted norm, forget for six memories, measure over eight; repeat at lr / factor."""
    before, after = predict(hyper), predict({**hyper, "lr": hyper["lr"] / factor})
    burn_in, window = round(6 * before.memory), round(8 * before.memory)
    again, late = round(8 * after.memory), round(4 * after.memory)
    start = torch.randn(RUNS, SIDE, SIDE, generator=generator, dtype=torch.float64)
    start *= before.norm2**0.5 / torch.linalg.vector_norm(start, dim=(1, 2), keepdim=True)
    trial = subject.start(list(start), **hyper)
    norms, cosines, norms_after = [], [], []
    total = burn_in + window + again + late
    weights = torch.stack(trial.values())
    for t in range(total):
        changed = {"lr": hyper["lr"] / factor} if t == burn_in + window else {}
        trial.step(list(_noise(weights, generator)), **changed)
        moved = torch.stack(trial.values())
        if burn_in <= t < burn_in + window:
            norms.append(_log_norm(moved))
            cosines.append(_log_cosine(weights, moved))
        elif t >= total - late:
            norms_after.append(_log_norm(moved))
        weights = moved
    return NoiseTrajectories(_mean(norms), _mean(cosines), _mean(norms_after), total)


def _mean(parts: list[torch.Tensor]) -> Array:
    return np.asarray(torch.stack(parts).mean(dim=0).numpy())


def _noise(weights: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    drawn = torch.randn(weights.shape, generator=generator, dtype=torch.float64)
    norm2 = (weights * weights).sum(dim=(1, 2), keepdim=True)
    tangent = drawn - weights * (drawn * weights).sum(dim=(1, 2), keepdim=True) / norm2
    noise: torch.Tensor = G / (COORDINATES - 1) ** 0.5 * tangent / norm2.sqrt()
    return noise


def _log_norm(weights: torch.Tensor) -> torch.Tensor:
    norm: torch.Tensor = torch.linalg.vector_norm(weights, dim=(1, 2))
    return norm.log()


def _log_cosine(before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
    """Return log cos, from the tangent: near 1 the cosine itself has lost its digits."""
    norm2 = (before * before).sum(dim=(1, 2), keepdim=True)
    along = (before * after).sum(dim=(1, 2), keepdim=True) / norm2
    turned = torch.linalg.vector_norm(after - along * before, dim=(1, 2))
    tangent = turned / (along.flatten() * norm2.flatten().sqrt())
    return -0.5 * torch.log1p(tangent**2)
