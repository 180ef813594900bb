"""Modelled optimizers against torch.optim from the same state: bitwise, because both round alike.

Each run of a stack has hyper-parameters of its own, and every step has a learning rate of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ilr_check.optim.modelled import MODELLED
from ilr_check.optim.rules import Rule

STEPS = 7
RUNS = 3
LR = np.array([0.1, 0.03, 1.0])[None, :] / np.arange(1, STEPS + 1)[:, None]
DECAY = np.array([0.0, 0.013, 0.2])


class Lion(torch.optim.Optimizer):
    """Lion as its authors publish it (google/automl, lion_pytorch.py), which torch does not have."""

    def __init__(self, params: Any, lr: float, betas: tuple[float, float], weight_decay: float) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                p.data.mul_(1 - group["lr"] * group["weight_decay"])
                mean = self.state[p].setdefault("exp_avg", torch.zeros_like(p))
                beta1, beta2 = group["betas"]
                update = mean * beta1 + p.grad * (1 - beta1)
                p.add_(update.sign_(), alpha=-group["lr"])
                mean.mul_(beta2).add_(p.grad, alpha=1 - beta2)


@dataclass(frozen=True)
class Case:
    """A rule, torch's optimizer, and the hyper-parameters of both, with one value for each run."""

    rule: str
    optimizer: Callable[..., torch.optim.Optimizer]
    ours: dict[str, list[float]] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)

    def built(self, parameter: torch.nn.Parameter, run: int) -> torch.optim.Optimizer:
        own = {name: values[run] for name, values in self.ours.items()}
        if "beta1" in own:
            own["betas"] = (own.pop("beta1"), own.pop("beta2"))
        return self.optimizer([parameter], lr=1.0, weight_decay=DECAY[run], **own, **self.options)


ADAM = {"beta1": [0.9, 0.5, 0.0], "beta2": [0.999, 0.9, 0.99], "eps": [1e-8, 1e-3, 1e-6]}
RMSPROP = {"alpha": [0.99, 0.9, 0.5], "eps": [1e-8, 1e-3, 1e-6]}
MOMENTUM = {"momentum": [0.9, 0.5, 0.1]}
NADAM = ADAM | {"momentum_decay": [0.0, 4e-3, 0.3]}
CASES = {
    "sgd": Case("sgd", torch.optim.SGD),
    "heavy-ball": Case("heavy-ball", torch.optim.SGD, MOMENTUM),
    "nesterov": Case("nesterov", torch.optim.SGD, MOMENTUM, {"nesterov": True}),
    "adamw": Case("adamw", torch.optim.AdamW, ADAM),
    "adam": Case("adam", torch.optim.Adam, ADAM),
    "rmsprop": Case("rmsprop", torch.optim.RMSprop, RMSPROP),
    "rmsprop-momentum": Case("rmsprop-momentum", torch.optim.RMSprop, RMSPROP | MOMENTUM),
    "nadam": Case("nadam", torch.optim.NAdam, NADAM),
    "nadamw": Case("nadamw", torch.optim.NAdam, NADAM, {"decoupled_weight_decay": True}),
    "lion": Case("lion", Lion, {"beta1": [0.9, 0.5, 0.0], "beta2": [0.99, 0.9, 0.5]}),
    "muon": Case("muon", torch.optim.Muon, MOMENTUM),
}
SHAPE = (8, 12)


def columns(case: Case, rule: Rule) -> dict[str, np.ndarray]:
    values: dict[str, Any] = {"lr": LR, "weight_decay": DECAY, "momentum": 0.0, "dampening": 0.0}
    values |= rule.defaults | case.ours
    return {name: np.broadcast_to(np.asarray(value, float), (STEPS, RUNS)) for name, value in values.items()}


def gradients(dtype: torch.dtype) -> Tensor:
    """[steps + 1, runs, *SHAPE] over several orders of magnitude; the last are the initial weights."""
    generator = torch.Generator().manual_seed(5)
    drawn = torch.randn(STEPS + 1, RUNS, *SHAPE, generator=generator, dtype=torch.float64)
    return (drawn * 10.0 ** torch.arange(-2, 1)[:, None, None]).to(dtype)


def by_the_rule(name: str, dtype: torch.dtype) -> Tensor:
    case = CASES[name]
    rule = MODELLED[case.rule]
    *stream, weights = gradients(dtype)
    rows = [torch.tensor(a, dtype=dtype) for a in rule.coefficients(columns(case, rule))]
    state = tuple(torch.zeros_like(weights) for _ in rule.slots)
    out = []
    for t, gradient in enumerate(stream):
        row = tuple(values[t].reshape(-1, 1, 1) for values in rows)
        weights, state = rule.step(weights, gradient, state, row)
        out.append(weights)
    return torch.stack(out)


def by_torch(name: str, dtype: torch.dtype) -> Tensor:
    *stream, weights = gradients(dtype)
    parameters = [torch.nn.Parameter(w.clone()) for w in weights]
    optimizers = [CASES[name].built(p, run) for run, p in enumerate(parameters)]
    out = []
    for t, gradient in enumerate(stream):
        for run, (parameter, optimizer) in enumerate(zip(parameters, optimizers, strict=True)):
            optimizer.param_groups[0]["lr"] = float(LR[t, run])
            parameter.grad = gradient[run].clone()
            optimizer.step()
        out.append(torch.stack([p.detach().clone() for p in parameters]))
    return torch.stack(out)


def test_every_rule_has_its_case() -> None:
    assert {case.rule for case in CASES.values()} == set(MODELLED)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("name", CASES)
def test_a_rule_is_torchs_step_bit_for_bit(name: str, dtype: torch.dtype) -> None:
    ours, theirs = by_the_rule(name, dtype), by_torch(name, dtype)
    assert torch.equal(ours, theirs), (ours - theirs).abs().amax(dim=(1, 2, 3))
