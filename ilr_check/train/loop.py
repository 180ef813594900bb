"""One run of one net with a real ``torch.optim`` optimizer, step by step. The exact claims judge such
runs."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import torch
from torch import Tensor, nn

from ilr_check.data import DataSpec, in_epochs
from ilr_check.data.batches import Batches
from ilr_check.data.sets import load
from ilr_check.nets.build import build, initial_parameters
from ilr_check.nets.specs import NetSpec
from ilr_check.nets.transformers import mean_loss
from ilr_check.optim.hyper import HyperParams
from ilr_check.optim.schedules import ScheduleSpec
from ilr_check.train.world import DepartingSGD, World

Dtype = Literal["float64", "float32"]
DTYPES: dict[str, torch.dtype] = {"float64": torch.float64, "float32": torch.float32}


class Setting(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that decides one training run. It is a printable value that replays the run."""

    net: NetSpec
    data: DataSpec
    hyper: HyperParams
    lr_schedule: ScheduleSpec
    """The factor of ``hyper.lr`` at each step."""
    decay_schedule: ScheduleSpec
    """The factor of ``hyper.weight_decay`` at each step."""
    dtype: Dtype = "float64"
    device: Literal["cpu", "cuda"] = "cpu"


State = dict[str, dict[str, Any]]
"""The state of an optimizer: for each parameter name, its tensors and numbers by key."""

Preparation = Callable[[int, torch.optim.Optimizer, Mapping[str, nn.Parameter]], None]
"""Called before each step with its number, the optimizer and the parameters. It may change both."""

OptimizerFactory = Callable[[Sequence[nn.Parameter], HyperParams], torch.optim.Optimizer]


def torch_sgd(parameters: Sequence[nn.Parameter], hyper: HyperParams) -> torch.optim.Optimizer:
    """Return ``torch.optim.SGD`` with the setting's hyper-parameters."""
    return torch.optim.SGD(
        parameters,
        lr=hyper.lr,
        weight_decay=hyper.weight_decay,
        momentum=hyper.momentum,
        dampening=hyper.dampening,
        nesterov=hyper.nesterov,
    )


def sgd_in(world: World) -> OptimizerFactory:
    """Return SGD as it is in a world."""

    def build(parameters: Sequence[nn.Parameter], hyper: HyperParams) -> torch.optim.Optimizer:
        return DepartingSGD(
            parameters,
            world,
            lr=hyper.lr,
            weight_decay=hyper.weight_decay,
            momentum=hyper.momentum,
            dampening=hyper.dampening,
            nesterov=hyper.nesterov,
        )

    return build


@dataclass(frozen=True, eq=False)
class Step:
    """One step of a run: the state before it, the minibatch gradient there, and the state after it."""

    t: int
    x: Tensor
    y: Tensor
    loss: Tensor
    before: dict[str, Tensor]
    gradient: dict[str, Tensor]
    after: dict[str, Tensor]
    state: State
    """The state of the optimizer after the step."""
    lr: float
    weight_decay: float


def steps_of(
    setting: Setting,
    optimizer: OptimizerFactory = torch_sgd,
    *,
    weight_factor: float = 1.0,
    prepare: Preparation | None = None,
) -> Iterator[Step]:
    """Train and yield each step. Training stops early after a step whose loss is not finite.

    ``weight_factor`` multiplies the initial weights, exactly if it is a power of two. ``prepare`` may change
    weights and state before a step, after lr and weight decay are set.
    """
    hyper, dtype = setting.hyper, DTYPES[setting.dtype]
    device = setting.device
    dataset = load(setting.data, dtype=dtype, device=device)
    module = build(setting.net, dtype=dtype, device=device)
    start = initial_parameters(setting.net, hyper.seed, scale=hyper.init_scale * weight_factor, dtype=dtype)
    module.load_state_dict(start, strict=False)
    parameters = dict(module.named_parameters())
    stepper = optimizer(list(parameters.values()), hyper)
    if isinstance(stepper, DepartingSGD):
        stepper.names = list(parameters)
    by_closure = demands_closure(stepper)
    batches = Batches(
        examples=len(dataset),
        classes=dataset.classes,
        batch_size=hyper.batch_size,
        label_noise=setting.data.label_noise,
        device=device,
        epochs=in_epochs(setting.data),
    )
    index, label = batches.draw(batches.generators([hyper.seed]), hyper.steps)
    lr_factors = setting.lr_schedule.factors(hyper.steps)
    decay_factors = setting.decay_schedule.factors(hyper.steps)
    for t in range(hyper.steps):
        lr, weight_decay = hyper.lr * lr_factors[t], hyper.weight_decay * decay_factors[t]
        for group in stepper.param_groups:
            group["lr"], group["weight_decay"] = lr, weight_decay
        if prepare is not None:
            with torch.no_grad():
                prepare(t, stepper, parameters)
        x, kept = dataset.x[index[t, 0]], dataset.y[index[t, 0]]
        y = torch.where(label[t, 0] >= 0, label[t, 0], kept)
        before = {name: p.detach().clone() for name, p in parameters.items()}

        def closure(x: Tensor = x, y: Tensor = y) -> Tensor:
            stepper.zero_grad()
            value = mean_loss(module, x, y)
            value.backward()  # type: ignore[no-untyped-call]
            return value

        loss = closure()
        gradient = {
            name: torch.zeros_like(p) if p.grad is None else p.grad.detach().clone()
            for name, p in parameters.items()
        }
        stepper.step(*((closure,) if by_closure else ()))
        after = {name: p.detach().clone() for name, p in parameters.items()}
        state = state_of(stepper, parameters)
        yield Step(t, x, y, loss.detach(), before, gradient, after, state, lr, weight_decay)
        if not torch.isfinite(loss):
            return


def demands_closure(optimizer: torch.optim.Optimizer) -> bool:
    """Return whether ``step`` needs a function that evaluates the loss again, as L-BFGS does."""
    parameters = inspect.signature(optimizer.step).parameters.values()
    return any(p.name == "closure" and p.default is p.empty for p in parameters)


def state_of(optimizer: torch.optim.Optimizer, parameters: Mapping[str, nn.Parameter]) -> State:
    """Return a copy of the optimizer's state by parameter name."""
    return {name: copied(optimizer.state.get(p, {})) for name, p in parameters.items()}


def copied(entries: Mapping[str, Any]) -> dict[str, Any]:
    """Return the same entries with their tensors cloned."""
    return {k: v.detach().clone() if isinstance(v, Tensor) else v for k, v in entries.items()}


def one_step(
    optimizer: OptimizerFactory,
    hyper: HyperParams,
    *,
    weights: Mapping[str, Tensor],
    gradient: Mapping[str, Tensor],
    state: State,
    lr: float,
    weight_decay: float,
) -> tuple[dict[str, Tensor], State]:
    """Return new weights and state after one step of a fresh optimizer from given weights, gradient and
    state.

    An empty state is that of an optimizer that has not stepped yet.
    """
    parameters = {name: nn.Parameter(w.detach().clone()) for name, w in weights.items()}
    stepper = optimizer(list(parameters.values()), hyper)
    for name, p in parameters.items():
        p.grad = gradient[name].detach().clone()
        if state.get(name):
            stepper.state[p] = copied(state[name])
    for group in stepper.param_groups:
        group["lr"], group["weight_decay"] = lr, weight_decay
    stepper.step()
    return {name: p.detach() for name, p in parameters.items()}, state_of(stepper, parameters)
