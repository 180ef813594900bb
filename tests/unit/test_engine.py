"""The engine on small made-up claims: events, errors, interruption, resuming, executors, budget, seeds."""

from __future__ import annotations

import dataclasses
import json
import re
import shlex
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch

from ilr_check import engine, planning
from ilr_check.claims.claim import Claim, Context, Finding, Judged, Profile, Unit
from ilr_check.claims.lab import Population
from ilr_check.data import TeacherStudentSpec
from ilr_check.engine import RunStarted, UnitFinished, UnitProgress, UnitStarted
from ilr_check.evidence import ClaimText, Figure, Margin, Measured, Record, RunFolder, RunFolderError, Series
from ilr_check.evidence.exit_codes import exit_code
from ilr_check.nets.specs import MLPSpec
from ilr_check.planning import Settings
from ilr_check.train.fleet import Fleet, Runs

UNITS = 3


def text(name: str) -> ClaimText:
    return ClaimText(
        id=name,
        title="",
        statement="",
        equation="",
        source="",
        kind="statistical",
        chapter="exact",
        groups=("core",),
        rivals=("r",),
        meaning="",
    )


@dataclass
class Invented:
    """Return claims whose verdicts are a hash of their subject and seed, and the list of judged units."""

    judged: list[str] = field(default_factory=list)
    before: Callable[[str, Context], None] = lambda title, context: None
    false_fail: float = 1e-6

    def claim(self, name: str) -> Claim:
        def plan(profile: Profile, seed: int) -> tuple[Unit, ...]:
            return tuple(
                Unit(
                    claim=name,
                    title=f"{name} {i}",
                    subject={"claim": name, "i": i},
                    decisions=(f"{name} {i} d",),
                )
                for i in range(UNITS)
            )

        def judge(subject: dict[str, Any], context: Context) -> Judged:
            title = f"{subject['claim']} {subject['i']}"
            self.judged.append(title)
            self.before(title, context)
            context.progress(0.5)
            findings = tuple(self.finding(subject, context, number) for number in range(2))
            series = Series(name="s", kind="histogram", role="measured", y=np.ones(2))
            figure = Figure(name=title, title="", x_label="", y_label="", series=(series,))
            return Judged(findings, (figure,))

        return Claim(text=text(name), plan=plan, judge=judge)

    def finding(self, subject: dict[str, Any], context: Context, number: int) -> Finding:
        return Finding(
            form="exact",
            group=f"g{number}",
            subject=subject,
            verdict="holds",
            quantity="q",
            measured=Measured(value=float(context.seed % 1000)),
            expected=0.0,
            margin=Margin(low=-1.0, high=1.0),
            message=f"share {context.alpha(next(iter(context.alphas), '')):.3g}",
            false_fail=self.false_fail,
        )


@pytest.fixture
def invented(monkeypatch: pytest.MonkeyPatch) -> Invented:
    source = Invented()
    use(monkeypatch, {name: source.claim(name) for name in ("first-claim", "second-claim")})
    return source


def use(monkeypatch: pytest.MonkeyPatch, claims: dict[str, Claim]) -> None:
    for module in ("ilr_check.engine", "ilr_check.claims"):
        monkeypatch.setattr(f"{module}.catalogue", lambda: claims)


def timeless(folder: RunFolder) -> list[bytes]:
    """The records in their planned order, byte for byte, with the seconds set aside."""
    return [msgspec.json.encode(msgspec.structs.replace(record, seconds=0.0)) for record in folder.records()]


def test_events_come_in_their_order(invented: Invented, tmp_path: Path) -> None:
    events: list[engine.Event] = []
    folder = engine.run(Settings(), out=tmp_path / "run", listener=events.append)
    kinds = [type(event) for event in events]
    assert kinds == [RunStarted, *[UnitStarted, UnitProgress, UnitFinished] * (2 * UNITS)]
    assert isinstance(events[0], RunStarted)
    assert (events[0].total, events[0].done) == (2 * UNITS, 0)
    numbers = [event.number for event in events if isinstance(event, UnitStarted)]
    assert numbers == [1, 2, 3, 4, 5, 6]
    told = [record for event in events if isinstance(event, UnitFinished) for record in event.records]
    assert tuple(told) == folder.records()


def test_records_are_on_the_disk_when_they_are_told(invented: Invented, tmp_path: Path) -> None:
    seen: list[bool] = []

    def listen(event: engine.Event) -> None:
        if isinstance(event, UnitFinished):
            stored = RunFolder(tmp_path / "run").records()
            seen.append(stored[-len(event.records) :] == event.records)

    engine.run(Settings(), out=tmp_path / "run", listener=listen)
    assert seen == [True] * (2 * UNITS)


def test_a_finished_run_says_what_it_was(invented: Invented, tmp_path: Path) -> None:
    folder = engine.run(Settings(seed=3, profile="standard"), out=tmp_path / "run")
    manifest = folder.manifest()
    assert (manifest.status, manifest.seed, manifest.profile) == ("complete", 3, "standard")
    assert [unit.title for unit in manifest.units] == invented.judged
    assert [claim.id for claim in manifest.claims] == ["first-claim", "second-claim"]
    assert sorted(folder.figures()) == sorted(invented.judged)
    assert manifest.seconds > 0


def test_ids_are_unique_and_units_whole(invented: Invented, tmp_path: Path) -> None:
    records = engine.run(Settings(), out=tmp_path / "run").records()
    assert len({record.id for record in records}) == len(records) == 4 * UNITS
    assert {record.unit_size for record in records} == {2}
    specs = [json.loads(shlex.split(record.replay)[2]) for record in records]
    assert [spec["claim"] for spec in specs] == [record.claim for record in records]
    assert [spec["subject"] for spec in specs] == [record.subject for record in records]


