"""Executors: the same values from each, a worker that dies is replaced, and one sentence for what is wrong.

The work of most tests is a built-in function, so that no worker has to import torch.
"""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from ilr_check.executors import Dispatch, Executor, ExecutorError, WorkerError, WorkersKilled, named, opened
from ilr_check.executors.away import Home, away

NAMED = [
    "processes:jobs=2",
    "dask:jobs=1",
    "submitit:jobs=1,cluster=local",
    pytest.param("ray:jobs=1", marks=pytest.mark.nightly),
]
DIE_ONCE = (
    "'done' if __import__('os').path.exists({0!r}) else (open({0!r}, 'x').close(), __import__('os')._exit(9))"
)


def need(text: str) -> None:
    name = text.partition(":")[0]
    package = named.PACKAGES.get(name)
    if package is not None and find_spec(package) is None:
        pytest.skip(f"needs {package}, the extra {name!r}")


@pytest.fixture(params=NAMED, scope="module")
def ready(request: pytest.FixtureRequest) -> Iterator[Executor]:
    need(request.param)
    with opened(request.param, None, 1, "cpu") as executor:
        assert executor is not None
        yield executor


def result(executor: Any, fn: Any, *args: Any) -> Any:
    dispatch = Dispatch()
    dispatch.send("the work", executor, fn, *args)
    return dispatch.receive()[1]


def test_work_is_done_by_another_process_with_one_thread(
    ready: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ILR_CHECK_THREADS", raising=False)
    asked = "(__import__('os').getpid(), __import__('os').environ['ILR_CHECK_THREADS'])"
    process, threads = result(ready, eval, asked)
    assert process != os.getpid()
    assert threads == "1"


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_worker_that_dies_is_replaced_and_its_work_is_done_again(ready: Executor, tmp_path: Path) -> None:
    assert result(ready, eval, DIE_ONCE.format(str(tmp_path / "died"))) == "done"
    assert (tmp_path / "died").exists()


def test_an_error_of_the_work_is_one_sentence_and_does_not_end_the_worker(ready: Executor) -> None:
    with pytest.raises(WorkerError, match=r"a worker could not do the work \(.*division by zero"):
        result(ready, eval, "1 / 0")
    assert result(ready, eval, "1 + 1") == 2


def test_work_that_always_kills_its_worker_is_given_up() -> None:
    with (
        opened("processes:jobs=2", None, 1, "cpu") as pool,
        pytest.raises(WorkersKilled, match="was killed 3 times at the work"),
    ):
        result(pool, os._exit, 9)


def test_a_dead_process_loses_its_own_work_alone() -> None:
    with opened("processes:jobs=2", None, 1, "cpu") as pool:
        assert pool is not None
        slow = pool.submit(time.sleep, 1.0)
        with pytest.raises(BrokenExecutor, match="was killed"):
            pool.submit(os._exit, 9).result()
        assert slow.result() is None


def test_an_idle_worker_ends_by_itself_and_gives_back_its_semaphores() -> None:
    # A worker that is killed leaves its semaphores to Python's tracker, which complains at the end.
    with opened("processes:jobs=2", None, 1, "cpu") as pool:
        assert pool is not None
        pid = pool.submit(os.getpid).result()
        (worker,) = [child for child in multiprocessing.active_children() if child.pid == pid]
    assert worker.exitcode == 0


def test_other_versions_are_refused_before_the_work_is_done() -> None:
    elsewhere = Home({}, {"torch": "0.1", "numpy": Home.here().versions["numpy"]}, process=("elsewhere", 1))
    answer = away(elsewhere, os._exit, 9)
    assert answer.differing.startswith("torch ")
    assert answer.differing.endswith(" instead of 0.1")


def test_a_worker_elsewhere_keeps_its_own_folder_of_cifar10_and_names_its_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    home = Home({"ILR_CHECK_CIFAR10": "/home"}, {}, process=("elsewhere", 1))
    asked = "__import__('os').environ['ILR_CHECK_CIFAR10']"
    monkeypatch.delenv("ILR_CHECK_CIFAR10", raising=False)
    assert away(home, eval, asked).value == "/home"
    assert "ILR_CHECK_CIFAR10" not in os.environ
    monkeypatch.setenv("ILR_CHECK_CIFAR10", "/own")
    answer = away(home, eval, asked)
    assert answer.value == "/own"
    assert "(" in answer.machine


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "dusk",
            r"executor 'dusk' is not known; did you mean 'dask'\? known are processes, ray, dask, submitit",
        ),
        ("dusk:jobs=2", "did you mean 'dask'"),
        ("dask:adress=tcp://a:1", r"option 'adress' is not known; did you mean 'address'\?"),
        ("dask:4", "write options as dask:key=value"),
        ("dask:jobs=2,address=tcp://a:1", "has its own number of workers"),
        ("processes:jobs=many", "jobs=many must be a whole number"),
        ("processes:jobs=65", "jobs=65 is out of range"),
        ("missing.py:Pool", "there is no file missing.py"),
        ("os.path:join", r"cannot be made without arguments|has no submit\(fn, \*args\)"),
    ],
)
def test_a_name_that_cannot_be_used_is_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence), opened(text, None, 1, "cpu"):
        raise AssertionError("it was opened")


