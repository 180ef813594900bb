"""The engine on small made-up claims: events, errors, budget, seeds."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from invented_claims import UNITS, Invented, break_at, text, timeless, use

from ilr_check import engine, planning
from ilr_check.claims.claim import Claim, Context, Judged, Profile
from ilr_check.claims.lab import Population
from ilr_check.data import TeacherStudentSpec
from ilr_check.engine import RunStarted, UnitFinished, UnitProgress, UnitStarted
from ilr_check.evidence import Record, RunFolder
from ilr_check.evidence.exit_codes import exit_code
from ilr_check.nets.specs import MLPSpec
from ilr_check.planning import Settings
from ilr_check.train.fleet import Fleet, Runs


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


def test_an_error_in_a_claim_is_a_verdict_and_the_run_goes_on(invented: Invented, tmp_path: Path) -> None:
    invented.before = break_at("first-claim 1", ZeroDivisionError("by nought"))
    folder = engine.run(Settings(), out=tmp_path / "run")
    records = folder.records()
    broken = [record for record in records if record.verdict == "error"]
    assert [record.group for record in broken] == ["first-claim 1"]
    assert broken[0].message.startswith("ZeroDivisionError: by nought (invented_claims.py:")
    assert len(records) == 4 * UNITS - 1
    assert folder.manifest().status == "complete"
    assert exit_code(records) == 2


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


@pytest.mark.usefixtures("invented")
def test_an_unknown_claim_stops_the_engine(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unknown claim 'third-claim'; did you mean"):
        engine.run(Settings(claims="third-claim"), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


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
