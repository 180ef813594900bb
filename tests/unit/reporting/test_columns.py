"""Lists fit a terminal of 80 columns without a break inside a word, and stay one line an entry in a file."""

from __future__ import annotations

import pytest

from ilr_check import questions
from ilr_check.claims import catalogue, home
from ilr_check.doctor import diagnose
from ilr_check.reporting import claim_page, columns, question_page

LISTS = {
    "claims": ([(c.text.id, c.text.kind, c.text.title) for c in catalogue().values()], (24, 12)),
    "questions": ([(q.id, q.review, q.title) for q in questions.questions().values()], (24, 12)),
}


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("name", [*LISTS, "doctor"])
def test_no_line_is_longer_than_the_terminal_and_no_word_is_broken(name: str, width: int) -> None:
    rows, widths = (diagnose(), (28, 24)) if name == "doctor" else LISTS[name]
    for row in rows:
        shown = columns.entry(row, widths, width)
        assert max(map(len, shown.splitlines())) <= width
        assert shown.split() == " ".join(row).split()


def test_a_file_gets_one_line_an_entry() -> None:
    words = "many words " * 40
    assert columns.entry(("a", "b", words), (4, 4), None) == f"a    b    {words}".rstrip()


def test_pages_of_claims_and_questions_fit_80_columns() -> None:
    pages = [claim_page.page(claim.text, home(name)) for name, claim in catalogue().items()]
    pages += [question_page.page(question) for question in questions.questions().values()]
    # A command with many claims is one word, which can be copied whole.
    lines = [line for page in pages for line in page.splitlines() if len(line.split()) > 1]
    assert max(map(len, lines)) < 80
