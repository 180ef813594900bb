"""The profile ``paper``: the recipe's numbers, and the whole path on tiny files of CIFAR's format."""

import re
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch

from ilr_check import api, cli, engine, planning
from ilr_check.claims import catalogue, pricing
from ilr_check.claims.claim import Unit, Workload
from ilr_check.claims.function_space import equilibrium_forgets, larger_data
from ilr_check.claims.settings import full_size
from ilr_check.data import Cifar10EpochsSpec, cifar
from ilr_check.evidence import Record, RunFolder
from ilr_check.nets.specs import PreResNetSpec
from ilr_check.train.choice import footprint
from ilr_check.train.fleet import Fleet, Runs

CLAIMS = "norm-recursion,larger-data,equilibrium-forgets"
PER_FILE = 4
TINY = full_size.Recipe(
    net=PreResNetSpec(image=(3, 32, 32), widths=(2, 3), blocks=1, classes=10),
    per_file=PER_FILE,
    batch_size=10,
    drops=(1, 2, 3),
    equal_from=3,
    flow_from=4,
    end=5,
)
FULL = full_size.Recipe()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a few images in each file of the binary distribution, named to the project."""
    home = tmp_path / "cifar"
    home.mkdir()
    rng = np.random.default_rng(0)
    for name in (name for names in cifar.NAMES.values() for name in names):
        labels = rng.integers(10, size=(PER_FILE, 1), dtype=np.uint8)
        pixels = rng.integers(256, size=(PER_FILE, cifar.PIXELS), dtype=np.uint8)
        (home / f"{name}.bin").write_bytes(np.hstack([labels, pixels]).tobytes())
    monkeypatch.setenv(cifar.VARIABLE, str(home))
    monkeypatch.chdir(tmp_path)
    return home


@pytest.fixture
def tiny(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same recipe on a narrow net for a few steps, and of all units only those that have a price."""
    whole = planning.plan

    def full_size_only(settings: planning.Settings, *world: object) -> tuple[object, ...]:
        claims, works, budget = whole(settings, *world)  # type: ignore[arg-type]
        priced = (w for w in works if w.unit.workload and isinstance(w.unit.workload.net, PreResNetSpec))
        return claims, tuple(priced), budget

    monkeypatch.setattr(full_size, "RECIPE", TINY)
    monkeypatch.setattr(engine, "plan", full_size_only)
    return folder


def full_size_units(claim: str) -> dict[str, Unit]:
    return {u.title.partition(": ")[2]: u for u in catalogue()[claim].plan("paper", 0) if u.workload}


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("claim", catalogue())
def test_paper_is_standard_and_more(claim: str) -> None:
    standard, paper = (catalogue()[claim].plan(profile, 0) for profile in ("standard", "paper"))
    assert [unit for unit in paper if unit.workload is None] == list(standard)


@pytest.mark.usefixtures("folder")
def test_the_recipe_has_the_papers_numbers() -> None:
    """lr 0.8, divided by 10 at epochs 80 and 120 of 160, each of 390 whole batches of 128."""
    course = larger_data.courses("paper", 0)[-1]
    lr = course.schedule()
    assert (len(lr), course.weight_decay, course.batch_size) == (62_400, 5e-4, 128)
    changes = np.flatnonzero(np.diff(lr)) + 1
    assert changes.tolist() == [80 * 390, 120 * 390]
    assert lr[[0, changes[0], changes[1]]] == pytest.approx([0.8, 0.08, 0.008])
    assert course.data == Cifar10EpochsSpec(folder=str(cifar.named_folder()))
    assert course.net == FULL.net


@pytest.mark.usefixtures("folder")
def test_five_schedules_are_equal_from_epoch_500_and_flow_from_1000() -> None:
    contest = equilibrium_forgets.contests("paper", 3)[-1]
    schedules = [contest.reference, *contest.others]
    columns = np.array([course.settings() for course in schedules])
    early, flow = 500 * 390, 1000 * 390
    assert columns.shape == (5, 2, 1050 * 390)
    assert len(np.unique(columns[:, 0, 0])) == 5
    assert np.all(columns[:, :, early:] == columns[:1, :, early:])
    assert np.all(columns[:, 0, early:flow] * columns[:, 1, early:flow] == 0.8 * 5e-4)
    assert np.all(columns[:, 1, flow:] == 0.0)
    lr, decay = contest.control.settings()
    assert lr[0] * decay[0] == pytest.approx(4 * 0.8 * 5e-4)
    again, other = (equilibrium_forgets.contests("paper", seed)[-1] for seed in (3, 4))
    assert again == contest
    assert other.others != contest.others


@pytest.mark.usefixtures("folder")
def test_run_steps_are_counted_before_anything_is_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    """By hand: judged runs and noise references, 32 each and 64 at most; six populations of 32; thrice an
    epoch."""
    monkeypatch.setattr(pricing, "_measured", lambda load, device: (2.0, 4, 0))
    units = [u for claim in CLAIMS.split(",") for u in full_size_units(claim).values()]
    found = {p.title.partition(": ")[2]: p for p in pricing.prices(units, "cpu")}
    recipe = found["CIFAR-10, PreResNet-32 with the paper's recipe"]
    assert (recipe.run_steps, recipe.most_run_steps) == (2 * 32 * 62_400, 2 * 64 * 62_400)
    assert recipe.hours == pytest.approx(2 * 32 * 62_400 * 2.0 / 3600)
    assert recipe.host_bytes == 2 * 64 * 62_400 * 6 * 34 * 8 * pricing.HOST_COPIES
    figure = found["PreResNet-32 on CIFAR-10, five schedules, then flow"]
    assert (figure.run_steps, figure.host_bytes) == (6 * 32 * 1050 * 390, 0)
    assert found["PreResNet-32 on CIFAR-10"].run_steps == 3 * 390
    with pytest.raises(
        ValueError, match=r"would take 1\.92e\+03 days on this CPU, most of it 'equilibrium-f"
    ):
        pricing.check_affordable(found.values())


