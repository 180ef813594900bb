"""The behaviour record: every change of an optimizer of no known family is told, and nothing else."""

from __future__ import annotations

import itertools
from typing import Any, cast

import msgspec
import pytest
import torch

from ilr_check.gate.process.request import GateRequest
from ilr_check.gate.recorded import Behaviour, Played
from ilr_check.gate.reference.same_behaviour import behaviour_changes
from ilr_check.gate.stimuli.behaviour import behaviour
from ilr_check.gate.subject import Subject


def cubic(change: str = "", **more: Any) -> type[torch.optim.Optimizer]:
    """Return an optimizer of no known family, with one change where only one course or setting shows it."""

    class Cubic(torch.optim.Optimizer):
        def __init__(
            self, params: Any, lr: float = 0.1, momentum: float = 0.5, nesterov: bool = False,
            weight_decay: float = 0.0, form: str = "plain", **rest: Any,
        ) -> None:  # fmt: skip
            if nesterov and change == "refuses nesterov":
                raise ValueError("no nesterov")
            options = {"momentum": momentum, "nesterov": nesterov, "weight_decay": weight_decay}
            super().__init__(params, {"lr": lr, **options})
            self.taken = 0
            self.first_lr = lr

        @torch.no_grad()
        def step(self, closure: Any = None) -> Any:
            self.taken += 1
            if change == "no gradient":
                1 / sum(p.grad is not None for group in self.param_groups for p in group["params"])
            for group in self.param_groups:
                for p in group["params"]:
                    if p.grad is not None:
                        self.move(p, p.grad.clone(), group)
                    elif change == "late":
                        p.mul_(0.99)

        def move(self, p: torch.Tensor, g: torch.Tensor, group: dict[str, Any]) -> None:
            if change == "scalar raises" and p.dim() == 0:
                raise TypeError("0-d tensor")
            size = float(g.abs().max())
            lr, m = group["lr"], group["momentum"]
            if change == "momentum" and m != 0.5:
                m *= 1.01
            buffer = self.state[p].setdefault("buffer", torch.zeros_like(p))
            buffer.mul_(m).add_(g.sign() * g.abs().pow(1 / 3))
            told = {
                "scalar": p.dim() == 0,
                "4-d": p.dim() == 4,
                "zero": size == 0.0,
                "tiny": 0.0 < size < 1e-4,
                "large": size > 1e4,
                "float32": p.dtype == torch.float32,
                "lr zero": lr == 0.0,
                "lr zero first": lr == 0.0 and self.taken == 1,
                "lr change": lr != self.first_lr,
                "every tenth": self.taken % 10 == 0,
            }
            step = buffer.mul(m).add_(g) if group["nesterov"] else buffer
            if change == "nesterov" and group["nesterov"]:
                step = step * 0.999
            if change == "random":
                step = step * torch.empty(p.shape, dtype=p.dtype).normal_(generator=GENERATOR).exp()
            if change.startswith("tiny steps"):
                step = step * (2e-4 if change.endswith("doubled") else 1e-4)
            if change.endswith("reordered"):
                p.sub_(step.mul(lr / 3).mul(3.0)).mul_(1 / 7).mul_(7.0)
            else:
                p.sub_(step.mul(lr))
            p.mul_(1 - lr * group["weight_decay"] * 0.5)
            if told.get(change):
                p.add_(max(lr, 1e-3) * 1e-3 * max(size, 1e-3))

    return Cubic


GENERATOR = torch.Generator().manual_seed(0)
REQUEST = GateRequest(target="m:Cubic")


def recorded(optimizer: Any, **args: Any) -> Behaviour:
    return behaviour(Subject(optimizer, args=args))


def told(ours: Behaviour, theirs: Behaviour) -> dict[str, str]:
    """Return the sentence of each setting whose behaviour changed."""
    found = behaviour_changes(REQUEST, "same-as-baseline", ours, theirs, than="the baseline")
    return {f.group: f.diagnosis for f in found if f.verdict == "violated"}


@pytest.fixture(scope="module")
def plain() -> Behaviour:
    return recorded(cubic())


