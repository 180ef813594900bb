"""Schedule-free SGD is judged by its own contract, and decay that spares vectors is a departure."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from ilr_check.gate.judge import judge
from ilr_check.gate.laws import planned
from ilr_check.gate.subjects import subject_of


class SGDScheduleFree(torch.optim.Optimizer):
    """The average of the fast path is weighted by the square of lr."""

    factor = 1.0

    def __init__(self, params: Any, lr: float = 1.0, momentum: float = 0.9, weight_decay: float = 0.0):
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "total": 0.0}
        super().__init__(params, defaults)
        self.training = False

    def train(self) -> None:
        self.training = True

    def eval(self) -> None:
        self.training = False

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        if not self.training:
            raise RuntimeError("call train() before step()")
        for group in self.param_groups:
            lr, beta = group["lr"], group["momentum"]
            group["total"] += lr * lr
            share = lr * lr / group["total"] if group["total"] else 0.0  # a warm-up may begin at lr = 0
            for p in group["params"]:
                if p.grad is None:
                    continue
                fast = self.state[p].setdefault("fast", p.clone())
                g = p.grad + group["weight_decay"] * p
                p.add_(share * (fast - p) + self.factor * lr * (beta * (1 - share) - 1) * g)
                fast.sub_(lr * g)


class Doubled(SGDScheduleFree):
    factor = 2.0


LAWS = ("textbook-step", "decay-zero-gradient", "memory")


def violated(factory: Any, law: str) -> list[str]:
    subject, _ = subject_of(factory)
    assert subject.contract is not None
    assert subject.contract.name == "schedulefree"
    findings, _ = judge(planned(law)[0], subject)
    return [f.diagnosis for f in findings if f.verdict not in ("holds", "skipped")]


@pytest.mark.parametrize("law", LAWS)
def test_schedule_free_sgd_keeps_its_contract(law: str) -> None:
    assert not violated(SGDScheduleFree, law)


def test_a_doubled_step_along_the_gradient_is_found() -> None:
    assert violated(Doubled, "textbook-step")
