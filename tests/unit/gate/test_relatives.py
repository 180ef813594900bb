"""Right optimizers beside a family: they are neither judged as what they are not, nor told to stand still."""

from __future__ import annotations

from typing import Any

import torch
from released_forms import verdicts

import ilr_check
from ilr_check.gate.subjects import subject_of


class Controller(torch.optim.Optimizer):
    """SGD until it has a momentum; then a PID controller, which no family knows."""

    def __init__(
        self, params: Any, lr: float = 0.1, momentum: float = 0.0, inside: float = 0.5,
        damping: float = 0.25, weight_decay: float = 0.0,
    ) -> None:  # fmt: skip
        options = {"inside": inside, "damping": damping, "weight_decay": weight_decay}
        super().__init__(params, {"lr": lr, "momentum": momentum, **options})

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                g = p.grad + group["weight_decay"] * p
                state, m = self.state[p], group["momentum"]
                if m:
                    old = state.get("old", torch.zeros_like(g))
                    state["sum"] = state.get("sum", torch.zeros_like(g)) * m + g
                    state["old"] = g
                    g = g + group["inside"] * state["sum"] + group["damping"] * (g - old)
                p.sub_(group["lr"] * g)


def test_a_family_is_confirmed_beyond_the_default_settings() -> None:
    subject, note = subject_of(Controller)
    assert subject.contract is None
    assert "it has inside, damping beside" in note


def test_an_sgd_with_a_defect_is_still_judged_as_sgd() -> None:
    class Mine(torch.optim.Optimizer):
        def __init__(self, params: Any, lr: float = 0.1, momentum: float = 0.0, weight_decay: float = 0.0):
            super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

        @torch.no_grad()
        def step(self, closure: Any = None) -> Any:
            for group in self.param_groups:
                for p in group["params"]:
                    if p.grad is not None:
                        g = p.grad + group["weight_decay"] * p
                        old = self.state[p].get("buffer", torch.zeros_like(g))
                        self.state[p]["buffer"] = old = 0.9 * group["momentum"] * old + g
                        p.sub_(group["lr"] * old)

    subject, _ = subject_of(Mine)
    assert subject.contract is not None
    assert subject.contract.name == "sgd"


class Late(torch.optim.SGD):
    """Collects ten gradients before it moves, as AdaShift does."""

    wait, uphill = 10, 1.0

    def __init__(self, params: Any, lr: float = 0.1, weight_decay: float = 0.0) -> None:
        super().__init__(params, lr=lr, weight_decay=weight_decay)

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    kept = self.state[p].setdefault("kept", [])
                    kept.append(p.grad.sign() * p.grad.abs().sqrt())
                    if len(kept) > self.wait:
                        p.mul_(1 - group["lr"] * group["weight_decay"])
                        p.sub_(self.uphill * group["lr"] * kept.pop(0))


def test_an_optimizer_that_waits_is_judged_by_the_steps_that_it_takes() -> None:
    laws = "descent,settings,schedulers"
    found = verdicts(Late, laws=laws)
    assert not {law for law, severity in found.items() if severity == "defect"}
    assert verdicts(type("Up", (Late,), {"uphill": -1.0}), laws=laws)["descent"] == "defect"
    assert verdicts(type("Never", (Late,), {"wait": 99}), laws=laws)["descent"] == "defect"


def test_a_state_of_an_optimizer_that_waits_is_loaded_and_goes_on() -> None:
    kind = type("Soon", (Late,), {"wait": 2})
    result = ilr_check.check_optimizer(kind, laws="old-state")
    assert result.findings
    assert not [f.diagnosis for f in result.findings if f.verdict == "error"]


class Swallowing(torch.optim.SGD):
    """Takes any keyword beside those that it names, and climbs by its own formula."""

    wrong = False

    def __init__(
        self, params: Any, lr: float = 0.1, weight_decay: float = 0.0, *, maximize: bool = False, **rest: Any
    ) -> None:
        super().__init__(params, lr=lr)
        for group in self.param_groups:
            group.update(weight_decay=weight_decay, maximize=maximize, **rest)

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    g = p.grad + group["weight_decay"] * p if self.wrong else p.grad
                    g = -g if group["maximize"] else g
                    p.sub_(group["lr"] * (g if self.wrong else g + group["weight_decay"] * p))


def test_a_switch_is_judged_where_the_constructor_takes_any_keyword() -> None:
    """The decay of the wrong one climbs as well, as it did in PAdam and ROSE of pytorch_optimizer 3.10."""
    wrong = type("Wrong", (Swallowing,), {"wrong": True})
    assert verdicts(wrong, laws="switches") == {"switches": "defect"}
    assert not verdicts(Swallowing, laws="switches")


class Shared(torch.optim.SGD):
    """Every tensor's step is divided by the largest gradient of all tensors, from the fourth step on."""

    def __init__(self, params: Any, lr: float = 0.1, weight_decay: float = 0.0) -> None:
        super().__init__(params, lr=lr, weight_decay=weight_decay)
        self.count = 0

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        self.count += 1
        given = [(p, group) for group in self.param_groups for p in group["params"] if p.grad is not None]
        largest = max((float(p.grad.abs().max()) for p, _ in given if p.grad.numel()), default=1.0)
        for p, group in given:
            scale = largest if self.count > 3 else 1.0
            p.sub_(group["lr"] * (p.grad / scale + group["weight_decay"] * p))


def test_tensors_that_share_a_number_from_the_fourth_step_on_are_not_judged_alone() -> None:
    assert "alone" not in verdicts(Shared, laws="alone")


class Counted(torch.optim.SGD):
    """Divides by the number of steps that had a gradient, as a group counts them."""

    from_one = 1

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            taken = [p for p in group["params"] if p.grad is not None]
            group["taken"] = group.get("taken", self.from_one) + bool(taken)
            group["all"] = group.get("all", self.from_one) + 1
            for p in taken:
                late = group["all"] - group["taken"]  # the steps without any gradient
                p.sub_(group["lr"] * p.grad * (1.0 if late == 0 or self.from_one else float("inf")))


def test_a_first_step_without_any_gradient_breaks_nothing() -> None:
    laws = "missing-gradient"
    wrong = type("Wrong", (Counted,), {"from_one": 0})
    told = [f for f in ilr_check.check_optimizer(wrong, laws=laws).findings if f.verdict == "violated"]
    assert any(f.group.startswith("no gradient at first") for f in told)
    right = ilr_check.check_optimizer(Counted, laws=laws).findings
    assert not [f for f in right if f.verdict == "violated" and f.group.startswith("no gradient")]


class OptimisticGD(torch.optim.Optimizer):
    """Gradient descent along 2 g - (the gradient before), as in optax; its ``beta`` is no momentum."""

    def __init__(self, params: Any, lr: float = 0.1, alpha: float = 1.0, beta: float = 1.0) -> None:
        super().__init__(params, {"lr": lr, "alpha": alpha, "beta": beta})

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    old = self.state[p].get("old", p.grad)
                    now = (group["alpha"] + group["beta"]) * p.grad - group["beta"] * old
                    p.sub_(group["lr"] * now)
                    self.state[p]["old"] = p.grad.clone()


def test_a_reference_that_allows_any_sign_is_no_family() -> None:
    subject, note = subject_of(OptimisticGD, contract="auto")
    assert subject.contract is None, note
