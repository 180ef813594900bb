"""A released form of a family is a departure that names its declaration; a mistake beside it is a defect."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from released_forms import (
    AdamaxW,
    BoundedLamb,
    HalfAdamaxW,
    IgnoresItsSchedule,
    Layerwise,
    SimplifiedNAdam,
    SmallNumberAdamW,
    verdicts,
)

import ilr_check

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


def test_a_lamb_with_two_conventions_is_a_departure_and_with_a_defect_beside_it_is_none() -> None:
    laws = "decay-zero-gradient,textbook-step,tensor-shapes,bias-correction"
    assert set(verdicts(BoundedLamb, contract="lamb", laws=laws).values()) == {"departure"}
    wrong = type("Lamb", (BoundedLamb,), {"flaw": 0.9})
    assert verdicts(wrong, contract="lamb", laws=laws)["textbook-step"] == "defect"


def test_a_small_number_beside_the_variance_is_a_departure() -> None:
    laws = "gradient-degree,eps-placement,scaling-symmetry,textbook-step,tensor-shapes"
    found = verdicts(SmallNumberAdamW, contract="adamw", laws=laws)
    assert set(found.values()) <= {"departure", "fragility"}
    assert "departure" in found.values()


def test_a_w_behind_the_name_of_a_family_is_decoupled_decay() -> None:
    laws = "decay-coupling,decay-zero-gradient,textbook-step"
    right = ilr_check.check_optimizer(AdamaxW, laws=laws)
    assert (right.verdict, len(right.violated)) == ("holds", 0)
    wrong = ilr_check.check_optimizer(HalfAdamaxW, laws=laws)
    assert wrong.verdict == "violated"
    assert "weight decay per step is 0.5*lr*wd" in " ".join(f.diagnosis for f in wrong.violated)


def test_a_nadam_without_a_schedule_is_a_departure_unless_it_has_a_number_for_one() -> None:
    right = ilr_check.check_optimizer(SimplifiedNAdam, contract="nadam", laws="textbook-step")
    assert {f.severity for f in right.violated} == {"departure"}
    assert {f.remedy for f in right.violated} == {"--declare momentum_schedule=constant"}
    wrong = ilr_check.check_optimizer(IgnoresItsSchedule, contract="nadam", laws="textbook-step")
    assert "defect" in {f.severity for f in wrong.violated}


def test_sums_that_begin_above_zero_are_no_wrong_degree() -> None:
    options = {"contract": "adagrad", "args": {"initial_accumulator_value": 0.1}}
    assert not verdicts(torch.optim.Adagrad, laws="gradient-degree", **options)


def test_a_symmetry_is_judged_where_an_optimizer_has_no_weight_decay() -> None:
    class Plain(torch.optim.SGD):
        def __init__(self, params: Any, lr: float = 0.1) -> None:
            super().__init__(params, lr)
            for group in self.param_groups:
                del group["weight_decay"]

        @torch.no_grad()
        def step(self, closure: Any = None) -> Any:
            for group in self.param_groups:
                for p in group["params"]:
                    if p.grad is not None:
                        p.sub_(group["lr"] * p.grad)

    result = ilr_check.check_optimizer(Plain, contract="sgd", laws="scaling-symmetry")
    assert {f.verdict for f in result.findings if f.claim == "scaling-symmetry"} == {"holds"}
