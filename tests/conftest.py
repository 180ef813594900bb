"""Settings of all tests: one thread, so that parallel workers do not share a core, and the handling of
Ctrl-C."""

import signal
import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    from ilr_check.train.threads import VARIABLE, threads

    with pytest.MonkeyPatch.context() as patch, threads(1):
        patch.setenv(VARIABLE, "1")
        patch.setenv("OMP_NUM_THREADS", "1")  # torch in child processes that do not read our variable
        yield


@pytest.fixture(autouse=True)
def _default_dtype_is_left_alone() -> Iterator[None]:
    yield
    torch = sys.modules.get("torch")
    if torch is not None:
        left = torch.get_default_dtype()
        torch.set_default_dtype(torch.float32)
        assert left is torch.float32, f"the test leaves torch's default dtype at {left}"


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> None:
    # A shell lets its background processes ignore Ctrl-C, and their children inherit this.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In a module with ``pytestmark = pytest.mark.on_push(...)`` every test that it does not name is nightly.

    A name is the name of a test function, with ``[case]`` for one of its cases. A name that no test of the
    module has is an error, unless single tests were asked for.
    """
    seen: dict[str, set[str]] = {}
    named: dict[str, tuple[str, ...]] = {}
    for item in items:
        mark = item.get_closest_marker("on_push")
        if mark is None:
            continue
        module, own = item.nodeid.split("::")[0], {item.name, item.name.partition("[")[0]}
        named[module] = mark.args
        seen.setdefault(module, set()).update(own)
        if not own & set(mark.args):
            item.add_marker(pytest.mark.nightly)
    wrong = [f"{module}: {name}" for module in named for name in named[module] if name not in seen[module]]
    if wrong and not any("::" in argument for argument in config.args):
        raise pytest.UsageError(f"on_push names tests that do not exist: {', '.join(wrong)}")
