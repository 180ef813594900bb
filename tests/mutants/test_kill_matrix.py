"""The gate kills the mutations of the zoo and passes its correct variants; the page in the docs says so.

Every push judges the representative part (``zoo.representative`` has the rule). ``-m nightly`` judges all and
compares with the committed matrix, which ``PYTHONPATH=tests/mutants python -m zoo.matrix`` writes anew.
"""

import pytest
from zoo import representative
from zoo.correct import VARIANTS
from zoo.judging import exact_laws, first_kill, has_contract, judge
from zoo.matrix import KEPT, PAGE, SURVIVORS, Matrix, committed, page
from zoo.mutants import MUTANTS

MATRIX: Matrix = committed()
MUTANT_ROWS = {row.name: row for row in MATRIX.mutants}
VARIANT_ROWS = {row.name: row for row in MATRIX.variants}
AGAIN = "write it anew: PYTHONPATH=tests/mutants python -m zoo.matrix"
SOME, SOME_VARIANTS = representative.mutations(MATRIX), representative.variants(MATRIX)


@pytest.mark.parametrize("name", SOME)
def test_a_representative_mutation_is_killed_by_the_laws_that_killed_it(name: str) -> None:
    then = MUTANT_ROWS[name]
    now = judge(MUTANTS[name], laws=then.killed_by)
    assert set(now.row.killed_by) == set(then.killed_by)
    assert now.row.named or not then.named, now.sentences


@pytest.mark.parametrize("name", SOME_VARIANTS)
def test_a_representative_variant_passes(name: str) -> None:
    now = judge(VARIANTS[name])
    assert not now.sentences
    assert "holds" in now.row.verdicts.values()


def test_the_part_covers_every_family_every_kind_and_every_law_that_kills() -> None:
    killed = [row for row in MATRIX.mutants if row.killed_by]
    families = {MUTANTS[row.name].contract for row in killed if not representative.elsewhere(row.name)}
    assert {MUTANTS[name].contract for name in SOME} >= families
    assert {MUTANTS[name].kind for name in SOME} == {MUTANTS[row.name].kind for row in killed}
    laws = {law for row in killed for law in row.killed_by}
    assert {law for name in SOME for law in MUTANT_ROWS[name].killed_by} == laws
    # Each law needs a mutation that it kills, and there are correct variants: the part grows with the laws.
    assert len(SOME) + len(SOME_VARIANTS) <= len(MATRIX.laws) + 5


@pytest.mark.nightly
@pytest.mark.parametrize("name", [name for name, entry in MUTANTS.items() if has_contract(entry)])
def test_a_mutation_is_judged_as_the_matrix_says(name: str) -> None:
    now, then = judge(MUTANTS[name], unnamed=True), MUTANT_ROWS[name]
    assert now.row.verdicts == then.verdicts, AGAIN
    assert now.row.named == then.named, now.sentences
    assert bool(now.row.unnamed) == bool(then.unnamed), AGAIN


@pytest.mark.nightly
@pytest.mark.parametrize("name", [name for name, entry in VARIANTS.items() if has_contract(entry)])
def test_a_correct_variant_passes(name: str) -> None:
    now = judge(VARIANTS[name])
    assert not now.sentences
    assert "holds" in now.row.verdicts.values()
    assert not first_kill(VARIANTS[name])


@pytest.mark.nightly
def test_the_matrix_is_whole() -> None:
    assert MATRIX.laws == exact_laws(), AGAIN
    assert set(MUTANT_ROWS) == {name for name, entry in MUTANTS.items() if has_contract(entry)}
    assert set(VARIANT_ROWS) == {name for name, entry in VARIANTS.items() if has_contract(entry)}


def test_the_page_is_written_from_the_data() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(MATRIX), AGAIN


def test_four_of_five_kills_come_with_the_right_diagnosis() -> None:
    assert len(MATRIX.named) >= 0.8 * len(MATRIX.killed)


def test_a_survivor_is_explained() -> None:
    assert {row.name for row in MATRIX.mutants if not row.killed_by} == set(SURVIVORS)


@pytest.mark.parametrize("law", MATRIX.laws)
def test_a_law_kills_what_no_other_does_or_says_why_it_is_kept(law: str) -> None:
    assert MATRIX.alone(law) or law in KEPT
