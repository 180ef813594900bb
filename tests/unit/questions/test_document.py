"""docs/reviewers.md is what the questions say."""

from pathlib import Path

import ilr_check
from ilr_check.questions.document import markdown

DOCUMENT = Path(ilr_check.__file__).parents[1] / "docs" / "reviewers.md"


def test_the_document_is_in_step() -> None:
    mend = "run: python -m ilr_check.questions.document > docs/reviewers.md"
    assert DOCUMENT.read_text(encoding="utf-8") == markdown(), mend
