"""Wrong worlds that act late, at some steps, with either sign or in pairs of runs lose a premise."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from wrong_worlds import Leak, Power, Wrong

from ilr_check.claims import soundness
from ilr_check.claims.claim import Context
from ilr_check.claims.lab import Lab
from ilr_check.data import DigitsSpec
from ilr_check.nets.specs import MLPSpec
from ilr_check.train.fleet import Runs
from ilr_check.train.noise import tangent
from ilr_check.train.world import world_of

RUNS, STEPS = 32, 240


def failed(world: Wrong | None, every: int = 1) -> list[str]:
    """Return the premises that fail in a training whose lr is divided by 10 in the middle."""
    lab = Lab(Context(seed=0, profile="quick", world=None if world is None else world_of(world)), 1.0)
    fleet = lab.fleet(
        MLPSpec(inputs=64, widths=(12, 8), classes=10), DigitsSpec(label_noise=0.5), batch_size=16, lanes=RUNS
    )
    lr = np.repeat([0.5, 0.05], STEPS // 2)[:, None]
    lab.train(fleet, Runs(seeds=range(RUNS), lr=lr, weight_decay=8e-3), STEPS, record_every=every)
    return [premise.name for premise in lab.soundness.premises() if not premise.met]


class Signs(Leak):
    """The part along the weights has one sign in the first half and the other one in the second half."""

    def gradient(self, name: str, gradient: Tensor, weights: Tensor, step: int) -> Tensor:
        leaking = super().gradient(name, gradient, weights, step)
        return leaking if step < STEPS // 2 else 2.0 * gradient - leaking


class Fourth(Leak):
    """Every fourth gradient has a part along the weights, from step 1 on."""

    def gradient(self, name: str, gradient: Tensor, weights: Tensor, step: int) -> Tensor:
        return super().gradient(name, gradient, weights, step) if step % 4 == 1 else gradient


class Early(Power):
    """The gradient of the first tensor has another power of r in the first half of the training."""

    def gradient(self, name: str, gradient: Tensor, weights: Tensor, step: int) -> Tensor:
        acts = step < STEPS // 2 and name == "layers.0.weight"
        return super().gradient(name, gradient, weights, step) if acts else gradient


class Added(Wrong):
    """Noise of ``size`` times the gradient is added, tangent to the weights, one for each of ``groups``."""

    groups = RUNS

    def gradient(self, name: str, gradient: Tensor, weights: Tensor, step: int) -> Tensor:
        random = torch.Generator().manual_seed(1000 * step + int(name.split(".")[1]))
        noise = torch.randn(self.groups, *gradient.shape[1:], generator=random)
        noise = noise.repeat_interleave(RUNS // self.groups, dim=0)[-len(gradient) :]
        lengths = gradient.flatten(1).norm(dim=1) * weights.flatten(1).norm(dim=1)
        return gradient + tangent(weights, noise, self.size * lengths)


class Pairs(Wrong):
    """Two runs have the same batches."""

    def batch(self, rows: Tensor, labels: Tensor, step: int) -> tuple[Tensor, Tensor]:
        return rows[::2].repeat_interleave(2, dim=0), labels[::2].repeat_interleave(2, dim=0)


class LateDrop(Wrong):
    """lr falls three steps late and is right at all other steps."""

    past: list[Tensor] | None = None

    def lr(self, lr: Tensor, step: int) -> Tensor:
        self.past = [*(self.past or []), lr.clone()]
        return torch.maximum(lr, self.past[max(0, step - 3)])


class Factor(Wrong):
    """All gradients are longer by one factor: another lr and weight decay with the same product."""

    def gradient(self, name: str, gradient: Tensor, weights: Tensor, step: int) -> Tensor:
        return 1.3 * gradient


@pytest.mark.parametrize(
    ("world", "every", "premise"),
    [
        (Signs("", 0.02), 1, soundness.ALONG),
        (Leak("", 0.007, fraction=0.05), 1, soundness.ALONG),
        (Fourth("", 0.02), 20, soundness.ALONG),
        (Early("", 0.15), 1, soundness.FALL),
        (LateDrop(""), 1, soundness.RULE),
        (Added("", 0.3, groups=1), 1, soundness.TOGETHER),
        (Added("", 0.3, groups=RUNS // 2), 1, soundness.TOGETHER),
        (Pairs(""), 1, soundness.TOGETHER),
    ],
    ids=[
        "signs",
        "few runs",
        "unrecorded steps",
        "early",
        "late drop",
        "one noise",
        "two share noise",
        "two share batches",
    ],
)
def test_a_world_of_some_steps_or_some_runs_is_seen(world: Any, every: int, premise: str) -> None:
    assert premise in failed(world, every)


@pytest.mark.parametrize("world", [None, Added("", 0.3), Factor("")], ids=["plain", "own noise", "factor"])
def test_a_right_training_has_its_premises(world: Any) -> None:
    assert failed(world) == []
