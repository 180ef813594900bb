"""The soak: no verdict is lost or changed and no process is left behind, in numbers for which only a nightly
run has time.

``python tests/soak/figures.py --write`` runs it and writes docs/reliability.md.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from counts import Count
from parts import PARTS
from small_claims import NAME

from ilr_check import claims

SEED = 20260


@pytest.fixture(autouse=True)
def only_the_shipped_claims_afterwards() -> Iterator[None]:
    yield
    if NAME in claims.REGISTERED.registered():
        claims.REGISTERED.remove(NAME)
        claims.catalogue.cache_clear()


@pytest.mark.nightly
@pytest.mark.parametrize("name", PARTS)
def test_nothing_is_lost(name: str, tmp_path: Path) -> None:
    part = PARTS[name]
    count = Count(part.what)
    part.soak(count, tmp_path, part.times, SEED)
    if count.skipped:
        pytest.skip(count.skipped)
    assert count.tried >= part.times
    assert count.failures == []
