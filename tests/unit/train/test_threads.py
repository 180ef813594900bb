"""Thread counts are set and put back."""

import pytest
import torch

from ilr_check.train.threads import VARIABLE, thread_count, threads


def test_the_count_is_set_and_restored() -> None:
    before = torch.get_num_threads()
    with threads(2) as count:
        assert (count, torch.get_num_threads()) == (2, 2)
    assert torch.get_num_threads() == before


def stop() -> None:
    with threads(2):
        raise RuntimeError("stop")


def test_the_count_is_restored_after_an_error() -> None:
    before = torch.get_num_threads()
    with pytest.raises(RuntimeError, match="stop"):
        stop()
    assert torch.get_num_threads() == before


def test_the_variable_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "3")
    assert thread_count() == 3


@pytest.mark.parametrize("value", ["0", "-1", "two", "", "1.5"])
def test_a_bad_variable_is_named(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv(VARIABLE, value)
    with pytest.raises(ValueError, match=f"ILR_CHECK_THREADS='{value}' must be a whole number"):
        thread_count()


def test_workers_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(16)), raising=False)
    monkeypatch.setenv("PYTEST_XDIST_WORKER_COUNT", "4")
    assert thread_count() == 2
    monkeypatch.setenv("PYTEST_XDIST_WORKER_COUNT", "100")
    assert thread_count() == 1
