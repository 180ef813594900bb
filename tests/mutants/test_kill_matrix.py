"""The kill matrix in the docs is what the gate says now, and says what was promised of it."""

import pytest
from zoo.correct import VARIANTS
from zoo.judging import exact_laws, judge
from zoo.matrix import KEPT, PAGE, SURVIVORS, Matrix, committed, page
from zoo.mutants import MUTANTS

MATRIX: Matrix = committed()
MUTANT_ROWS = {row.name: row for row in MATRIX.mutants}
VARIANT_ROWS = {row.name: row for row in MATRIX.variants}
AGAIN = "write it anew: PYTHONPATH=tests/mutants python -m zoo.matrix"


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_is_judged_as_the_matrix_says(name: str) -> None:
    now, then = judge(MUTANTS[name]), MUTANT_ROWS[name]
    assert now.row.verdicts == then.verdicts, AGAIN
    assert now.row.named == then.named, now.sentences


@pytest.mark.parametrize("name", VARIANTS)
def test_a_right_variant_passes(name: str) -> None:
    now = judge(VARIANTS[name])
    assert not now.sentences
    assert "holds" in now.row.verdicts.values()
    assert now.row.verdicts == VARIANT_ROWS[name].verdicts, AGAIN


def test_the_matrix_is_whole() -> None:
    assert MATRIX.laws == exact_laws(), AGAIN
    assert set(MUTANT_ROWS) == set(MUTANTS)
    assert set(VARIANT_ROWS) == set(VARIANTS)


def test_the_page_is_written_from_the_data() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(MATRIX), AGAIN


def test_four_of_five_kills_come_with_the_right_diagnosis() -> None:
    assert len(MATRIX.named) >= 0.8 * len(MATRIX.killed)


def test_a_survivor_is_explained() -> None:
    assert {row.name for row in MATRIX.mutants if not row.killed_by} == set(SURVIVORS)


@pytest.mark.parametrize("law", MATRIX.laws)
def test_a_law_kills_what_no_other_does_or_says_why_it_is_kept(law: str) -> None:
    assert MATRIX.alone(law) or law in KEPT
