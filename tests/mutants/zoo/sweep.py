"""The sweep of torch.optim: every class with every switch and every documented argument, as a table."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

ARITHMETIC: Mapping[str, tuple[Mapping[str, Any], ...]] = {
    "SGD": ({"momentum": 0.9}, {"momentum": 0.9, "dampening": 0.3}, {"momentum": 0.9, "nesterov": True}),
    "Adam": ({"amsgrad": True}, {"decoupled_weight_decay": True}, {"betas": (0.7, 0.95)}, {"eps": 1e-3}),
    "AdamW": ({"amsgrad": True}, {"betas": (0.7, 0.95)}, {"eps": 1e-3}, {"weight_decay": 0.0}),
    "NAdam": ({"momentum_decay": 0.1}, {"decoupled_weight_decay": True}),
    "RAdam": ({"betas": (0.7, 0.95)}, {"decoupled_weight_decay": True}),
    "Adamax": ({"betas": (0.7, 0.95)}, {"eps": 1e-3}),
    "RMSprop": (
        {"centered": True},
        {"momentum": 0.9},
        {"centered": True, "momentum": 0.9},
        {"alpha": 0.9},
    ),
    "Adagrad": ({"lr_decay": 0.1}, {"initial_accumulator_value": 0.5}),
    "Adadelta": ({"rho": 0.7}, {"eps": 1e-2}),
    "Adafactor": ({"beta2_decay": -0.5}, {"d": 2.0}, {"eps": (1e-30, 1e-2)}),
    "Rprop": ({"etas": (0.4, 1.5)}, {"step_sizes": (1e-3, 1.0)}),
    "ASGD": ({"lambd": 0.1}, {"alpha": 0.5}, {"t0": 2}),
    "Muon": ({"nesterov": False}, {"adjust_lr_fn": "match_rms_adamw"}, {"ns_steps": 3}),
    "LBFGS": ({"history_size": 2}, {"max_iter": 1}, {"line_search_fn": "strong_wolfe"}),
    "SparseAdam": ({"betas": (0.7, 0.95)},),
}
"""Documented arguments that change the arithmetic, by class."""
SWITCHES: tuple[Mapping[str, Any], ...] = (
    {"maximize": True},
    {"foreach": True},
    {"foreach": False},
    {"fused": True},
    {"capturable": True},
    {"differentiable": True},
)
"""Switches that every class which takes them has to honour."""


@dataclass(frozen=True)
class Case:
    """One class of torch.optim with the arguments that its user gave."""

    name: str
    args: Mapping[str, Any]

    @property
    def id(self) -> str:
        words = (
            f"{k}={f'tensor {float(v):g}' if isinstance(v, Tensor) else v}" for k, v in self.args.items()
        )
        return f"{self.name}({', '.join(words)})"

    @property
    def refused(self) -> bool:
        """Whether torch refuses it on a CPU, or the gate cannot drive it: a line search needs a loss."""
        return bool(self.args.get("capturable") or self.args.get("line_search_fn"))

    @property
    def contract(self) -> str:
        return self.name.lower()

    @property
    def factory(self) -> Any:
        return getattr(torch.optim, self.name)


def cases() -> Iterator[Case]:
    """Every class by itself, with each switch, with each argument, and with lr as a tensor."""
    for name, settings in ARITHMETIC.items():
        taken = inspect.signature(getattr(torch.optim, name)).parameters
        yield Case(name, {})
        for switch in SWITCHES:
            if all(word in taken for word in switch):
                yield Case(name, switch)
        for setting in settings:
            yield Case(name, setting)
        if "Tensor" in str(taken["lr"].annotation):
            yield Case(name, {"lr": torch.tensor(0.1)})


def representative() -> tuple[Case, ...]:
    """One case for each switch, and one for lr as a tensor, every time with the next class that has it.

    The class without arguments is judged law by law in ``tests/unit/gate/test_torch_optimizers.py``.
    """
    every = list(cases())
    names = list(ARITHMETIC)
    chosen: list[Case] = []
    for switch in (*SWITCHES, {}):
        alike = [case for case in every if (case.args == switch if switch else case.args.keys() == {"lr"})]
        last = max((names.index(case.name) for case in chosen), default=-1)
        chosen.append(next((case for case in alike if names.index(case.name) > last), alike[0]))
    return tuple(chosen)
