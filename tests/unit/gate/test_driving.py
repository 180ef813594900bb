"""The gate can drive optimizers of every kind: with a closure, by name, with group keys, in backward, and
unwrapped."""

from typing import Any, ClassVar

import pytest
import torch
from torch import nn

from ilr_check.gate.serving import service_of
from ilr_check.gate.subjects import subject_of
from ilr_check.gate.tags import KNOWN, Tags, tags_of

ONES = torch.ones(2, 2)


class TwoPass(torch.optim.SGD):
    """Evaluates its closure twice and steps with what the second evaluation gives."""

    def step(self, closure: Any = None) -> Any:
        assert closure is not None, "a closure is required"
        with torch.enable_grad():
            closure()
        self.zero_grad()
        return super().step(closure)


class Named(torch.optim.SGD):
    def __init__(self, named_parameters: Any, lr: float = 0.1):
        super().__init__([p for name, p in named_parameters if "weight" in name], lr=lr)


class Newton(torch.optim.SGD):
    """Divides by the diagonal of a Hessian, and so needs gradients that can be differentiated."""

    def step(self, closure: Any = None) -> Any:
        for p in self.param_groups[0]["params"]:
            (row,) = torch.autograd.grad(p.grad.sum(), [p])
            with torch.no_grad():
                p.sub_(p.grad / (row + 1e-8))


class InTraining(torch.optim.SGD):
    training = False

    def train(self) -> None:
        self.training = True

    def step(self, closure: Any = None) -> Any:
        if not self.training:
            raise RuntimeError("call train() first")
        return super().step(closure)


class Routed(torch.optim.SGD):
    def __init__(self, params: Any, lr: float = 0.1):
        groups = list(params)
        if not all(isinstance(g, dict) and "use_matrix_rule" in g for g in groups):
            raise ValueError("every group must say use_matrix_rule")
        super().__init__(groups, lr=lr)


class InBackward:
    """It is not a torch.optim.Optimizer, and steps in hooks while backward runs."""

    ilr_check_tags: ClassVar = {"steps_in_backward": True}

    def __init__(self, params: Any, lr: float = 0.1):
        self.param_groups = [{"params": list(params), "lr": lr}]
        for p in self.param_groups[0]["params"]:
            p.register_post_accumulate_grad_hook(self._one)

    @torch.no_grad()
    def _one(self, p: nn.Parameter) -> None:
        p.sub_(p.grad, alpha=self.param_groups[0]["lr"])
        p.grad = None

    def step(self) -> None:
        pass


class Wrapper:
    """It is not a torch.optim.Optimizer, but contains one."""

    def __init__(self, params: Any, lr: float = 0.1):
        self.inner = torch.optim.SGD(params, lr=lr)
        self.param_groups = self.inner.param_groups

    def step(self) -> None:
        self.inner.step()


KINDS = {
    "a closure": (TwoPass, {}),
    "names": (Named, {}),
    "names by tag": (Named, {"named_parameters": True}),
    "train()": (InTraining, {}),
    "group keys": (Routed, {"group_keys": {"use_matrix_rule": False}}),
    "backward": (InBackward, {}),
    "a wrapper": (Wrapper, {}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_driven_and_takes_the_step_of_sgd(kind: str) -> None:
    factory, tags = KINDS[kind]
    subject, _ = subject_of(factory, contract="sgd", tags=tags)
    trial = subject.start([torch.zeros(2, 2), torch.ones(2, 2)], lr=0.5)
    trial.step([ONES, None])
    assert torch.equal(trial.values()[0], torch.full((2, 2), -0.5))
    assert torch.equal(trial.values()[1], ONES)


def test_setup_prepares_an_optimizer_after_it_was_built() -> None:
    def setup(optimizer: Any) -> None:
        optimizer.training = True

    subject, _ = subject_of(InTraining, contract="sgd", tags={"train_mode": False}, setup=setup)
    trial = subject.start([torch.zeros(2, 2)], lr=0.5)
    trial.step([ONES])
    assert torch.equal(trial.values()[0], torch.full((2, 2), -0.5))


def test_matrices_only_is_found_out() -> None:
    assert subject_of(torch.optim.Muon, contract="muon")[0].matrices_only
    assert not subject_of(torch.optim.SGD, contract="sgd")[0].matrices_only


def test_the_users_tags_come_before_those_on_the_class() -> None:
    assert tags_of(InBackward, {}).steps_in_backward
    assert not tags_of(InBackward, {"steps_in_backward": "false"}).steps_in_backward


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"need_closure": True}, "did you mean 'needs_closure'"),
        ({"rounding": "up"}, "nearest, stochastic, kahan, master"),
        ({"state_bits": 0}, "whole number from 1"),
        ({"entrywise": "perhaps"}, "must be True or False"),
        ({"group_keys": 3}, "mapping of keys to values"),
    ],
)
def test_a_wrong_tag_is_an_error_that_names_the_known(typed: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        tags_of(torch.optim.SGD, typed)


def test_an_unknown_tag_lists_every_known_one() -> None:
    with pytest.raises(ValueError, match="unknown tag") as error:
        tags_of(torch.optim.SGD, {"colour": 1})
    assert all(name in str(error.value) for name in KNOWN)


def test_group_keys_may_be_names_alone() -> None:
    assert tags_of(torch.optim.SGD, {"group_keys": "use_muon,fast"}).group_keys == {
        "use_muon": True,
        "fast": True,
    }
    assert Tags().group_keys == {}


def test_an_optimizer_that_differentiates_its_gradients_gets_a_graph() -> None:
    subject, _ = subject_of(Newton)
    service = service_of(subject)
    assert service is not None
    assert (service.graphs, service.seeds) == (True, False)
    assert service_of(subject_of(torch.optim.SGD)[0]) is None


def test_an_optimizer_that_fails_for_another_reason_is_left_to_the_laws() -> None:
    class Broken(torch.optim.SGD):
        def step(self, closure: Any = None) -> Any:
            raise RuntimeError("always")

    assert subject_of(Broken, contract="sgd")[0].title.endswith("Broken")
