"""Laws and contracts from outside the package, by decorator and by ``FILE.py:NAME``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import ilr_check
from ilr_check.gate import laws
from ilr_check.gate.law import Circumstances, GateLaw, Reading, fact_reading, law_text
from ilr_check.gate.subject import Subject
from ilr_check.optim import contracts


def finite(subject: Subject, circumstances: Circumstances) -> list[Reading]:
    """One step from ones stays finite."""
    trial = subject.start([torch.ones(2, 2)])
    trial.step([torch.ones(2, 2)])
    good = bool(trial.values()[0].isfinite().all())
    return [fact_reading(good, group="ones", message="one step", diagnosis="a step is not finite")]


LAW = GateLaw(
    text=law_text(
        "stays-finite", "Finite", "A step is finite.", equation="|w| < oo", source="-", meaning="-"
    ),
    tier="exact",
    blind_to="other gradients",
    check=finite,
)


@pytest.fixture
def outside() -> Iterator[None]:
    yield
    for registry, name in ((laws.REGISTERED, LAW.id), (contracts.REGISTERED, "my-sgd")):
        if name in registry.registered():
            registry.remove(name)


@pytest.mark.usefixtures("outside")
def test_a_law_from_outside_is_judged_with_the_others() -> None:
    assert ilr_check.register_law(LAW) is LAW
    result = ilr_check.check_optimizer(torch.optim.SGD, contract="sgd", laws="stays-finite,descent")
    assert set(result.coverage.judged) == {"stays-finite", "descent"}
    assert "stays-finite" in {law.id for law in laws.planned("all")}


@pytest.mark.usefixtures("outside")
def test_a_function_may_return_it() -> None:
    @ilr_check.register_law
    def made() -> GateLaw:
        return LAW

    assert laws.gate_laws()["stays-finite"] is LAW


@pytest.mark.usefixtures("outside")
def test_a_contract_from_outside_has_a_name() -> None:
    ilr_check.register_contract(replace(contracts.contract_named("sgd"), name="my-sgd"))
    result = ilr_check.check_optimizer(torch.optim.SGD, contract="my-sgd", laws="textbook-step")
    assert (result.contract, result.verdict) == ("my-sgd", "holds")


def test_what_is_taken_or_no_law_is_refused() -> None:
    with pytest.raises(ValueError, match="the law 'descent' exists already"):
        ilr_check.register_law(replace(LAW, text=laws.gate_laws()["descent"].text))
    with pytest.raises(TypeError, match=r"takes an ilr_check\.gate\.law\.GateLaw, not int"):
        ilr_check.register_law(lambda: 3)  # type: ignore[arg-type,return-value]
    with pytest.raises(ValueError, match="the contract 'sgd' exists already"):
        ilr_check.register_contract(replace(contracts.contract_named("adam"), name="sgd"))


def test_a_contract_stands_in_a_file_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "from dataclasses import replace\n"
        "from ilr_check.optim.contracts import contract_named\n"
        "MINE = replace(contract_named('sgd'), name='mine')\n"
        "NOT = 3\n"
    )
    result = ilr_check.check_optimizer(torch.optim.SGD, contract=f"{file}:MINE", laws="textbook-step")
    assert (result.contract, result.verdict) == ("mine", "holds")
    with pytest.raises(ValueError, match=r"NOT' is of type int; it must be an ilr_check\.optim"):
        ilr_check.check_optimizer(torch.optim.SGD, contract=f"{file}:NOT", laws="textbook-step")
    with pytest.raises(ValueError, match=r"contract .* has no 'MIEN'"):
        ilr_check.check_optimizer(torch.optim.SGD, contract=f"{file}:MIEN", laws="textbook-step")
