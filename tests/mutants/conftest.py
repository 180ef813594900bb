"""Whether the trainings that mutants are planted in are compiled. A module chooses with ``usefixtures``."""

import pytest

from ilr_check.train import compiling


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train without the compiler, where compiling a net takes longer than the few trainings of it."""
    monkeypatch.setattr(compiling, "RUN_STEPS_THAT_PAY", 10**9)


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compile all but the shortest trainings, where a module trains one net many times. A wrong rule steps
    between the compiled gradients, so it needs no compilation of its own."""
    monkeypatch.setattr(compiling, "RUN_STEPS_THAT_PAY", 1000)
