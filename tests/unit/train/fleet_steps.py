"""Every step of a fleet, beside the same step by a plain PyTorch loop with torch.optim.SGD."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ilr_check.data import DataSpec
from ilr_check.nets.build import build
from ilr_check.nets.specs import NetSpec
from ilr_check.optim.sgd import RULES
from ilr_check.train.fleet import Fleet, Runs
from ilr_check.train.trace import Trace


@dataclass(frozen=True)
class Seen:
    """What one step of a fleet was given and what it returned, all lanes."""

    weights: dict[str, Tensor]
    state: dict[str, tuple[Tensor, ...]]
    index: Tensor
    label: Tensor
    after: dict[str, Tensor]


def copied(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in tensors.items()}


def watched(fleet: Fleet, runs: Runs, steps: int) -> tuple[list[Seen], Trace]:
    """Train, and keep each step. The step is wrapped, so that the fleet's own program is what is seen."""
    seen: list[Seen] = []
    step = fleet._step

    def watch(weights: Any, state: Any, tally: Any, examples: Any, batch: Any, *rest: Any) -> Any:
        before, slots = copied(weights), {name: tuple(s.clone() for s in v) for name, v in state.items()}
        out = step(weights, state, tally, examples, batch, *rest)
        seen.append(Seen(before, slots, batch.rows.clone(), batch.labels.clone(), copied(weights)))
        return out

    fleet._step = watch
    try:
        return seen, fleet.train(runs, steps)
    finally:
        fleet._step = step


def eager_fleet(net: NetSpec, data: DataSpec, *, rule: str = "sgd", **options: Any) -> Fleet:
    settings = {"batch_size": 8, "dtype": torch.float64, "lanes": 4, "compile": False, **options}
    return Fleet(net, data, rule=RULES[rule], **settings)


def torch_step(
    fleet: Fleet, seen: Seen, lane: int, *, first: bool, dtype: torch.dtype, **options: Any
) -> dict[str, Tensor]:
    """The weights after one step of torch.optim.SGD on one lane's net, from that lane's state."""
    module = build(fleet.net, dtype=dtype)
    parameters = dict(module.named_parameters())
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(seen.weights[name][lane])
    optimizer = torch.optim.SGD(parameters.values(), **options)
    if not first and options.get("momentum"):
        for name, parameter in parameters.items():
            optimizer.state[parameter]["momentum_buffer"] = seen.state[name][0][lane].to(dtype).clone()
    x = fleet.dataset.x[seen.index[lane]].to(dtype)
    y = torch.where(seen.label[lane] >= 0, seen.label[lane], fleet.dataset.y[seen.index[lane]])
    torch.nn.functional.cross_entropy(module(x), y).backward()
    optimizer.step()
    return {name: parameter.detach() for name, parameter in parameters.items()}
