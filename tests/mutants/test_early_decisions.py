"""A training that is ended because a premise has failed for good would not have held in whole."""

import importlib

import pytest
from deciding import NotHeld, Undecided, decided_early
from wrong_worlds import WORLDS

from ilr_check.claims import soundness
from ilr_check.claims.lab import Lab

power = importlib.import_module("power")
ROWS = {row.claim: row for row in power.ROWS}
NAMED = {power.title(wrong): wrong for wrong in WORLDS}

CELLS = {
    ("other-norms", "decay 2 % too strong"): soundness.STEP,
    ("other-norms", "gradient as r^-1.1"): soundness.FALL,
    ("no-parameter-mixing", "0.5 % of the gradient along the weights"): soundness.ALONG,
    ("adaptive-recovery", "no decay in 3 % of the runs"): soundness.RULE,
    ("deep-bn", "decay 2 % too strong"): soundness.STEP,
}


@pytest.mark.parametrize("cell", [("deep-bn", "decay 2 % too strong")], ids=str)
def test_a_cell_is_decided_within_its_first_steps(cell: tuple[str, str]) -> None:
    found = power.decide(ROWS[cell[0]], NAMED[cell[1]], power.EARLY)
    assert found is not None
    assert (found["verdict"], found["premises"]) == ("not held", [CELLS[cell]])


@pytest.mark.nightly
@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_a_cell_that_is_decided_early_does_not_hold_in_whole(cell: tuple[str, str]) -> None:
    row, wrong = ROWS[cell[0]], NAMED[cell[1]]
    early = power.decide(row, wrong, power.EARLY)
    assert early is not None
    assert early["premises"] == [CELLS[cell]]
    whole = power.judge(row, wrong)
    assert whole["held"] == 0


@pytest.mark.nightly
def test_the_theory_is_never_decided_early() -> None:
    row = ROWS["no-parameter-mixing"]
    right = NAMED["decay 2 % too strong"]
    assert right is not None
    plain = type(right)("right", 1.0)
    with decided_early():
        assert power.judge(row, plain)["verdict"] == "holds"


def test_what_ends_a_training_is_caught_by_no_code_that_trains_and_leaves_nothing_patched() -> None:
    assert not any(issubclass(kind, Exception) for kind in (NotHeld, Undecided))
    before = Lab.train
    with decided_early():
        assert Lab.train is not before
    assert Lab.train is before
