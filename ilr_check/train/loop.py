"""One run of one net with a real ``torch.optim`` optimizer, step by step; what the exact claims look at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec
import torch
from torch import Tensor, nn

from ilr_check.data import DataSpec
from ilr_check.data.batches import Batches
from ilr_check.data.sets import load
from ilr_check.nets.build import build, initial_parameters
from ilr_check.nets.specs import NetSpec
from ilr_check.optim.hyper import HyperParams
from ilr_check.optim.schedules import ScheduleSpec

Dtype = Literal["float64", "float32"]
DTYPES: dict[str, torch.dtype] = {"float64": torch.float64, "float32": torch.float32}


class Setting(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that decides one training run: a printable value that replays it."""

    net: NetSpec
    data: DataSpec
    hyper: HyperParams
    lr_schedule: ScheduleSpec
    """Factor on ``hyper.lr`` at each step."""
    decay_schedule: ScheduleSpec
    """Factor on ``hyper.weight_decay`` at each step."""
    dtype: Dtype = "float64"
    device: Literal["cpu", "cuda"] = "cpu"


OptimizerFactory = Callable[[Sequence[nn.Parameter], HyperParams], torch.optim.Optimizer]


def torch_sgd(parameters: Sequence[nn.Parameter], hyper: HyperParams) -> torch.optim.Optimizer:
    """``torch.optim.SGD`` with the setting's hyper-parameters."""
    return torch.optim.SGD(
        parameters,
        lr=hyper.lr,
        weight_decay=hyper.weight_decay,
        momentum=hyper.momentum,
        dampening=hyper.dampening,
        nesterov=hyper.nesterov,
    )


@dataclass(frozen=True, eq=False)
class Step:
    """One step of a run: the state before, the minibatch gradient there, and the state after."""

    t: int
    x: Tensor
    y: Tensor
    loss: Tensor
    before: dict[str, Tensor]
    gradient: dict[str, Tensor]
    after: dict[str, Tensor]
    lr: float
    weight_decay: float


def steps_of(
    setting: Setting, optimizer: OptimizerFactory = torch_sgd, *, weight_factor: float = 1.0
) -> Iterator[Step]:
    """Train and yield each step; stops early, after yielding it, at a step whose loss is not finite.

    ``weight_factor`` multiplies the initial weights; a power of two does so exactly.
    """
    hyper, dtype = setting.hyper, DTYPES[setting.dtype]
    device = setting.device
    dataset = load(setting.data, dtype=dtype, device=device)
    module = build(setting.net, dtype=dtype, device=device)
    start = initial_parameters(setting.net, hyper.seed, scale=hyper.init_scale * weight_factor, dtype=dtype)
    module.load_state_dict(start, strict=False)
    parameters = dict(module.named_parameters())
    stepper = optimizer(list(parameters.values()), hyper)
    batches = Batches(
        examples=len(dataset),
        classes=dataset.classes,
        batch_size=hyper.batch_size,
        redrawn=setting.data.redrawn,
        device=device,
    )
    index, label = batches.draw(batches.generators([hyper.seed]), hyper.steps)
    lr_factors = setting.lr_schedule.factors(hyper.steps)
    decay_factors = setting.decay_schedule.factors(hyper.steps)
    for t in range(hyper.steps):
        lr, weight_decay = hyper.lr * lr_factors[t], hyper.weight_decay * decay_factors[t]
        for group in stepper.param_groups:
            group["lr"], group["weight_decay"] = lr, weight_decay
        x, kept = dataset.x[index[t, 0]], dataset.y[index[t, 0]]
        y = torch.where(label[t, 0] >= 0, label[t, 0], kept)
        before = {name: p.detach().clone() for name, p in parameters.items()}
        stepper.zero_grad()
        loss = nn.functional.cross_entropy(module(x), y)
        loss.backward()  # type: ignore[no-untyped-call]
        gradient = {
            name: torch.zeros_like(p) if p.grad is None else p.grad.detach().clone()
            for name, p in parameters.items()
        }
        stepper.step()
        after = {name: p.detach().clone() for name, p in parameters.items()}
        yield Step(t, x, y, loss.detach(), before, gradient, after, lr, weight_decay)
        if not torch.isfinite(loss):
            return
