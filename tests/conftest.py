"""What all tests share: one thread, so that parallel workers do not fight for the cores."""

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    from ilr_check.train.threads import VARIABLE, threads

    with pytest.MonkeyPatch.context() as patch, threads(1):
        patch.setenv(VARIABLE, "1")
        yield
