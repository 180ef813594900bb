"""The table of symmetries against every optimizer of the installed torch, on a loss without any net."""

import inspect
import math
from typing import Any

import msgspec
import pytest
import torch

from ilr_check.optim.hyper import HyperParams
from ilr_check.optim.lion import Lion
from ilr_check.optim.specs import OptimizerSpec, implementations
from ilr_check.optim.symmetry import CONFIGURATIONS, LEFT_OUT, Symmetry, first_phase_steps

LR, DECAY, STEPS = 0.05, 0.5, 30
CASES = [
    pytest.param(name, way, dtype, id=f"{name}, {way}, {dtype}".replace("torch.", ""))
    for name, row in CONFIGURATIONS.items()
    for way in implementations(row.optimizer.name)
    for dtype in (torch.float64, torch.float32)
]


def loss_of(w: torch.Tensor, t: int) -> torch.Tensor:
    """A scale-invariant loss that is another one at every step."""
    x = torch.randn(8, 4, generator=torch.Generator().manual_seed(t), dtype=torch.float64).to(w.dtype)
    z = x @ (w / w.norm()).T * 3
    return torch.tanh(z).sum(1).square().mean() + torch.sin(5 * z).mean()


def path(name: str, way: Any, dtype: torch.dtype, a: float, symmetry: Symmetry) -> list[dict[str, Any]]:
    """Weights and state after every step, scaled back; ``symmetry`` says how the arguments are scaled."""
    row = CONFIGURATIONS[name].optimizer
    spec = symmetry.scaled(msgspec.structs.replace(row, implementation=way), a)
    start = torch.randn(6, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    w = torch.nn.Parameter((a * start).to(dtype))
    first = first_phase_steps(spec)
    lr, decay = symmetry.rates(a, first_phase=first > 0)
    stepper = spec([w], HyperParams(lr=LR * lr, weight_decay=DECAY * decay))
    found = []
    for t in range(STEPS):
        lr, decay = symmetry.rates(a, first_phase=t < first)
        stepper.param_groups[0].update(lr=LR * lr, weight_decay=DECAY * decay)

        def closure(t: int = t) -> torch.Tensor:
            w.grad = None
            value = loss_of(w, t)
            value.backward()
            return value

        closure()
        stepper.step(closure if row.name == "LBFGS" else None)
        state = {
            k: v / symmetry.state_factor(k, a) for k, v in stepper.state[w].items() if torch.is_tensor(v)
        }
        found.append({"w": w.detach() / a, **state})
    return found


def agree(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> bool:
    return all(a[k].equal(b[k]) for a, b in zip(one, other, strict=True) for k in a.keys() & b.keys())


@pytest.mark.parametrize(("name", "way", "dtype"), CASES)
def test_weights_and_state_scale_by_their_powers_bit_for_bit(name: str, way: Any, dtype: Any) -> None:
    symmetry = CONFIGURATIONS[name].symmetry
    plain = path(name, way, dtype, 1.0, symmetry)
    assert agree(plain, path(name, way, dtype, 4.0, symmetry)) == (not symmetry.exception)
    assert not plain[0]["w"].equal(plain[-1]["w"])


POWERS = [
    (name, argument)
    for name, row in CONFIGURATIONS.items()
    for argument, power in row.symmetry.arguments.items()
    if isinstance(power, int)
]


@pytest.mark.parametrize(("name", "argument"), POWERS)
def test_a_wrong_power_shows(name: str, argument: str) -> None:
    symmetry = CONFIGURATIONS[name].symmetry
    powers: Any = {**symmetry.arguments, argument: symmetry.arguments[argument] + 1}  # type: ignore[operator]
    first = {k: v for k, v in symmetry.first_phase.items() if k != argument}
    wrong = msgspec.structs.replace(symmetry, arguments=powers, first_phase=first)
    plain = path(name, "single-tensor", torch.float64, 1.0, symmetry)
    # Muon's eps is a floor, which gradients of this size do not reach.
    unseen = name.startswith("Muon") and argument == "eps"
    assert agree(plain, path(name, "single-tensor", torch.float64, 4.0, wrong)) == unseen


@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize("name", ["RAdam", "RAdam decoupled"])
def test_radam_has_no_single_power(name: str, power: int) -> None:
    symmetry = CONFIGURATIONS[name].symmetry
    decay = -power if "decoupled" in name else -2
    single = msgspec.structs.replace(
        symmetry, arguments={**symmetry.arguments, "lr": power, "weight_decay": decay}, first_phase={}
    )
    plain = path(name, "single-tensor", torch.float64, 1.0, symmetry)
    assert not agree(plain, path(name, "single-tensor", torch.float64, 4.0, single))


@pytest.mark.parametrize(
    ("b2", "steps"), [(0.999, 5), (0.9, 5), (0.8, 6), (0.7, 9), (2 / 3, math.inf), (0.5, math.inf)]
)
def test_length_of_radams_first_phase(b2: float, steps: float) -> None:
    assert first_phase_steps(OptimizerSpec(name="RAdam", args={"betas": (0.9, b2)})) == steps


def test_other_optimizers_have_one_phase() -> None:
    assert first_phase_steps(OptimizerSpec(name="Adam")) == 0


def test_every_optimizer_of_torch_has_a_row_or_a_reason() -> None:
    classes = {
        name
        for name, value in vars(torch.optim).items()
        if inspect.isclass(value) and issubclass(value, torch.optim.Optimizer)
    } - {"Optimizer"}
    assert {row.optimizer.name for row in CONFIGURATIONS.values()} | set(LEFT_OUT) == classes | {"Lion"}


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_a_row_survives_json(name: str) -> None:
    row = CONFIGURATIONS[name]
    back = msgspec.json.decode(msgspec.json.encode(row), type=type(row))
    assert back == row
    assert hash(back.optimizer) == hash(row.optimizer)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"name": "SDG"}, "has no such class"),
        ({"name": "SGD", "implementation": "quick"}, "must be one of"),
        ({"name": "SGD", "args": {"eps": 1e-8}}, "is not for SGD"),
        ({"name": "SGD", "args": {"lr": 1.0}}, "come from the run"),
        ({"name": "SGD", "args": {"fused": True}}, "from implementation"),
    ],
)
def test_a_spec_that_cannot_be_built_says_why(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        OptimizerSpec(**values)


def test_implementations_are_what_the_class_offers() -> None:
    assert implementations("Adam") == ("single-tensor", "foreach", "fused")
    assert implementations("Rprop") == ("single-tensor", "foreach")
    assert implementations("Lion") == ("single-tensor",)


def test_lion_by_hand() -> None:
    w = torch.nn.Parameter(torch.tensor([1.0, -2.0], dtype=torch.float64))
    lion = Lion([w], lr=0.5, betas=(0.5, 0.75), weight_decay=0.25)
    w.grad = torch.tensor([3.0, -1.0], dtype=torch.float64)
    lion.step()
    assert w.tolist() == [0.875 - 0.5, -1.75 + 0.5]
    assert lion.state[w]["exp_avg"].tolist() == [0.75, -0.25]
    w.grad = torch.tensor([-0.5, 1.0], dtype=torch.float64)
    lion.step()  # signs of 0.5 * 0.75 - 0.25 and of -0.125 + 0.5
    assert w.tolist() == [0.375 * 0.875 - 0.5, -1.25 * 0.875 - 0.5]
