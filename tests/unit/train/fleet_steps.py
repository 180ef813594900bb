"""Every step of a fleet, beside the same step by a plain PyTorch loop with torch.optim."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from ilr_check.data import DataSpec
from ilr_check.nets.build import build, initial_parameters
from ilr_check.nets.specs import NetSpec
from ilr_check.optim.modelled import MODELLED
from ilr_check.optim.rules import Rule
from ilr_check.train.fleet import BLOCK, Fleet, Runs
from ilr_check.train.trace import Trace


@dataclass(frozen=True)
class Seen:
    """The arguments and the results of one step of a fleet, for all lanes."""

    weights: dict[str, Tensor]
    state: dict[str, tuple[Tensor, ...]]
    index: Tensor
    label: Tensor
    after: dict[str, Tensor]


def copied(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in tensors.items()}


def watched(fleet: Fleet, runs: Runs, steps: int) -> tuple[list[Seen], Trace]:
    """Train and record each step. The step is wrapped, so that the fleet's own program is recorded."""
    seen: list[Seen] = []
    step = fleet._step

    def watch(weights: Any, state: Any, tally: Any, examples: Any, batch: Any, *rest: Any) -> Any:
        before, slots = copied(weights), {name: tuple(s.clone() for s in v) for name, v in state.items()}
        out = step(weights, state, tally, examples, batch, *rest)
        # A compiled fleet gets a block of batches, and the places of the first step and of the end in it.
        one = batch.at(int(rest[-2])) if batch.rows.dim() == 3 else batch
        seen.append(Seen(before, slots, one.rows.clone(), one.labels.clone(), copied(weights)))
        return out

    fleet._step = watch
    try:
        return seen, fleet.train(runs, steps)
    finally:
        fleet._step = step


def eager_fleet(net: NetSpec, data: DataSpec, *, rule: Any = "sgd", **options: Any) -> Fleet:
    settings = {"batch_size": 8, "dtype": torch.float64, "lanes": 4, "compile": False, **options}
    return Fleet(net, data, rule=MODELLED[rule] if isinstance(rule, str) else rule, **settings)


def torch_step(
    fleet: Fleet,
    seen: Seen,
    lane: int,
    optimizer_of: Callable[[list[nn.Parameter]], torch.optim.Optimizer],
    *,
    state: dict[str, Tensor],
    dtype: torch.dtype,
) -> dict[str, Tensor]:
    """The weights after one step of a torch optimizer on one lane's net, from that lane's state.

    ``state`` is what torch keeps beside the rule's tensors, such as a step count; without it, and without
    tensors of the rule, torch begins anew.
    """
    module = module_of(fleet.net, dtype)
    parameters = dict(module.named_parameters())
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(seen.weights[name][lane])
            parameter.grad = None
    optimizer = optimizer_of(list(parameters.values()))
    assert isinstance(fleet.rule, Rule)
    if state:
        for name, parameter in parameters.items():
            slots = zip(fleet.rule.slots, seen.state[name], strict=True)
            own = {slot: value[lane].to(dtype).clone() for slot, value in slots}
            optimizer.state[parameter].update(own | {key: value.clone() for key, value in state.items()})
    loss_on(fleet, module, seen, lane, dtype).backward()
    optimizer.step()
    return {name: parameter.detach().clone() for name, parameter in parameters.items()}


@lru_cache
def module_of(net: NetSpec, dtype: torch.dtype) -> nn.Module:
    """One module for all steps of a net, whose weights each step sets: building it is slower than a step."""
    return build(net, dtype=dtype)


def loss_on(fleet: Fleet, module: nn.Module, seen: Seen, lane: int, dtype: torch.dtype) -> Tensor:
    x = fleet.dataset.x[seen.index[lane]].to(dtype)
    y = torch.where(seen.label[lane] >= 0, seen.label[lane], fleet.dataset.y[seen.index[lane]])
    return nn.functional.cross_entropy(module(x), y)


def plain_loop(
    fleet: Fleet,
    seed: int,
    factory: Callable[[list[nn.Parameter]], torch.optim.Optimizer],
    settings: list[dict[str, float]],
) -> list[dict[str, Tensor]]:
    """Weights after each step of an ordinary training of one net; ``settings`` go into param_groups."""
    module = build(fleet.net, dtype=fleet.dtype)
    module.load_state_dict(initial_parameters(fleet.net, seed, dtype=fleet.dtype), strict=False)
    optimizer = factory(list(module.parameters()))
    generators, out = fleet.batches.generators([seed]), []
    for t, values in enumerate(settings):
        if t % BLOCK == 0:
            index, label = fleet.batches.draw(generators, BLOCK)
        for group in optimizer.param_groups:
            group.update(values)
        rows, given = index[t % BLOCK, 0], label[t % BLOCK, 0]
        optimizer.zero_grad()
        y = torch.where(given >= 0, given, fleet.dataset.y[rows])
        nn.functional.cross_entropy(module(fleet.dataset.x[rows]), y).backward()
        optimizer.step()
        out.append({name: p.detach().clone() for name, p in module.named_parameters()})
    return out
