"""The gate judges optimizers of kinds that people use today: right ones get no defect, broken twins are
found."""

from __future__ import annotations

from typing import Any

import kinds_of_today as kinds
import pytest
import torch

from ilr_check.evidence.gate import Finding
from ilr_check.gate.judge import judge
from ilr_check.gate.laws import gate_laws
from ilr_check.gate.subject import Subject, SubjectError
from ilr_check.gate.subjects import subject_of
from ilr_check.gate.tags import tags_of

KILLS: dict[str, tuple[str, str, str]] = {
    "CollectsUpToTheFirstMissing": ("missing-gradient", "those after it", "defect"),
    "StepsInHooksMovesAll": ("missing-gradient", "without gradient", "defect"),
    "GroupsAloneFirstLr": ("alone", "several groups", "defect"),
    "DecaysWithoutLr": ("zero-lr", "decay waits", "fragility"),
    "MatricesAlone": ("descent", "a vector beside a matrix", "defect"),
    "StaysAway": ("zero-lr", "still, at the first step", "defect"),
    "GrowsAtOnePace": ("options", "acts", "fragility"),
    "ForgetsTheDtypeOfMasters": ("narrow-resume", "bfloat16 weights, resumed", "defect"),
}
"""The law, the case and the severity with which each broken one is found."""
PASSES: dict[str, tuple[str, str]] = {
    "Collects": ("missing-gradient", "those after it"),
    "StepsInHooks": ("missing-gradient", "without gradient"),
    "UsesNamesUp": ("alone", "a group added later"),
    "GroupsAlone": ("alone", "several groups"),
    "Consistent": ("zero-lr", "decay waits"),
    "MatricesAndTheRest": ("descent", "a vector beside a matrix"),
    "StepsAwayAndBack": ("zero-lr", "still, at the first step"),
    "GrowsItsStep": ("options", "acts"),
    "RoundsByChance": ("narrow-resume", "bfloat16 weights"),
}
"""The law and the case that each right one holds."""


def subject(name: str, contract: str = "") -> Subject:
    """Return an optimizer of the catalogue, without a contract or with a named one."""
    factory: Any = getattr(kinds, name)
    if contract:
        return subject_of(factory, contract=contract)[0]
    return Subject(factory, tags=tags_of(factory, {}))


def findings(law: str, judged: Subject) -> list[Finding]:
    """Return what a law finds."""
    return list(judge(gate_laws()[law], judged)[0])


def of_case(found: list[Finding], case: str) -> Finding:
    """Return the first finding of a case."""
    return next(f for f in found if f.group == case or f.group.startswith(f"{case}, "))


@pytest.mark.parametrize("name", KILLS)
def test_a_broken_one_is_found(name: str) -> None:
    law, case, severity = KILLS[name]
    finding = of_case(findings(law, subject(name)), case)
    assert (finding.verdict, finding.severity) == ("violated", severity)


@pytest.mark.parametrize("name", PASSES)
def test_a_right_one_passes(name: str) -> None:
    law, case = PASSES[name]
    finding = of_case(findings(law, subject(name)), case)
    assert finding.verdict == "holds", finding.diagnosis


def test_a_yardstick_of_its_constructor_is_a_fragility_of_a_resumed_training() -> None:
    found = findings("resume", subject("YardstickOfLr"))
    finding = of_case(found, "in memory")
    assert (finding.verdict, finding.severity) == ("violated", "fragility"), finding.diagnosis
    assert "unless it is built with the lr" in finding.diagnosis


def test_a_frozen_parameter_may_be_refused() -> None:
    finding = of_case(findings("missing-gradient", subject("StepsInHooks")), "frozen")
    assert finding.verdict == "skipped"
    assert "is refused" in finding.message


def test_weights_that_come_back_may_round_and_no_constant_may_hide() -> None:
    right, wrong = (subject(name, "sgd") for name in ("StepsAwayAndBack", "StepsAwayWithAConstant"))
    assert {f.verdict for f in findings("scaling-symmetry", right)} == {"holds"}
    assert {f.verdict for f in findings("scaling-symmetry", wrong)} == {"violated"}


def test_tensors_that_are_clipped_together_may_miss_a_gradient() -> None:
    finding = of_case(findings("missing-gradient", subject("ClipsAll")), "its neighbour")
    assert finding.verdict == "skipped"


def test_an_lr_that_the_constructor_refuses_is_not_varied() -> None:
    judged, _ = subject_of(kinds.FindsItsStep)
    assert not judged.can_vary("lr")
    assert not judged.can_schedule("lr")
    assert "cannot combine" in judged.unwanted["lr"]
    manual, _ = subject_of(kinds.FindsItsStep, args={"relative_step": False})
    assert manual.can_vary("lr")


def test_a_refusal_of_plain_parameters_names_the_tag() -> None:
    def routed(params: Any) -> Any:
        return kinds.GroupsAlone(params)

    def paired(params: Any) -> Any:
        return torch.optim.SGD([p for _, p in params])

    with pytest.raises(SubjectError, match='--tag "group_keys='):
        subject_of(routed)
    with pytest.raises(SubjectError, match="--tag named_parameters=True"):
        subject_of(paired)


def test_state_in_whole_numbers_leaves_large_tensors_open() -> None:
    finding = of_case(findings("tensor-shapes", subject("WholeNumbers", "adamw")), "five thousand entries")
    assert finding.verdict == "inconclusive"
    assert "--tag state_bits=8" in finding.message


@pytest.mark.parametrize(("power", "verdict"), [(0.0, "holds"), (0.01, "violated")])
def test_an_eps_that_cannot_be_set_leaves_the_degree_judged(power: float, verdict: str) -> None:
    class FixedEps(torch.optim.Muon):
        def __init__(self, params: Any, lr: float = 1e-3, weight_decay: float = 0.1) -> None:
            super().__init__(params, lr=lr, weight_decay=weight_decay)
            for group in self.param_groups:
                self.hidden_eps = group.pop("eps")

        @torch.no_grad()
        def step(self, closure: Any = None) -> Any:
            for group in self.param_groups:
                group["eps"] = self.hidden_eps
                size = max(float(p.grad.norm()) for p in group["params"]) ** power
                lr, group["lr"] = group["lr"], group["lr"] * size
            loss = super().step(closure)
            for group in self.param_groups:
                group.pop("eps")
                group["lr"] = lr
            return loss

    judged, _ = subject_of(FixedEps, contract="muon")
    assert not judged.can_vary("eps")
    assert {f.verdict for f in findings("gradient-degree", judged)} == {verdict}
