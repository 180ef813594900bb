"""docs/holds.md says what each statistical verdict means; it is generated from the claims."""

import re
from pathlib import Path

import pytest

import ilr_check
from ilr_check.claims import statistical_laws
from ilr_check.claims.document import render

PAGE = Path(ilr_check.__file__).parents[1] / "docs" / "holds.md"


def test_every_statistical_claim_stands_on_the_page() -> None:
    found = re.findall(r"^## `([a-z0-9-]+)`", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert found == list(statistical_laws())


def test_every_known_departure_stands_on_the_page() -> None:
    page = PAGE.read_text(encoding="utf-8")
    known = [d for laws in statistical_laws().values() for law in laws for d in law.departures]
    assert known
    assert [d.spec.title for d in known if f"Known departure, {d.spec.title} (" not in page] == []


@pytest.mark.nightly
def test_the_committed_page_is_what_the_claims_say() -> None:
    """It takes half a minute, because some margins are simulated."""
    fix = "run: python -m ilr_check.claims.document > docs/holds.md"
    assert PAGE.read_text(encoding="utf-8") == render(), fix
