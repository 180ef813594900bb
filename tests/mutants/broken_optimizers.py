"""Optimizers with planted defects, and correct optimizers that are written in an unusual way.

Each is called as ``factory(parameters, hyper)``, as the exact laws call it. The broken ones are SGD except
for one line, with a mistake that real implementations contain.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ilr_check.optim.hyper import HyperParams


class HandSGD(torch.optim.Optimizer):
    """SGD by hand: ``move(p, g, group, state)`` gives the new weights from the direction of torch's SGD."""

    def __init__(self, parameters: Sequence[nn.Parameter], hyper: HyperParams, move: Callable[..., Tensor]):
        super().__init__(
            parameters,
            {
                name: getattr(hyper, name)
                for name in ("lr", "weight_decay", "momentum", "dampening", "nesterov")
            },
        )
        self.move = move

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    state = self.state[p]
                    if not state:
                        state |= {"t": 0, "start": p.clone(), "lr": group["lr"], "buffer": None}
                    p.copy_(self.move(p, p.grad, group, state))
                    state["t"] += 1
                    state["lr"] = group["lr"]


def with_momentum(direction: Tensor, group: dict[str, Any], state: dict[str, Any]) -> Tensor:
    """torch's heavy ball and Nesterov: the buffer starts at the whole direction, without dampening."""
    mu = group["momentum"]
    if not mu:
        return direction
    old = state["buffer"]
    state["buffer"] = direction.clone() if old is None else mu * old + (1 - group["dampening"]) * direction
    return direction + mu * state["buffer"] if group["nesterov"] else state["buffer"]


