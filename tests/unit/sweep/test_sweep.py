"""A sweep of a small net: it resumes to the same lines, a run does not depend on the others, and its numbers
are those of the theory where the theory holds."""

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from ilr_check import cli
from ilr_check.data import TeacherStudentSpec
from ilr_check.nets.specs import MLPSpec
from ilr_check.sweep.drawing import drawn
from ilr_check.sweep.folder import MAP, RUNS, SweepFolder
from ilr_check.sweep.spec import Axis, SweepSpec
from ilr_check.sweep.training import Trainer

DATA = '{"kind": "teacher-student", "inputs": 4, "classes": 3, "examples": 32}'


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        cli.main(["sweep", *words])
    return int(ended.value.code or 0)


def begin(out: Path, grid: str = "lr=0.1:1:9,weight_decay=1e-3:1e-2:8") -> int:
    return run("--grid", grid, "--net", "4", "--data", DATA, "--steps", "16", "--out", str(out))


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / RUNS).read_text().splitlines()]


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("sweep") / "out"
    assert begin(out) == 0
    return out


def test_every_run_has_a_line_and_the_map_shows_them(swept: Path) -> None:
    found = lines(swept)
    assert [line["run"] for line in found] == list(range(72))
    page = (swept / MAP).read_text()
    assert "72 of 72 runs of 16 steps; 0 diverged" in page
    assert page.count("<svg") == 5


@pytest.mark.parametrize("left", [0, 10, 64], ids=["nothing", "part of a chunk", "one chunk"])
def test_a_killed_sweep_resumes_to_the_same_lines(swept: Path, left: int, tmp_path: Path) -> None:
    out = tmp_path / "killed"
    out.mkdir()
    whole = (swept / RUNS).read_text().splitlines(keepends=True)
    (out / "sweep.json").write_bytes((swept / "sweep.json").read_bytes())
    (out / RUNS).write_text("".join(whole[:left]) + whole[left][:20])
    assert run("--resume", str(out)) == 0
    assert (out / RUNS).read_text() == "".join(whole)
    assert (out / MAP).read_text() == (swept / MAP).read_text()


def test_a_run_does_not_depend_on_the_runs_beside_it(swept: Path, tmp_path: Path) -> None:
    assert begin(tmp_path / "small", grid="lr=0.1:1:3,weight_decay=1e-3") == 0
    mine = {(p["lr"], p["weight_decay"]): {**p, "run": 0} for p in lines(tmp_path / "small")}
    theirs = {(p["lr"], p["weight_decay"]): {**p, "run": 0} for p in lines(swept)}
    assert len(mine) == 3
    assert mine == {place: theirs[place] for place in mine}


def trained(lr: float, weight_decay: float, steps: int) -> Any:
    spec = SweepSpec(
        lr=Axis(low=lr, high=lr, count=1),
        weight_decay=Axis(low=weight_decay, high=weight_decay, count=1),
        net=MLPSpec(inputs=4, widths=(8,), classes=3),
        data=TeacherStudentSpec(inputs=4, classes=3, examples=64, label_noise=0.5),
        batch_size=16,
        steps=steps,
        seed=0,
        device="cpu",
    )
    trainer = Trainer(spec)
    return trainer.train(trainer.chunks[0])[0]


def test_at_equilibrium_the_predictions_hold_and_before_it_they_do_not() -> None:
    # 4 lr wd steps = 80 time constants. A quarter of 2000 steps has 5 correlation times of |w|^4, so that the
    # mean of about ten independent values is within 20 %.
    settled = trained(2.0, 5e-3, 2000)
    assert np.allclose(settled.rotation, settled.predicted_rotation, rtol=0.2)
    assert np.allclose(settled.effective_lr, settled.predicted_effective_lr, rtol=0.2)
    # After a tenth of a time constant the norm is still that of the start.
    early = trained(2.0, 5e-5, 250)
    assert not np.allclose(early.rotation, early.predicted_rotation, rtol=0.5)


def test_a_diverged_run_has_no_numbers_and_an_empty_cell(tmp_path: Path) -> None:
    spec = ("--grid", "lr=1:1e6:2,weight_decay=1e-7", "--net", "4", "--data", DATA, "--steps", "16")
    assert run(*spec, "--out", str(tmp_path / "out")) == 0
    folder = SweepFolder(tmp_path / "out")
    points = folder.points()
    broken = msgspec.structs.replace(points[1], diverged_at=3, loss=None, rotation=None, effective_lr=None)
    page = drawn(folder.begun(), [points[0], broken])
    assert "2 of 2 runs of 16 steps; 1 diverged" in page
    assert "h1v1h-1z" in page
    assert "M1 0h1v1h-1z" not in page


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "name the runs with --grid and a new folder with --out, or continue with --resume"),
        (("--resume", "x", "--out", "y"), "--resume x has its own grid and folder; leave out --grid"),
        (("--resume", "absent"), "absent holds no sweep (no readable sweep.json)"),
    ],
)
def test_wrong_options_are_one_sentence(
    words: tuple[str, ...], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*words) == 2
    assert sentence in capsys.readouterr().err


def test_a_folder_that_holds_something_is_refused(swept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert begin(swept) == 2
    assert f"is not empty; choose another --out, or continue a sweep with --resume {swept}" in (
        capsys.readouterr().err
    )


def test_another_version_does_not_continue_a_sweep(
    swept: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begun = json.loads((swept / "sweep.json").read_text())
    begun["versions"]["torch"] = "0.1"
    (tmp_path / "sweep.json").write_text(json.dumps(begun))
    assert run("--resume", str(tmp_path)) == 2
    assert "was begun with torch 0.1, and this is " in capsys.readouterr().err


def test_a_net_that_does_not_fit_leaves_no_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net = '{"kind": "mlp", "inputs": 5, "widths": [4], "classes": 3}'
    words = ("--grid", "lr=0.1,weight_decay=1e-3", "--net", net, "--data", DATA)
    assert run(*words, "--out", str(tmp_path / "out")) == 2
    assert "the net has inputs=5" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