@pytest.mark.parametrize("name", ["ray", "dask", "submitit"])
def test_a_missing_package_names_its_extra(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(named, "find_spec", lambda package: None)
    sentence = rf"is not installed; install it with: pip install 'ilr-check\[{name}\]'"
    with pytest.raises(ExecutorError, match=sentence), opened(name, 1, 1, "cpu"):
        raise AssertionError("it was opened")


def test_a_target_is_called_and_shut_down(tmp_path: Path) -> None:
    (tmp_path / "pool.py").write_text(
        "from concurrent.futures import ThreadPoolExecutor\n"
        "class Pool(ThreadPoolExecutor):\n"
        "    ended = []\n"
        "    def shutdown(self, *args, **options):\n"
        "        self.ended.append(1)\n"
        "        super().shutdown(*args, **options)\n"
    )
    with opened(f"{tmp_path}/pool.py:Pool", None, 1, "cpu") as pool:
        assert result(pool, eval, "1 + 1") == 2
    assert type(pool).ended == [1]  # type: ignore[attr-defined]


class Asked:
    """A future like those of submitit: it does not tell when it is done."""

    def __init__(self, value: Any) -> None:
        self.value, self.times = value, 0

    def done(self) -> bool:
        self.times += 1
        return self.times > 1

    def result(self) -> Any:
        return self.value


class Gives:
    """An executor that does the work here, and gives what ``wrap`` makes of it."""

    def __init__(self, wrap: Any) -> None:
        self.wrap = wrap

    def submit(self, fn: Any, /, *args: Any) -> Any:
        return self.wrap(fn(*args))


def test_a_future_that_does_not_tell_is_asked() -> None:
    assert result(Gives(Asked), eval, "1 + 1") == 2


def test_an_executor_must_give_futures() -> None:
    with pytest.raises(
        ExecutorError, match=r"submit\(\) of the executor gave Answer; it must return a future"
    ):
        result(Gives(lambda value: value), eval, "1 + 1")


def command(out: Path, *options: str) -> list[str]:
    words = [sys.executable, "-m", "ilr_check", "verify", "--claims", "norm-recursion", "--out", str(out)]
    return [*words, *options]


def records(out: Path) -> list[dict[str, Any]]:
    lines = (out / "verdicts.jsonl").read_text(encoding="utf-8").splitlines()
    return sorted(({**json.loads(line), "seconds": 0.0} for line in lines), key=lambda found: found["id"])


REAL = ["processes:jobs=2", "dask:jobs=2", "ray:jobs=2", "submitit:jobs=2,cluster=local"]


def verified(out: Path, *options: str) -> list[dict[str, Any]]:
    environment = os.environ | {"ILR_CHECK_THREADS": "1"}
    ended = subprocess.run(command(out, *options), check=False, stdout=subprocess.DEVNULL, env=environment)
    assert ended.returncode == 0
    return records(out)


@pytest.fixture(scope="module")
def of_one_process(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    return verified(tmp_path_factory.mktemp("one") / "run", "--jobs", "1")


@pytest.mark.nightly
@pytest.mark.parametrize("text", REAL)
def test_each_executor_gives_the_records_of_one_process_bit_for_bit(
    text: str, of_one_process: list[dict[str, Any]], tmp_path: Path
) -> None:
    need(text)
    assert verified(tmp_path / "there", "--executor", text) == of_one_process


@pytest.mark.nightly
@pytest.mark.parametrize("text", REAL)
def test_an_interrupted_run_ends_with_the_command_that_continues(text: str, tmp_path: Path) -> None:
    need(text)
    run = subprocess.Popen(
        command(tmp_path / "run", "--executor", text),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert run.stdout is not None
    assert "judging" in run.stdout.readline()
    os.killpg(run.pid, signal.SIGINT)
    _, told = run.communicate()
    assert run.returncode == 130
    assert f"--executor {text}" in told
