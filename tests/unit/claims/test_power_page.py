"""docs/power.md is written from the verdicts that docs/power.json keeps."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

import ilr_check

ROOT = Path(ilr_check.__file__).parents[1]


@pytest.fixture(scope="module")
def power() -> ModuleType:
    spec = importlib.util.spec_from_file_location("power", ROOT / "tests" / "mutants" / "power.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_committed_page_is_what_the_verdicts_say(power: ModuleType) -> None:
    fix = "run: PYTHONPATH=tests/mutants python -m power --minutes 0"
    assert (ROOT / "docs" / "power.md").read_text(encoding="utf-8") == power.render(), fix


def test_no_claim_is_violated_by_the_theory_itself(power: ModuleType) -> None:
    own = {claim: worlds["the theory"]["verdict"] for claim, worlds in power.load().items() if worlds}
    assert own
    assert set(own.values()) <= {"holds", "inconclusive"}


def test_a_world_of_which_a_statement_is_true_is_one_of_the_worlds(power: ModuleType) -> None:
    names = {power.title(wrong) for wrong in power.WORLDS}
    assert len(names) == len(power.WORLDS)
    assert [name for row in power.ROWS for name, _ in row.true_in if name not in names] == []
    assert set(power.FIRST) <= names
