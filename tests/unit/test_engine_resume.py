"""The engine on small made-up claims: interruption, resuming, and folders that are taken."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Future
from pathlib import Path
from typing import Any

import pytest
from invented_claims import UNITS, Invented, break_at, timeless

from ilr_check import engine
from ilr_check.claims.claim import Context
from ilr_check.engine import RunStarted
from ilr_check.evidence import RunFolder, RunFolderError
from ilr_check.planning import Settings


def test_an_interruption_keeps_what_was_finished(invented: Invented, tmp_path: Path) -> None:
    invented.before = break_at("first-claim 2", KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        engine.run(Settings(), out=tmp_path / "run")
    folder = RunFolder.open(tmp_path / "run")
    assert folder.manifest().status == "interrupted"
    assert [record.subject["i"] for record in folder.records()] == [0, 0, 1, 1]
    assert folder.manifest().budget["spent"]


@pytest.mark.parametrize("at", ["first-claim 0", "first-claim 2", "second-claim 2"])
def test_a_resumed_run_ends_as_an_uninterrupted_one(invented: Invented, tmp_path: Path, at: str) -> None:
    whole = engine.run(Settings(seed=8), out=tmp_path / "whole")
    planned = list(invented.judged)
    invented.before = break_at(at, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        engine.run(Settings(seed=8), out=tmp_path / "run")
    invented.judged.clear()
    invented.before = lambda title, context: None
    events: list[engine.Event] = []
    folder = engine.run(Settings(), resume=tmp_path / "run", listener=events.append)
    assert timeless(folder) == timeless(whole)
    assert invented.judged == planned[planned.index(at) :]
    assert isinstance(events[0], RunStarted)
    assert events[0].done == planned.index(at)
    assert folder.manifest().status == "complete"
    assert folder.manifest().budget == whole.manifest().budget


def test_resuming_a_half_written_unit_judges_it_again(invented: Invented, tmp_path: Path) -> None:
    whole = engine.run(Settings(), out=tmp_path / "run")
    expected = timeless(whole)
    path = whole.path / "verdicts.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:3]) + lines[3][:50])
    assert timeless(engine.run(Settings(), resume=whole.path)) == expected


def test_resuming_a_finished_run_changes_no_verdict(invented: Invented, tmp_path: Path) -> None:
    folder = engine.run(Settings(), out=tmp_path / "run")
    before = (folder.path / "verdicts.jsonl").read_bytes()
    invented.judged.clear()
    engine.run(Settings(), resume=folder.path)
    assert (folder.path / "verdicts.jsonl").read_bytes() == before
    assert invented.judged == []


def test_a_folder_that_holds_a_run_stops_the_engine_before_any_work(
    invented: Invented, tmp_path: Path
) -> None:
    engine.run(Settings(), out=tmp_path / "run")
    invented.judged.clear()
    with pytest.raises(RunFolderError, match="already holds a run"):
        engine.run(Settings(), out=tmp_path / "run")
    assert invented.judged == []


def test_the_default_folder_is_new_each_time(
    invented: Invented, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    one, two = (engine.run(Settings()) for _ in range(2))
    assert one.path != two.path
    assert {run.path.parent for run in (one, two)} == {Path("reports") / "runs"}


def test_a_killed_worker_is_one_sentence_and_what_was_finished_is_kept(
    invented: Invented, tmp_path: Path
) -> None:
    class Breaks:
        """The second unit's process is killed."""

        calls = 0

        def submit(self, fn: Callable[..., Any], /, *args: Any) -> Future[Any]:
            future: Future[Any] = Future()
            self.calls += 1
            if self.calls == 1:
                future.set_result(fn(*args))
            else:
                future.set_exception(BrokenExecutor("terminated abruptly"))
            return future

    with pytest.raises(RunFolderError, match=r"a worker process was killed.*--resume .*fewer --jobs"):
        engine.run(Settings(), out=tmp_path / "run", executor=Breaks())
    whole = timeless(engine.run(Settings(), out=tmp_path / "whole"))
    assert timeless(engine.run(Settings(), resume=tmp_path / "run")) == whole


def test_two_runs_at_once_have_one_owner(invented: Invented, tmp_path: Path) -> None:
    def second(title: str, context: Context) -> None:
        for how in ({"resume": tmp_path / "run"}, {"out": tmp_path / "run"}):
            with pytest.raises(RunFolderError, match="is in use by process"):
                engine.run(Settings(), **how)  # type: ignore[arg-type]

    invented.before = second
    assert len(engine.run(Settings(), out=tmp_path / "run").records()) == 4 * UNITS


def test_an_interrupt_that_comes_out_as_an_error_is_no_verdict(invented: Invented, tmp_path: Path) -> None:
    interrupted: list[str] = []

    def swallowed(title: str, context: Context) -> None:
        if title == "first-claim 1" and not interrupted:
            interrupted.append(title)
            raise RuntimeError("what foreign code makes of KeyboardInterrupt")

    def listen(event: engine.Event) -> None:
        if interrupted:
            raise KeyboardInterrupt

    invented.before = swallowed
    with pytest.raises(KeyboardInterrupt):
        engine.run(Settings(), out=tmp_path / "run", listener=listen)
    assert {record.verdict for record in RunFolder.open(tmp_path / "run").records()} == {"holds"}
    assert len(engine.run(Settings(), resume=tmp_path / "run").records()) == 4 * UNITS
