"""An optimizer that does something on purpose on top of a known family is not judged as that family, unless
the caller names it."""

from typing import Any

import pytest
import torch

from ilr_check.gate.judge import Judge
from ilr_check.gate.laws import planned
from ilr_check.gate.subjects import subject_of


class Lookahead(torch.optim.AdamW):
    """After every ``k`` steps the slow weights go half of the way, and the fast ones start from there."""

    def __init__(self, params: Any, lr: float = 1e-3, weight_decay: float = 1e-2, k: int = 5) -> None:
        super().__init__(params, lr=lr, weight_decay=weight_decay)
        self.k = k

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        taken = [p for group in self.param_groups for p in group["params"] if p.grad is not None]
        starts = [p.clone() for p in taken]
        loss = super().step(closure)
        for p, start in zip(taken, starts, strict=True):
            state = self.state[p]
            slow = state.setdefault("slow", start)
            state["taken"] = state.get("taken", 0) + 1
            if state["taken"] % self.k == 0:
                slow.add_(p - slow, alpha=0.5)
                p.copy_(slow)
        return loss


class WarmsUp(torch.optim.AdamW):
    """lr grows over the first ``warmup`` steps."""

    def __init__(self, params: Any, lr: float = 1e-3, weight_decay: float = 1e-2, warmup: int = 10) -> None:
        super().__init__(params, lr=lr, weight_decay=weight_decay)
        self.warmup = warmup

    def step(self, closure: Any = None) -> Any:
        kept = [group["lr"] for group in self.param_groups]
        for group in self.param_groups:
            group["taken"] = group.get("taken", 0) + 1
            group["lr"] *= min(1.0, group["taken"] / self.warmup)
        loss = super().step(closure)
        for group, lr in zip(self.param_groups, kept, strict=True):
            group["lr"] = lr
        return loss


class Centralises(torch.optim.SGD):
    """Each row of a matrix loses the mean of its gradient (Yong et al. 2020)."""

    def __init__(self, params: Any, lr: float = 0.1, momentum: float = 0.0, weight_decay: float = 0.0):
        super().__init__(params, lr=lr, momentum=momentum, weight_decay=weight_decay)

    def step(self, closure: Any = None) -> Any:
        loss = None if closure is None else torch.enable_grad()(closure)()
        for p in (p for group in self.param_groups for p in group["params"]):
            if p.grad is not None and p.grad.ndim > 1 and p.grad.numel():
                p.grad = p.grad - p.grad.mean(dim=tuple(range(1, p.grad.ndim)), keepdim=True)
        super().step()
        return loss


CASES = {
    Lookahead: ("adamw", "its first 4 steps are those of adamw and later ones are not; it has k beside"),
    WarmsUp: ("adamw", "a warm-up, which makes it another algorithm"),
    Centralises: ("sgd", "(gradient centralisation), which makes it another algorithm"),
}


@pytest.mark.parametrize("algorithm", CASES)
def test_another_algorithm_gets_no_contract_and_is_told_the_nearest(algorithm: type) -> None:
    nearest, words = CASES[algorithm]
    subject, note = subject_of(algorithm)
    assert subject.contract is None
    assert words in note
    assert f"--contract {nearest}" in note


@pytest.mark.parametrize("algorithm", CASES)
def test_it_breaks_the_contract_that_is_named(algorithm: type) -> None:
    subject, _ = subject_of(algorithm, contract=CASES[algorithm][0])
    laws = planned("textbook-step")
    found = {f.verdict for judgement in Judge(subject).judge(laws) for f in judgement.findings}
    assert "violated" in found


def test_a_wrong_step_without_further_options_is_judged_as_the_family() -> None:
    class Late(torch.optim.AdamW):
        """From step 5 on, the gradient moves the weights twice as far."""

        def __init__(self, params: Any, lr: float = 1e-3, weight_decay: float = 1e-2) -> None:
            super().__init__(params, lr=lr, weight_decay=weight_decay)
            self.taken = 0

        def step(self, closure: Any = None) -> Any:
            self.taken += 1
            for group in self.param_groups:
                group["lr"] *= 2.0 if self.taken == 5 else 1.0
            return super().step(closure)

    subject, _ = subject_of(Late)
    assert subject.contract is not None
    assert subject.contract.name == "adamw"


class PositiveAndNegativeMomentum(torch.optim.Optimizer):
    """Two momenta take turns and are mixed by ``betas[1]``, which is 1 by default (Xie et al. 2021)."""

    def __init__(self, params: Any, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 1.0)) -> None:
        super().__init__(params, {"lr": lr, "betas": betas})

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            beta, mixed = group["betas"]
            for p in (p for p in group["params"] if p.grad is not None):
                state = self.state[p]
                now, before = state.get("before", torch.zeros_like(p)), state.get("now", torch.zeros_like(p))
                state["now"], state["before"] = now.lerp(p.grad, 1 - beta**2), before
                p.sub_(group["lr"] * ((1 + mixed) * state["now"] - mixed * before))


def test_a_reference_that_is_not_finite_explains_no_steps() -> None:
    """Adam divides by 1 - betas[1] ** t, and Lion's average stays at zero, whose sign may be any sign."""
    subject, note = subject_of(PositiveAndNegativeMomentum)
    assert subject.contract is None
    assert "no known family agrees with the measured steps; the nearest is" in note
