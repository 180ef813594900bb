"""AdamW with corrected weight decay (Defazio 2025) is a convention, which the gate names and which can be
declared. The same decay without the division is the defect that it always was."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from ilr_check import check_optimizer

CORRECTIONS = {
    "lr^2/lr_0*wd": lambda lr, first, largest: lr / first,
    "lr^2/lr_max*wd": lambda lr, first, largest: lr / largest,
}
DECAY = "decay-coupling,decay-schedule,decay-zero-gradient,textbook-step"
LAWS = f"{DECAY},schedulers,resume,alone"


def corrected(factor: Callable[[float, float, float], float]) -> Any:
    """Return an AdamW whose weight decay is multiplied by a factor of lr, the first lr and the largest."""

    class Corrected(torch.optim.Optimizer):
        def __init__(self, params: Any, lr: float = 1e-3, weight_decay: float = 1e-2, eps: float = 1e-8):
            super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "eps": eps})
            for group in self.param_groups:
                group["first_lr"] = group["largest_lr"] = group["lr"]

        def add_param_group(self, group: dict[str, Any]) -> None:
            super().add_param_group(group)
            group = self.param_groups[-1]
            group["first_lr"] = group["largest_lr"] = group["lr"]

        @torch.no_grad()
        def step(self, closure: Any = None) -> Any:
            for group in self.param_groups:
                lr = group["lr"]
                group["largest_lr"] = max(group["largest_lr"], lr)
                wd = group["weight_decay"] * factor(lr, group["first_lr"], group["largest_lr"])
                for p in (p for p in group["params"] if p.grad is not None):
                    state = self.state[p]
                    if not state:
                        state.update(step=0, m=torch.zeros_like(p), v=torch.zeros_like(p))
                    state["step"] += 1
                    state["m"].lerp_(p.grad, 0.1)
                    state["v"].mul_(0.999).addcmul_(p.grad, p.grad, value=0.001)
                    p.mul_(1 - lr * wd)
                    root = (state["v"] / (1 - 0.999 ** state["step"])).sqrt_().add_(group["eps"])
                    p.addcdiv_(state["m"], root, value=-lr / (1 - 0.9 ** state["step"]))

    return Corrected


@pytest.mark.parametrize("law", CORRECTIONS)
def test_corrected_decay_is_a_departure_that_says_what_to_declare(law: str) -> None:
    found = check_optimizer(corrected(CORRECTIONS[law]), contract="auto", claims=LAWS)
    wrong = [f for f in found.findings if f.verdict not in ("holds", "skipped")]
    assert {f.severity for f in wrong} == {"departure"}, [(f.id, f.severity, f.diagnosis) for f in wrong]
    schedule = [f for f in wrong if f.claim == "decay-schedule"]
    assert {f.remedy for f in schedule} == {f"--declare decay_law={law}"}
    assert all(f"weight decay is corrected, it is {law}, expected lr*wd" in f.diagnosis for f in schedule)


@pytest.mark.parametrize("law", CORRECTIONS)
def test_declared_it_holds_and_the_other_kind_does_not(law: str) -> None:
    for declared in CORRECTIONS:
        declare = {"decay_law": declared}
        found = check_optimizer(corrected(CORRECTIONS[law]), contract="adamw", claims=DECAY, declare=declare)
        wrong = [f.id for f in found.findings if f.verdict not in ("holds", "skipped")]
        assert bool(wrong) == (declared != law), wrong


def test_without_the_division_it_is_a_defect() -> None:
    found = check_optimizer(corrected(lambda lr, first, largest: lr), contract="auto", claims=LAWS)
    wrong = [f for f in found.findings if f.verdict == "violated" and f.severity == "defect"]
    assert any("lr^2*wd" in f.diagnosis for f in wrong)