def break_at(title: str, error: BaseException) -> Callable[[str, Context], None]:
    def check(now: str, context: Context) -> None:
        if now == title:
            raise error

    return check


def test_an_error_in_a_claim_is_a_verdict_and_the_run_goes_on(invented: Invented, tmp_path: Path) -> None:
    invented.before = break_at("first-claim 1", ZeroDivisionError("by nought"))
    folder = engine.run(Settings(), out=tmp_path / "run")
    records = folder.records()
    broken = [record for record in records if record.verdict == "error"]
    assert [record.group for record in broken] == ["first-claim 1"]
    assert broken[0].message.startswith("ZeroDivisionError: by nought (test_engine.py:")
    assert len(records) == 4 * UNITS - 1
    assert folder.manifest().status == "complete"
    assert exit_code(records) == 2


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


def test_the_same_seed_gives_the_same_records(invented: Invented, tmp_path: Path) -> None:
    one, two = (engine.run(Settings(seed=4), out=tmp_path / name) for name in ("one", "two"))
    assert timeless(one) == timeless(two)


def test_another_seed_gives_other_unit_seeds(invented: Invented) -> None:
    _, first, _ = planning.plan(Settings(seed=0))
    _, second, _ = planning.plan(Settings(seed=1))
    seeds = [{work.seed for work in works} for works in (first, second)]
    assert [len(s) for s in seeds] == [2 * UNITS, 2 * UNITS]
    assert seeds[0] & seeds[1] == set()


@pytest.mark.parametrize("claims", ["mean-field", "function-space", "all"])
@pytest.mark.parametrize("profile", ["quick", "standard"])
def test_every_profile_of_the_catalogue_has_a_budget_that_suffices(profile: Profile, claims: str) -> None:
    _, works, budget = planning.plan(Settings(profile=profile, claims=claims))
    alphas = [alpha for work in works for alpha in work.alphas.values()]
    assert sum(alphas) == pytest.approx(budget.total)
    assert min(alphas) >= 1e-5 * (1 - 1e-9)


def test_a_units_seed_does_not_depend_on_the_other_claims(invented: Invented) -> None:
    _, both, _ = planning.plan(Settings())
    _, alone, _ = planning.plan(Settings(claims="second-claim"))
    assert [work.seed for work in alone] == [work.seed for work in both[UNITS:]]


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


def test_the_budget_is_shared_spent_and_kept_in_the_manifest(invented: Invented, tmp_path: Path) -> None:
    budget = engine.run(Settings(), out=tmp_path / "run").manifest().budget
    assert len(budget["planned"]) == 2 * UNITS
    assert sum(budget["planned"].values()) == pytest.approx(1e-3)
    assert sorted(budget["spent"]) == sorted(budget["planned"])
    assert not budget["skipped"]


def test_a_unit_without_a_statistical_verdict_gives_its_share_back(
    invented: Invented, tmp_path: Path
) -> None:
    invented.false_fail = 0.0
    budget = engine.run(Settings(), out=tmp_path / "run").manifest().budget
    assert sorted(budget["skipped"]) == sorted(budget["planned"])
    assert not budget["spent"]


def test_each_unit_gets_its_own_share(invented: Invented) -> None:
    _, works, _ = planning.plan(Settings())
    assert [list(work.alphas) for work in works] == [list(work.unit.decisions) for work in works]


def test_a_folder_that_holds_a_run_stops_the_engine_before_any_work(
    invented: Invented, tmp_path: Path
) -> None:
    engine.run(Settings(), out=tmp_path / "run")
    invented.judged.clear()
    with pytest.raises(RunFolderError, match="already holds a run"):
        engine.run(Settings(), out=tmp_path / "run")
    assert invented.judged == []


@pytest.mark.usefixtures("invented")
def test_an_unknown_claim_stops_the_engine(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unknown claim 'third-claim'; did you mean"):
        engine.run(Settings(claims="third-claim"), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_default_folder_is_new_each_time(
    invented: Invented, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    one, two = (engine.run(Settings()) for _ in range(2))
    assert one.path != two.path
    assert {run.path.parent for run in (one, two)} == {Path("reports") / "runs"}


def diverging(subject: dict[str, Any], context: Context) -> Judged:
    data = TeacherStudentSpec(inputs=4, classes=2)
    net = MLPSpec(inputs=4, widths=(4,), classes=2)
    fleet = Fleet(net, data, batch_size=8, lanes=4, compile=False)
    decay = np.array([0.0, 0.0, 1e30])

    def train(seeds: Any) -> Any:
        return fleet.train(Runs(seeds=seeds, lr=0.1, weight_decay=decay), 5)

    Population("judged", context.seed, train).take(3)
    raise AssertionError("a diverged run went unnoticed")


def test_a_diverged_run_is_an_error_that_names_run_seed_and_step(
    invented: Invented, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = invented.claim("first-claim").plan
    use(monkeypatch, {"first-claim": Claim(text=text("first-claim"), plan=plan, judge=diverging)})
    records: tuple[Record, ...] = engine.run(Settings(), out=tmp_path / "run").records()
    assert [record.verdict for record in records] == ["error"] * UNITS
    pattern = r"RunDiverged: run 2 of the judged population \(seed \d+\) is not finite from step 0 on"
    assert all(re.match(pattern, record.message) for record in records)


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
