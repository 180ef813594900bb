"""What several tests of the package's top-level modules use."""

import pytest
from invented_claims import Invented, use


@pytest.fixture
def invented(monkeypatch: pytest.MonkeyPatch) -> Invented:
    """Made-up claims instead of the catalogue."""
    source = Invented()
    use(monkeypatch, {name: source.claim(name) for name in ("first-claim", "second-claim")})
    return source
