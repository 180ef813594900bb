"""What all tests share: one thread, so that parallel workers do not fight for the cores, and Ctrl-C."""

import signal
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    from ilr_check.train.threads import VARIABLE, threads

    with pytest.MonkeyPatch.context() as patch, threads(1):
        patch.setenv(VARIABLE, "1")
        yield


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> None:
    # A shell starts what it puts in the background deaf to Ctrl-C, and children inherit that.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
