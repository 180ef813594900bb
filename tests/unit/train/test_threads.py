"""Thread counts are set and restored, and parallel processes share the cores."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

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


@pytest.mark.parametrize(
    ("cores", "workers", "count"), [(16, 1, 8), (16, 2, 4), (2, 1, 1), (2, 2, 1), (1, 1, 1), (64, 32, 1)]
)
def test_the_pools_of_all_workers_together_leave_half_of_the_cores(
    monkeypatch: pytest.MonkeyPatch, cores: int, workers: int, count: int
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(cores)), raising=False)
    monkeypatch.setenv("PYTEST_XDIST_WORKER_COUNT", str(workers))
    assert thread_count() == count
    assert count == 1 or count * workers <= cores // 2


def counts_of_a_worker() -> tuple[int, int]:
    """In a process of a pool: the count that is chosen, and what torch then has."""
    with threads() as count:
        return count, torch.get_num_threads()


def test_a_process_of_a_pool_takes_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert pool.submit(counts_of_a_worker).result(timeout=120) == (1, 1)


def test_a_pool_takes_what_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "2")
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert pool.submit(counts_of_a_worker).result(timeout=120) == (2, 2)
