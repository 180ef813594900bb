"""docs/reviewers.md is generated from the questions."""

from pathlib import Path

import ilr_check
from ilr_check.questions.document import markdown

DOCUMENT = Path(ilr_check.__file__).parents[1] / "docs" / "reviewers.md"


def test_the_committed_page_is_what_the_questions_say() -> None:
    fix = "run: python -m ilr_check.questions.document > docs/reviewers.md"
    assert DOCUMENT.read_text(encoding="utf-8") == markdown(), fix