@pytest.mark.parametrize(
    ("short", "long", "expected"),
    [(1.2, 2.2, 1.0), (0.1, 4.0, 2.0), (5.0, 4.0, 1.0)],
    ids=["what is paid once is left out", "a disturbed short one", "a disturbed long one"],
)
def test_other_work_on_the_machine_does_not_make_a_price_absurd(
    folder: Path, monkeypatch: pytest.MonkeyPatch, short: float, long: float, expected: float
) -> None:
    data = Cifar10EpochsSpec(folder=str(folder), per_file=PER_FILE)
    load = Workload(net=TINY.net, data=data, batch_size=10, steps=10, runs=1, most_runs=1)
    monkeypatch.setattr(pricing, "_seconds", lambda fleet, runs, steps, load: {1: short, 2: long}[steps])
    assert pricing._measured(load, "cpu")[0] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("hours", "words"), [(1e-4, "0.36 s"), (0.5, "30 min"), (2.5, "2.5 h"), (240.0, "10 days")]
)
def test_a_duration_is_told_in_its_unit(hours: float, words: str) -> None:
    assert pricing.duration(hours) == words


def test_the_full_net_takes_a_step_on_the_format(folder: Path) -> None:
    data = Cifar10EpochsSpec(folder=str(folder), per_file=PER_FILE)
    fleet = Fleet(FULL.net, data, batch_size=16, lanes=1, compile=False)
    # Of its own rows: those of the real set are 586 MiB, twice what a batch of 128 keeps.
    assert fleet.footprint == footprint(fleet.module, torch.zeros(16, cifar.PIXELS), 0)
    trace = fleet.train(Runs(seeds=[1], lr=0.8, weight_decay=5e-4, initial_norm=FULL.initial_norm), 1)
    assert trace.first_bad.tolist() == [-1]
    kicked = trace.norm2 * (1 - 0.8 * 5e-4) ** 2 + 0.8**2 * trace.grad2
    assert np.allclose(trace.next_norm2, kicked - 2 * 0.8 * (1 - 0.8 * 5e-4) * trace.radial, rtol=1e-5)


def verify(folder: Path, *more: str) -> int:
    return cli._run(["verify", "--profile", "paper", "--claims", CLAIMS, "--device", "cpu", *more])


def test_the_whole_path_on_tiny_files(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = verify(tiny, "--out", "run", "--jobs", "1", "--allow-inconclusive")
    lines = capsys.readouterr().out.splitlines()
    told = [line for line in lines if line.startswith("predicted: ")]
    assert lines[: len(told)] == told
    assert len(told) == 4
    price = (
        r"predicted: .+: \S+ run-steps at \S+ ms \(cpu, \d+ at once\): .+; memory \S+ GiB to train, \S+ GiB"
    )
    assert [line for line in told[:-1] if not re.match(price, line)] == []
    assert "An interrupted unit starts from its beginning." in told[-1]
    records = RunFolder.open(Path("run")).records()
    words = {(record.claim, record.form, record.verdict) for record in records}
    # In so few steps nothing is forgotten, which must be seen, and no unit may end in an error.
    assert code in (0, 1), words
    assert "error" not in {record.verdict for record in records}
    assert ("norm-recursion", "exact", "holds") in words
    assert ("larger-data", "identity", "holds") in words
    judged = {r.group for r in records if r.claim == "equilibrium-forgets"}
    assert judged == {
        f"schedule {k}: {q}" for k in (2, 3, 4, 5) for q in ("log effective lr", "earlier loss")
    }
    assert all(r.n_runs for r in records)


def test_what_is_resumed_is_predicted_without_what_is_done(
    tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    claims = "norm-recursion,larger-data"

    def stop(event: engine.Event) -> None:
        if isinstance(event, engine.UnitFinished):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        api.verify(profile="paper", claims=claims, device="cpu", out="begun", listener=stop)
    left = api.predict(resume="begun")
    assert [price.title.partition(":")[0] for price in left.prices] == ["larger-data"]
    resumed = api.verify(resume="begun").records
    whole = api.verify(profile="paper", claims=claims, device="cpu", out="whole").records

    def timeless(record: Record) -> Record:
        return msgspec.structs.replace(record, seconds=0.0)

    assert [timeless(r) for r in resumed] == [timeless(r) for r in whole]


def test_a_cpu_that_would_need_days_is_refused_after_the_prediction(
    tiny: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pricing, "CPU_HOURS", 1e-6)
    assert verify(tiny, "--out", "run") == 2
    said = capsys.readouterr()
    assert said.out.count("predicted: ") == 4
    assert "on this CPU" in said.err
    assert not Path("run").exists()
    assert verify(tiny, "--dry-run") == 0
    assert capsys.readouterr().out.count("predicted: ") == 4
    assert not Path("run").exists()


def test_without_a_folder_paper_says_how_to_name_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(cifar.VARIABLE, raising=False)
    assert cli._run(["verify", "--profile", "paper"]) == 2
    assert f"name its folder with --cifar10 or {cifar.VARIABLE}" in capsys.readouterr().err


def test_a_damaged_file_is_named_before_anything_is_begun(
    tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tiny / "test_batch.bin"
    path.write_bytes(path.read_bytes()[:-1])
    assert verify(tiny, "--out", "run") == 2
    assert "test_batch.bin has 12291 bytes and not 12292" in capsys.readouterr().err
    assert not Path("run").exists()
