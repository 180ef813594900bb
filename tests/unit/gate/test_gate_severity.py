"""Defect, fragility or departure: each finding has its severity, and a departure names the option that
accepts it."""

from __future__ import annotations

from typing import Any

import pytest
import severity_page
import torch
from released_forms import InsideRoot

import ilr_check


class InsideRootAndHalf(InsideRoot):
    """The same with steps of half the size, which is not a known convention."""

    flaw = 0.5


LAWS = "textbook-step,eps-placement,gradient-degree"


def test_a_convention_is_a_departure_with_its_remedy_and_passes() -> None:
    result = ilr_check.check_optimizer(InsideRoot, contract="adam", laws=LAWS)
    assert result.violated
    assert {f.severity for f in result.violated} == {"departure"}
    assert {f.remedy for f in result.violated} == {"--declare eps_place=inside"}
    assert (result.verdict, result.exit_code) == ("holds", 0)
    assert (
        ilr_check.check_optimizer(InsideRoot, contract="adam", laws=LAWS, fail_on="departure").exit_code == 1
    )


def test_its_remedy_settles_it() -> None:
    result = ilr_check.check_optimizer(
        InsideRoot, contract="adam", laws=LAWS, declare={"eps_place": "inside"}, fail_on="departure"
    )
    assert (result.violated, result.exit_code) == ((), 0)


def test_a_defect_beside_a_convention_stays_a_defect() -> None:
    result = ilr_check.check_optimizer(InsideRootAndHalf, contract="adam", laws=LAWS)
    assert result.exit_code == 1
    assert "defect" in {f.severity for f in result.violated}


@pytest.mark.parametrize(("fail_on", "code"), [("defect", 0), ("fragility", 1)])
def test_a_fragility_is_shown_and_decides_only_where_asked(fail_on: str, code: int) -> None:
    class Prints(torch.optim.SGD):
        def step(self, closure: Any = None) -> Any:
            print("step")
            return super().step(closure)

    result = ilr_check.check_optimizer(Prints, contract="sgd", laws="leaves-the-world-alone", fail_on=fail_on)
    (finding,) = result.violated
    assert (finding.severity, result.exit_code) == ("fragility", code)


def test_the_page_of_the_policy_is_the_laws() -> None:
    text = severity_page.PAGE.read_text(encoding="utf-8")
    assert text == severity_page.page(), "python tests/unit/gate/severity_page.py writes it"
