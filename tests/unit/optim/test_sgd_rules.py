"""The SGD rules against torch.optim.SGD from the same state: bitwise in float64, because both round alike."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from ilr_check.optim.sgd import RULES, StepHyper

FAMILIES: dict[str, dict[str, Any]] = {
    "sgd": {},
    "heavy-ball": {"momentum": 0.9},
    "heavy-ball, dampened": {"momentum": 0.7, "dampening": 0.3},
    "nesterov": {"momentum": 0.9, "nesterov": True},
}
DECAYS = [0.0, 0.013]
STEPS = 6


def hyper(dtype: torch.dtype, *, lr: float, weight_decay: float, first: bool, **options: Any) -> StepHyper:
    values = (
        lr,
        weight_decay,
        options.get("momentum", 0.0),
        0.0 if first else options.get("dampening", 0.0),
    )
    return StepHyper(*(torch.tensor(value, dtype=dtype) for value in values))


def both_paths(
    family: str, weight_decay: float, dtype: torch.dtype, lr_of: Callable[[int], float] = lambda t: 0.1
) -> tuple[list[Tensor], list[Tensor]]:
    """Weights after each step by torch.optim.SGD and by the rule, on the same stream of gradients."""
    options, rule = FAMILIES[family], RULES[family.partition(",")[0]]
    generator = torch.Generator().manual_seed(5)
    draw = lambda: torch.randn(37, 11, generator=generator, dtype=torch.float64).to(dtype)  # noqa: E731
    weights = draw()
    parameter = torch.nn.Parameter(weights.clone())
    optimizer = torch.optim.SGD([parameter], lr=1.0, weight_decay=weight_decay, **options)
    buffer = None if family == "sgd" else torch.zeros_like(weights)
    theirs, ours = [], []
    for t in range(STEPS):
        gradient = draw()
        optimizer.param_groups[0]["lr"] = lr_of(t)
        parameter.grad = gradient.clone()
        optimizer.step()
        step = hyper(dtype, lr=lr_of(t), weight_decay=weight_decay, first=t == 0, **options)
        weights, buffer = rule(weights, gradient, buffer, step)
        theirs.append(parameter.detach().clone())
        ours.append(weights)
    return theirs, ours


@pytest.mark.parametrize("weight_decay", DECAYS)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_rule_is_torchs_step_bit_for_bit_in_float64(family: str, weight_decay: float) -> None:
    theirs, ours = both_paths(family, weight_decay, torch.float64)
    assert torch.equal(torch.stack(ours), torch.stack(theirs))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_rule_follows_a_schedule_bit_for_bit(family: str) -> None:
    theirs, ours = both_paths(family, 0.02, torch.float64, lr_of=lambda t: 0.3 / (t + 1))
    assert torch.equal(torch.stack(ours), torch.stack(theirs))


@pytest.mark.parametrize("family", ["sgd", "heavy-ball", "nesterov"])
def test_a_rule_is_torchs_step_bit_for_bit_in_float32_without_dampening(family: str) -> None:
    theirs, ours = both_paths(family, 0.013, torch.float32)
    assert torch.equal(torch.stack(ours), torch.stack(theirs))


def test_dampening_in_float32_differs_by_the_rounding_of_one_minus_it() -> None:
    # torch takes 1 - dampening in float64 and rounds it, the rule takes it in float32: one u of the buffer a
    # step, and lr * |buffer| <= 0.1 * 20 here. Each path rounds its weights, too.
    theirs, ours = both_paths("heavy-ball, dampened", 0.013, torch.float32)
    assert float((torch.stack(ours) - torch.stack(theirs)).abs().max()) <= STEPS * 2.0**-24 * (2.0 + 2 * 5.0)


@pytest.mark.parametrize("family", ["heavy-ball", "heavy-ball, dampened"])
def test_the_first_step_of_heavy_ball_is_plain_sgd(family: str) -> None:
    # Dampening applies from the second step on: torch starts the buffer at the whole gradient.
    _, ours = both_paths(family, 0.013, torch.float64)
    _, plain = both_paths("sgd", 0.013, torch.float64)
    assert torch.equal(ours[0], plain[0])
    assert not torch.equal(ours[1], plain[1])


def test_the_first_step_of_nesterov_is_plain_sgd_with_lr_times_one_plus_momentum() -> None:
    _, ours = both_paths("nesterov", 0.013, torch.float64)
    _, plain = both_paths("sgd", 0.013, torch.float64, lr_of=lambda t: 0.1 * 1.9)
    assert torch.allclose(ours[0], plain[0], rtol=1e-14, atol=1e-15)


def test_hyper_parameters_broadcast_over_lanes() -> None:
    lanes = torch.tensor([0.1, 0.2, 0.4], dtype=torch.float64)
    weights, gradient = torch.ones(3, 2, 2, dtype=torch.float64), torch.full((3, 2, 2), 2.0).double()
    zero = torch.zeros(1, 1, 1, dtype=torch.float64)
    new, buffer = RULES["sgd"](weights, gradient, None, StepHyper(lanes.reshape(3, 1, 1), zero, zero, zero))
    assert buffer is None
    assert torch.equal(
        new[:, 0, 0], torch.addcmul(torch.ones(3).double(), lanes, torch.tensor(-2.0).double())
    )
