"""Right optimizers beside a family: they are neither judged as what they are not, nor told to stand still."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import ilr_check
from ilr_check.gate.subjects import subject_of


class Layerwise(torch.optim.Optimizer):
    """LARS with the conventions of released packages."""

    vectors_plain, formula_at_zero, with_decay_only, no_decay_at_zero = False, False, False, False
    vectors_decay, sum_below, lr_inside = False, False, False
    flaw = 1.0

    def __init__(
        self, params: Any, lr: float = 1.0, momentum: float = 0.0, weight_decay: float = 0.0,
        trust_coefficient: float = 1e-3,
    ) -> None:  # fmt: skip
        options = {"momentum": momentum, "weight_decay": weight_decay}
        super().__init__(params, {"lr": lr, "trust_coefficient": trust_coefficient, **options})

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self.move(p, p.grad.clone(), group)

    def move(self, p: torch.Tensor, g: torch.Tensor, group: dict[str, Any]) -> None:
        decay = group["weight_decay"]
        size, slope = float(p.norm()), float(g.norm())
        known = size > 0 and (slope > 0 or (decay > 0 and self.formula_at_zero))
        if not (self.vectors_plain and p.dim() < 2) and not (self.no_decay_at_zero and not slope):
            g.add_(p, alpha=decay)
            if self.sum_below:
                known, below = size > 0 and float(g.norm()) > 0, float(g.norm())
            else:
                below = slope + decay * size
            if known and (decay or not self.with_decay_only) and not (self.vectors_decay and p.dim() < 2):
                g.mul_(self.flaw * group["trust_coefficient"] * size / below)
        if self.lr_inside:
            g.mul_(group["lr"])
        if group["momentum"]:
            state = self.state[p]
            state["buffer"] = g = g if "buffer" not in state else state["buffer"] * group["momentum"] + g
        p.sub_(g if self.lr_inside else group["lr"] * g)


def verdicts(optimizer: Any, **options: Any) -> dict[str, str]:
    """Return the severity of each violated law, the worst of it."""
    result = ilr_check.check_optimizer(optimizer, **options)
    found: dict[str, str] = {}
    for f in result.findings:
        if f.verdict == "violated" and found.get(f.claim) != "defect":
            found[f.claim] = f.severity
    return found


LAWS = "descent,decay-zero-gradient,decay-schedule,gradient-degree,memory,textbook-step,tensor-shapes"


@pytest.mark.parametrize(
    "conventions",
    [
        "vectors_plain",
        "formula_at_zero",
        "with_decay_only",
        "with_decay_only no_decay_at_zero",
        "vectors_decay lr_inside",
        "sum_below lr_inside",
    ],
)
def test_conventions_of_released_lars_are_departures(conventions: str) -> None:
    kind = type("LARS", (Layerwise,), dict.fromkeys(conventions.split(), True))
    found = verdicts(kind, contract="lars", laws=LAWS)
    assert set(found.values()) <= {"departure", "fragility"}
    assert "departure" in found.values()


def test_a_wrong_lars_is_no_departure() -> None:
    kind = type("LARS", (Layerwise,), {"with_decay_only": True, "flaw": 2.0})
    assert verdicts(kind, contract="lars", laws=LAWS)["textbook-step"] == "defect"


class BoundedLamb(torch.optim.Optimizer):
    """LAMB as in torch_optimizer: norms of at most 10, and the bias is corrected in the whole step."""

    flaw = 1.0

    def __init__(
        self, params: Any, lr: float = 1e-3, betas: Any = (0.9, 0.999), eps: float = 1e-6,
        weight_decay: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            one, two = group["betas"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state.update(t=0, m=torch.zeros_like(p), v=torch.zeros_like(p))
                state["t"] += 1
                state["m"].mul_(one).add_(p.grad, alpha=1 - one)
                state["v"].mul_(two).addcmul_(p.grad, p.grad, value=1 - two)
                r = state["m"] / (state["v"].sqrt() + group["eps"]) + group["weight_decay"] * p
                size, length = p.norm().clamp(0, 10), r.norm()
                ratio = size / length if size > 0 and length > 0 else 1.0
                corrected = (1 - two ** state["t"]) ** 0.5 / (1 - one ** state["t"])
                p.sub_(self.flaw * group["lr"] * corrected * ratio * r)


def test_a_lamb_with_two_conventions_is_a_departure_and_with_a_defect_beside_it_is_none() -> None:
    laws = "decay-zero-gradient,textbook-step,tensor-shapes,bias-correction"
    assert set(verdicts(BoundedLamb, contract="lamb", laws=laws).values()) == {"departure"}
    wrong = type("Lamb", (BoundedLamb,), {"flaw": 0.9})
    assert verdicts(wrong, contract="lamb", laws=laws)["textbook-step"] == "defect"


class SmallNumberAdamW(BoundedLamb):
    """AdamW as in pytorch_optimizer, with 1e-15 beside the variance and eps before the bias correction."""

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            one, two = group["betas"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state.update(t=0, m=torch.zeros_like(p), v=torch.zeros_like(p))
                state["t"] += 1
                state["m"].mul_(one).add_(p.grad, alpha=1 - one)
                state["v"].mul_(two).addcmul_(p.grad, p.grad, value=1 - two)
                p.mul_(1 - group["lr"] * group["weight_decay"])
                root = (state["v"] + 1e-15).sqrt() + group["eps"]
                corrected = (1 - two ** state["t"]) ** 0.5 / (1 - one ** state["t"])
                p.sub_(self.flaw * group["lr"] * corrected * state["m"] / root)


def test_a_small_number_beside_the_variance_is_a_departure() -> None:
    laws = "gradient-degree,eps-placement,scaling-symmetry,textbook-step,tensor-shapes"
    found = verdicts(SmallNumberAdamW, contract="adamw", laws=laws)
    assert set(found.values()) <= {"departure", "fragility"}
    assert "departure" in found.values()


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


class AdamaxW(torch.optim.Adamax):
    """Adamax with decoupled decay, or with too much of it."""

    share = 1.0

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        kept = [group["weight_decay"] for group in self.param_groups]
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.mul_(1 - self.share * group["lr"] * group["weight_decay"])
            group["weight_decay"] = 0.0
        super().step(closure)
        for group, decay in zip(self.param_groups, kept, strict=True):
            group["weight_decay"] = decay


class HalfAdamaxW(AdamaxW):
    share = 0.5


def test_a_w_behind_the_name_of_a_family_is_decoupled_decay() -> None:
    laws = "decay-coupling,decay-zero-gradient,textbook-step"
    right = ilr_check.check_optimizer(AdamaxW, laws=laws)
    assert (right.verdict, len(right.violated)) == ("holds", 0)
    wrong = ilr_check.check_optimizer(HalfAdamaxW, laws=laws)
    assert wrong.verdict == "violated"
    assert "weight decay per step is 0.5*lr*wd" in " ".join(f.diagnosis for f in wrong.violated)


class SimplifiedNAdam(torch.optim.NAdam):
    """NAdam without the schedule of its momentum; the constructor has no number for it."""

    def __init__(self, params: Any, lr: float = 2e-3, betas: Any = (0.9, 0.999), eps: float = 1e-8) -> None:
        torch.optim.Optimizer.__init__(self, params, {"lr": lr, "betas": betas, "eps": eps})

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            one, two = group["betas"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state.update(t=0, m=torch.zeros_like(p), v=torch.zeros_like(p))
                state["t"] += 1
                state["m"].mul_(one).add_(p.grad, alpha=1 - one)
                state["v"].mul_(two).addcmul_(p.grad, p.grad, value=1 - two)
                ahead = one * state["m"] / (1 - one ** (state["t"] + 1))
                now = (1 - one) * p.grad / (1 - one ** state["t"])
                root = (state["v"] / (1 - two ** state["t"])).sqrt() + group["eps"]
                p.sub_(group["lr"] * (ahead + now) / root)


class IgnoresItsSchedule(SimplifiedNAdam):
    """The same, and the constructor has a number for the schedule, which nothing reads."""

    def __init__(
        self, params: Any, lr: float = 2e-3, betas: Any = (0.9, 0.999), eps: float = 1e-8,
        momentum_decay: float = 4e-3,
    ) -> None:  # fmt: skip
        super().__init__(params, lr, betas, eps)
        self.param_groups[0]["momentum_decay"] = momentum_decay


def test_a_nadam_without_a_schedule_is_a_departure_unless_it_has_a_number_for_one() -> None:
    right = ilr_check.check_optimizer(SimplifiedNAdam, contract="nadam", laws="textbook-step")
    assert {f.severity for f in right.violated} == {"departure"}
    assert {f.remedy for f in right.violated} == {"--declare momentum_schedule=constant"}
    wrong = ilr_check.check_optimizer(IgnoresItsSchedule, contract="nadam", laws="textbook-step")
    assert "defect" in {f.severity for f in wrong.violated}
