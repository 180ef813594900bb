"""The statistical tier of the gate: correct optimizers reach the equilibrium of their closed forms, and wrong
decay does not."""

from typing import Any

import pytest
import torch

import ilr_check
from ilr_check.gate.result import GateResult


class HalfDecay(torch.optim.SGD):
    """Uses half of the weight decay."""

    def step(self, closure: Any = None) -> Any:
        return _with_decay(self, super().step, lambda lr: 0.5)


class FirstLr(torch.optim.SGD):
    """Decays with its initial lr, so that a schedule does not change the decay."""

    def __init__(self, params: Any, lr: float = 1e-3, **hyper: Any) -> None:
        super().__init__(params, lr=lr, **hyper)
        self.first = lr

    def step(self, closure: Any = None) -> Any:
        return _with_decay(self, super().step, lambda lr: self.first / lr)


def _with_decay(optimizer: Any, step: Any, factor: Any) -> Any:
    (group,) = optimizer.param_groups
    kept = group["weight_decay"]
    group["weight_decay"] = kept * factor(group["lr"])
    try:
        return step()
    finally:
        group["weight_decay"] = kept


def judged(target: Any, contract: str, seed: int = 0) -> GateResult:
    return ilr_check.check_optimizer(target, contract=contract, claims="equilibrium", seed=seed)


def by_kind(result: GateResult) -> dict[str, set[str]]:
    """Return the verdicts of all settings for norm, rotation and recovery."""
    found: dict[str, set[str]] = {}
    for finding in result.findings:
        found.setdefault(finding.group.partition(",")[0], set()).add(finding.verdict)
    return found


def test_sgd_settles_and_every_rival_is_excluded() -> None:
    result = judged(torch.optim.SGD, "sgd")
    assert by_kind(result) == {"norm": {"holds"}, "rotation": {"holds"}, "recovery": {"holds"}}
    assert all(rival.excluded for finding in result.findings for rival in finding.rivals)
    assert len(result.findings) == 9


def test_half_of_the_decay_is_refuted_and_named() -> None:
    result = judged(HalfDecay, "sgd")
    assert by_kind(result) == {"norm": {"violated"}, "rotation": {"violated"}, "recovery": {"violated"}}
    assert all("as half of the decay would" in finding.diagnosis for finding in result.findings)


@pytest.mark.nightly
def test_decay_that_a_schedule_does_not_reach_shows_after_the_drop_only() -> None:
    found = by_kind(judged(FirstLr, "sgd"))
    assert found == {"norm": {"holds"}, "rotation": {"holds"}, "recovery": {"violated"}}


@pytest.mark.nightly
def test_one_family_is_not_another() -> None:
    assert judged(torch.optim.Adam, "adamw").verdict == "violated"


def test_a_family_without_a_closed_form_is_passed_over_with_the_reason() -> None:
    (finding,) = judged(torch.optim.Adagrad, "adagrad").findings
    assert finding.verdict == "skipped"
    assert "no closed form is known for adagrad" in finding.message


@pytest.mark.nightly
def test_the_same_seed_gives_the_same_verdicts() -> None:
    first, second = (judged(HalfDecay, "sgd", seed=3) for _ in range(2))
    assert [f.measured for f in first.findings] == [f.measured for f in second.findings]


@pytest.mark.nightly
@pytest.mark.parametrize("contract", ["sgd", "adamw", "adam", "rmsprop"])
def test_false_alarms_stay_within_the_promise(contract: str) -> None:
    """Each invocation promises a false alarm at most once in a thousand: of 25 one has probability 0.025."""
    target = {
        "sgd": torch.optim.SGD,
        "adamw": torch.optim.AdamW,
        "adam": torch.optim.Adam,
        "rmsprop": torch.optim.RMSprop,
    }[contract]
    alarms = [seed for seed in range(25) if judged(target, contract, seed).verdict == "violated"]
    assert len(alarms) <= 1, alarms