def coupled(decay: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """w' = w - lr * momentum(g + decay), for a decay term (p, g, group, state) -> tensor."""

    def move(p: Tensor, g: Tensor, group: dict[str, Any], state: dict[str, Any]) -> Tensor:
        return p - group["lr"] * with_momentum(g + decay(p, g, group, state), group, state)

    return move


def decoupled(factor: Callable[[dict[str, Any]], float], *, after: bool = False) -> Callable[..., Tensor]:
    """w' = factor * w - lr * momentum(g), or the factor after the step."""

    def move(p: Tensor, g: Tensor, group: dict[str, Any], state: dict[str, Any]) -> Tensor:
        turned = group["lr"] * with_momentum(g, group, state)
        return factor(group) * (p - turned) if after else factor(group) * p - turned

    return move


def rescaled(change: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    """SGD with a changed gradient."""

    def move(p: Tensor, g: Tensor, group: dict[str, Any], state: dict[str, Any]) -> Tensor:
        return p - group["lr"] * with_momentum(change(g) + group["weight_decay"] * p, group, state)

    return move


def _other_rate(rate: Callable[..., float]) -> Callable[..., Tensor]:
    def move(p: Tensor, g: Tensor, group: dict[str, Any], state: dict[str, Any]) -> Tensor:
        return p - rate(group, state) * with_momentum(g + group["weight_decay"] * p, group, state)

    return move


def _dampened_start(p: Tensor, g: Tensor, group: dict[str, Any], state: dict[str, Any]) -> Tensor:
    if state["buffer"] is None:
        state["buffer"] = torch.zeros_like(p)
    return p - group["lr"] * with_momentum(g + group["weight_decay"] * p, group, state)


def _rate_times_decay(group: dict[str, Any]) -> float:
    return float(group["lr"] * group["weight_decay"])


def _in_bfloat16(value: float) -> float:
    return float(torch.tensor(value, dtype=torch.bfloat16))


MOVES: dict[str, Callable[..., Tensor]] = {
    "wd ignored": coupled(lambda p, g, group, state: torch.zeros_like(p)),
    "wd halved": coupled(lambda p, g, group, state: 0.5 * group["weight_decay"] * p),
    "wd sign flipped": coupled(lambda p, g, group, state: -group["weight_decay"] * p),
    "wd applied twice": lambda p, g, group, state: coupled(
        lambda p, g, group, state: group["weight_decay"] * p
    )(p * (1 - _rate_times_decay(group)), g, group, state),
    "wd after the step": decoupled(lambda group: 1 - _rate_times_decay(group), after=True),
    "wd every other step": coupled(
        lambda p, g, group, state: (state["t"] % 2) * group["weight_decay"] * p,
    ),
    "wd on the initial weights": coupled(lambda p, g, group, state: group["weight_decay"] * state["start"]),
    "decay factor in bfloat16": decoupled(lambda group: _in_bfloat16(1 - _rate_times_decay(group))),
    "a for a^2": decoupled(lambda group: abs(1 - _rate_times_decay(group)) ** 0.5),
    "lr one step old": _other_rate(lambda group, state: state["lr"]),
    "wd not multiplied by lr": decoupled(lambda group: 1 - group["weight_decay"]),
    "L1 for L2": coupled(lambda p, g, group, state: group["weight_decay"] * p.sign()),
    "lr squared": _other_rate(lambda group, state: group["lr"] ** 2),
    "gradient normalised": rescaled(lambda g: g / g.norm()),
    "gradient clipped at a fixed size": rescaled(lambda g: g * min(1.0, 1e-2 / float(g.norm()))),
    "hidden eps": rescaled(lambda g: g * (g.abs() / (g.abs() + 1e-8))),
    "sign of the gradient": rescaled(torch.sign),
    "buffer starts dampened": _dampened_start,
}

RIGHT_MOVES: dict[str, Callable[..., Tensor]] = {
    "by hand, coupled": coupled(lambda p, g, group, state: group["weight_decay"] * p),
    "by hand, lr distributed": lambda p, g, group, state: (
        p - (group["lr"] * g + _rate_times_decay(group) * p)
        if not group["momentum"]
        else coupled(lambda p, g, group, state: group["weight_decay"] * p)(p, g, group, state)
    ),
}


def broken(name: str) -> Callable[[Sequence[nn.Parameter], HyperParams], torch.optim.Optimizer]:
    """The broken optimizer of this name."""
    return partial(HandSGD, move=MOVES[name])


def _torch_sgd(parameters: Any, hyper: HyperParams, **options: bool) -> torch.optim.Optimizer:
    return torch.optim.SGD(
        parameters,
        lr=hyper.lr,
        weight_decay=hyper.weight_decay,
        momentum=hyper.momentum,
        dampening=hyper.dampening,
        nesterov=hyper.nesterov,
        **options,
    )


class Ascent(torch.optim.SGD):
    """maximize=True on the negated gradient: the same descent."""

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        parameters = [p for group in self.param_groups for p in group["params"] if p.grad is not None]
        for p in parameters:
            p.grad = -p.grad
        result = super().step(closure)
        for p in parameters:
            p.grad = -p.grad
        return result


def _ascent(parameters: Any, hyper: HyperParams) -> torch.optim.Optimizer:
    return Ascent(
        parameters,
        lr=hyper.lr,
        weight_decay=hyper.weight_decay,
        momentum=hyper.momentum,
        dampening=hyper.dampening,
        nesterov=hyper.nesterov,
        maximize=True,
    )


def _in_two_groups(parameters: Any, hyper: HyperParams) -> torch.optim.Optimizer:
    every = list(parameters)
    return _torch_sgd([{"params": every[:1]}, {"params": every[1:]}], hyper)


RIGHT: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "torch, for loop": partial(_torch_sgd, foreach=False),
    "torch, foreach": partial(_torch_sgd, foreach=True),
    "torch, fused": partial(_torch_sgd, fused=True),
    "torch, maximize on the negated gradient": _ascent,
    "torch, two parameter groups": _in_two_groups,
    **{name: partial(HandSGD, move=move) for name, move in RIGHT_MOVES.items()},
}
"""Correct for any momentum."""

RIGHT_WITHOUT_MOMENTUM = {
    "decay factor first": partial(HandSGD, move=decoupled(lambda group: 1 - _rate_times_decay(group))),
}
"""Decoupled decay is SGD's only where no buffer carries it."""
