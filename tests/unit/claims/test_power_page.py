"""docs/power.md is written from the verdicts that docs/power.json keeps."""

import importlib
from pathlib import Path
from types import ModuleType

import pytest

import ilr_check

ROOT = Path(ilr_check.__file__).parents[1]


@pytest.fixture
def power(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module with the table of worlds, which imports others of its folder."""
    monkeypatch.syspath_prepend(ROOT / "tests" / "mutants")
    return importlib.import_module("power")


def test_the_committed_page_is_what_the_verdicts_say(power: ModuleType) -> None:
    fix = "run: PYTHONPATH=tests/mutants python -m power --minutes 0"
    assert (ROOT / "docs" / "power.md").read_text(encoding="utf-8") == power.page(), fix


def test_no_claim_is_violated_by_the_theory_itself(power: ModuleType) -> None:
    own = {claim: worlds["the theory"]["verdict"] for claim, worlds in power.load().items() if worlds}
    assert own
    assert set(own.values()) <= {"holds", "inconclusive"}


def test_a_world_of_which_a_statement_is_true_is_one_of_the_worlds(power: ModuleType) -> None:
    names = {power.title(wrong) for wrong in power.WORLDS}
    assert len(names) == len(power.WORLDS)
    assert [name for row in power.ROWS for name, _ in row.true_in if name not in names] == []
    assert set(power.FIRST) <= names
