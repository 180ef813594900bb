"""torch.optim with every switch and documented argument: there is no false alarm, and docs/trophy-case.md is
right.

Every push judges one class for each switch (``zoo.sweep.representative``); ``-m nightly`` judges the table.
"""

import warnings
from pathlib import Path

import pytest
import torch
from zoo.judging import DEAR, exact_laws, world_restored
from zoo.sweep import Case, cases, representative
from zoo.trophies import TROPHIES, Trophy

from ilr_check import check_optimizer
from ilr_check.gate.subject import SubjectError

PAGE = Path(__file__).parents[2] / "docs" / "trophy-case.md"
LAWS = ",".join(law for law in exact_laws() if law not in DEAR)


def told(case: Case) -> dict[str, str]:
    """Return the violated laws of a case, each with its first sentence."""
    with world_restored(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            result = check_optimizer(case.factory, contract=case.contract, args=case.args, claims=LAWS)
        except SubjectError:
            if not case.refused:
                raise
            return {}
    wrong = [f for f in result.findings if f.verdict not in ("holds", "skipped")]
    return {f.claim: f"{f.id}: {f.diagnosis}" for f in reversed(wrong)}


def demand_known(case: Case) -> None:
    """Every violation in torch is explained by a trophy."""
    known = {law for trophy in TROPHIES if case.name in trophy.optimizers for law in trophy.laws}
    assert not {law: words for law, words in told(case).items() if law not in known}


@pytest.mark.parametrize("case", representative(), ids=lambda case: case.id)
def test_no_false_alarm_under_a_switch(case: Case) -> None:
    demand_known(case)


@pytest.mark.nightly
@pytest.mark.parametrize("case", list(cases()), ids=lambda case: case.id)
def test_no_false_alarm_in_the_whole_table(case: Case) -> None:
    demand_known(case)


FOUND = [trophy for trophy in TROPHIES if set(trophy.laws) & set(exact_laws())]


@pytest.mark.parametrize("trophy", FOUND, ids=lambda trophy: trophy.name)
def test_the_gate_finds_a_trophy(trophy: Trophy) -> None:
    name, laws = trophy.optimizers[0], [law for law in trophy.laws if law in exact_laws()]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = check_optimizer(
            getattr(torch.optim, name), contract=name.lower(), args=trophy.args, claims=",".join(laws)
        )
    assert any(finding.verdict == "violated" for finding in result.findings)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("trophy", TROPHIES, ids=lambda trophy: trophy.name)
def test_a_trophy_is_a_defect_of_the_installed_torch(trophy: Trophy) -> None:
    assert trophy.witness() > 0


@pytest.mark.parametrize("trophy", TROPHIES, ids=lambda trophy: trophy.name)
def test_a_trophy_stands_in_the_page(trophy: Trophy) -> None:
    assert f"### torch: {trophy.name}" in PAGE.read_text(encoding="utf-8")
