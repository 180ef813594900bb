"""The engine on small made-up claims: what runs in other processes, and with how many threads."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from invented_claims import Invented, timeless, use

from ilr_check import engine, planning
from ilr_check.engine import UnitFinished, UnitStarted
from ilr_check.planning import Settings


def test_an_executor_gives_the_same_records_in_the_same_order(invented: Invented, tmp_path: Path) -> None:
    here = engine.run(Settings(), out=tmp_path / "here")
    with ThreadPoolExecutor(3) as pool:
        there = engine.run(Settings(), out=tmp_path / "there", executor=pool)
    assert timeless(there) == timeless(here)


def test_units_whose_numbers_depend_on_threads_stay_here(
    invented: Invented, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any) -> Any:
        raise AssertionError("the invented claims are statistical, and fleets have 2 threads here")

    monkeypatch.setenv("ILR_CHECK_THREADS", "2")
    with ThreadPoolExecutor(1) as pool:
        pool.submit = refuse  # type: ignore[method-assign]
        there = engine.run(Settings(), out=tmp_path / "there", shared_executor=pool)
    assert timeless(there) == timeless(engine.run(Settings(), out=tmp_path / "here"))


@pytest.mark.parametrize(("device", "threads"), [("cpu", "1"), ("cuda", "2")])
def test_units_whose_numbers_do_not_depend_on_the_process_are_shared(
    invented: Invented, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str, threads: str
) -> None:
    monkeypatch.setenv("ILR_CHECK_THREADS", threads)
    given: list[str] = []
    # One thread: what is switched on for a GPU is switched on for the whole process.
    with ThreadPoolExecutor(1) as pool:
        submit = pool.submit

        def counted(fn: Callable[..., Any], /, *args: Any) -> Any:
            given.append(args[-1].key)
            return submit(fn, *args)

        pool.submit = counted  # type: ignore[method-assign,assignment]
        there = engine.run(Settings(device=device), out=tmp_path / "there", shared_executor=pool)
    assert given == [unit.key for unit in there.manifest().units]


def test_a_finished_unit_is_kept_while_an_earlier_one_still_runs(invented: Invented, tmp_path: Path) -> None:
    class Backwards:
        """Ends its work in the opposite order, each piece when the one after it is on the disk."""

        def __init__(self) -> None:
            self.waiting: list[tuple[Future[Any], Any]] = []

        def submit(self, fn: Callable[..., Any], /, *args: Any) -> Future[Any]:
            self.waiting.append((Future(), lambda: fn(*args)))
            return self.waiting[-1][0]

        def end_one(self) -> None:
            future, work = self.waiting.pop()
            future.set_result(work())

    pool, seen = Backwards(), []

    def listen(event: engine.Event) -> None:
        if isinstance(event, UnitStarted) and pool.waiting:
            pool.end_one()
        if isinstance(event, UnitFinished):
            seen.append(event.records[0].unit)

    folder = engine.run(Settings(), out=tmp_path / "run", executor=pool, listener=listen)
    planned = [unit.key for unit in folder.manifest().units]
    assert sorted(seen) == sorted(planned)
    assert seen[0] == planned[-1]
    assert list(dict.fromkeys(record.unit for record in folder.records())) == planned


def test_work_is_plain_values(invented: Invented) -> None:
    _, works, _ = planning.plan(Settings())
    sent = msgspec.json.decode(msgspec.json.encode(works), type=tuple[planning.Work, ...])
    assert sent == works


@pytest.mark.parametrize(("kind", "count"), [("exact", 1), ("statistical", 2)])
def test_an_exact_claim_has_one_thread_wherever_it_is_judged(
    invented: Invented, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, count: int
) -> None:
    monkeypatch.setenv("ILR_CHECK_THREADS", "2")
    claim = invented.claim("first-claim")
    use(
        monkeypatch,
        {claim.id: dataclasses.replace(claim, text=msgspec.structs.replace(claim.text, kind=kind))},
    )
    found: list[int] = []
    invented.before = lambda title, context: found.append(torch.get_num_threads())
    engine.run(Settings(), out=tmp_path / "run")
    assert set(found) == {count}