@pytest.mark.parametrize(
    ("change", "setting", "words"),
    [
        ("momentum", "momentum=0.45", "the second step of a vector differs from the baseline by a relative"),
        ("nesterov", "momentum=0.45, nesterov=True and weight decay", "the first step of a vector differs"),
        ("scalar", "default settings", "the first step of a scalar differs"),
        ("4-d", "weight decay", "the first step of a 4-d tensor differs"),
        ("zero", "default settings", "the first step of a vector (zero gradients first) differs"),
        ("tiny", "default settings", "the first step of a vector (tiny gradients) differs"),
        ("large", "default settings", "the first step of a vector (large gradients) differs"),
        ("late", "default settings", "the second step of a vector (a missing gradient) differs"),
        ("float32", "weight decay", "the first step of a vector (in float32) differs"),
        ("lr change", "default settings", "the ninth step of a vector differs"),
        ("lr zero", "default settings", "the second step of a vector (an lr of zero) differs"),
        ("lr zero first", "default settings", "the first step of a vector (an lr of zero first) differs"),
        ("no gradient", "default settings", "the first step of a vector (no gradient at first) raises ZeroD"),
        ("every tenth", "default settings", "the tenth step of a vector differs"),
        ("scalar raises", "default settings", "the first step of a scalar raises TypeError: 0-d tensor"),
        ("refuses nesterov", "nesterov=True and weight decay", "it raises ValueError: no nesterov, where"),
    ],
)
def test_a_change_is_told_where_it_acts(plain: Behaviour, change: str, setting: str, words: str) -> None:
    changed = told(recorded(cubic(change)), plain)
    assert words in changed[setting]
    if change in ("momentum", "nesterov", "refuses nesterov"):
        assert "default settings" not in changed


@pytest.mark.parametrize("change", ["", "reordered"])
def test_rounding_is_no_change(plain: Behaviour, change: str) -> None:
    assert told(recorded(cubic(change)), plain) == {}


def test_rounding_of_the_weights_is_no_change_of_tiny_steps() -> None:
    before = recorded(cubic("tiny steps"))
    assert told(recorded(cubic("tiny steps, reordered")), before) == {}
    assert told(recorded(cubic("tiny steps, doubled")), before)


def test_an_optimizer_that_draws_at_random_is_not_told_to_have_changed() -> None:
    one, other = recorded(cubic("random")), recorded(cubic("random"))
    assert one != other
    assert told(one, other) == {}


def test_one_tensor_that_raises_does_not_hide_the_others(plain: Behaviour) -> None:
    found = recorded(cubic("scalar raises"))["default settings"]
    assert found["a scalar"].error == "TypeError: 0-d tensor"
    assert found["a matrix"] == plain["default settings"]["a matrix"]


def test_whatever_a_target_raises_is_recorded() -> None:
    class Leaves(torch.optim.SGD):
        def step(self, closure: Any = None) -> Any:
            raise SystemExit(3)

    assert recorded(Leaves)["default settings"] == {"": Played(error="SystemExit: 3")}


def test_settings_of_one_version_alone_are_named() -> None:
    class More(cast("Any", cubic())):  # type: ignore[misc]
        def __init__(self, params: Any, lr: float = 0.1, extra: bool = False) -> None:
            super().__init__(params, lr=lr)

    found = behaviour_changes(REQUEST, "c", recorded(More), recorded(cubic()), than="the baseline")
    words = [f.message for f in found if f.verdict == "skipped"]
    assert "new setting: the baseline has no extra=True and weight decay" in words
    assert "removed: momentum=0.45" in words


def test_a_factory_that_hides_its_arguments_is_driven_by_the_keys_of_its_groups() -> None:
    def hidden(params: Any, **options: Any) -> torch.optim.Optimizer:
        return torch.optim.SGD(params, **options)

    assert {"momentum=0.3" in name for name in recorded(hidden)} == {True, False}


def test_a_key_of_a_group_that_is_no_argument_is_left_alone() -> None:
    class Counts(torch.optim.SGD):
        def __init__(self, params: Any, lr: float = 0.1, **rest: Any) -> None:
            super().__init__(params, lr=lr)
            self.param_groups[0]["steps_taken"] = 0.0

    assert not [name for name in recorded(Counts) if "steps_taken" in name or "momentum" in name]


@pytest.mark.parametrize("name", ["SGD", "AdamW", "LBFGS", "Muon", "Adafactor"])
def test_a_record_is_small_and_the_same_every_time(name: str) -> None:
    one = recorded(getattr(torch.optim, name))
    assert len(msgspec.json.encode(one)) < 100_000
    assert one == recorded(getattr(torch.optim, name))
    assert not any(n.partition(", ")[2] == "" and p.error for n, p in one["default settings"].items())


def test_the_switches_of_sgd_are_all_turned() -> None:
    names = " ".join(itertools.chain(recorded(torch.optim.SGD)))
    for word in ("momentum=0.3, nesterov=True", "maximize=True", "foreach=True", "fused=True"):
        assert word in names
