"""The table of exit codes, precedence 1, 2, 3, 0."""

import pytest
from make_records import record

from ilr_check.evidence.exit_codes import exit_code

TABLE = [
    ("holds", 0),
    ("holds skipped", 0),
    ("holds expected_failure", 0),
    ("expected_failure", 0),
    ("violated", 1),
    ("unexpected_pass", 1),
    ("violated error", 1),
    ("violated error inconclusive holds", 1),
    ("unexpected_pass error", 1),
    ("error", 2),
    ("error inconclusive holds", 2),
    ("", 2),
    ("skipped", 2),
    ("skipped skipped", 2),
    ("inconclusive", 3),
    ("inconclusive holds", 3),
    ("inconclusive skipped", 3),
]


@pytest.mark.parametrize(("words", "code"), TABLE)
def test_the_code_follows_the_worst_verdict(words: str, code: int) -> None:
    assert exit_code([record(verdict=word) for word in words.split()]) == code


@pytest.mark.parametrize(
    ("words", "code"), [("inconclusive", 0), ("inconclusive error", 2), ("inconclusive violated", 1), ("", 2)]
)
def test_inconclusive_can_be_allowed_and_nothing_else(words: str, code: int) -> None:
    found = [record(verdict=word) for word in words.split()]
    assert exit_code(found, allow_inconclusive=True) == code


@pytest.mark.parametrize(("words", "code"), [("violated", 2), ("error", 2)])
def test_what_does_not_count_takes_no_part(words: str, code: int) -> None:
    assert exit_code([record(verdict=words, counts=False)]) == code
    assert exit_code([record(verdict=words, counts=False), record()]) == 0
