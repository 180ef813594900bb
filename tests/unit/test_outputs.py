"""Output files and limits: each wrong one gives a sentence before any work, and no file is lost."""

from pathlib import Path
from typing import Any

import pytest

from ilr_check import api, cli
from ilr_check.evidence import Manifest, RunFolder

PRECIOUS = "import torch\n"


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYPOTHESIS_STORAGE_DIRECTORY", str(tmp_path / ".hypothesis"))
    (tmp_path / "mine.py").write_text(PRECIOUS)
    (tmp_path / "link").symlink_to("mine.py")
    RunFolder.create(tmp_path / "run", Manifest())
    return tmp_path


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as stopped:
        cli.main(list(words))
    out, err = capsys.readouterr()
    assert (stopped.value.code, out) == (2, "")
    assert err.count("\n") == 1
    assert Path("mine.py").read_text() == PRECIOUS
    return err


@pytest.mark.parametrize(
    "words",
    [
        ["verify", "--out", ""],
        ["verify", "--resume", ""],
        ["report", ""],
        ["report", "run", "--out", ""],
        ["gate", "mine.py:O", "--out", ""],
        ["gate", "mine.py:O", "--json", ""],
        ["fingerprint", "mine.py:O", "--json", ""],
        ["symmetry", "--json", ""],
        ["bench", "--json", ""],
        ["bench", "--markdown", ""],
    ],
    ids=" ".join,
)
def test_an_empty_name_is_refused(capsys: pytest.CaptureFixture[str], place: Path, words: list[str]) -> None:
    before = sorted(place.rglob("*"))
    assert "'' names no file or folder; name one, or leave the option out." in refused(capsys, *words)
    assert sorted(place.rglob("*")) == before


@pytest.mark.parametrize("name", ["mine.py", "link"])
@pytest.mark.parametrize(
    "words",
    [
        ["report", "run", "--out"],
        ["gate", "mine.py:O", "--json"],
        ["gate", "mine.py:O", "--junit"],
        ["gate", "mine.py:O", "--sarif"],
        ["gate", "mine.py:O", "--summary"],
        ["gate", "mine.py:O", "--update-baseline", "--baseline"],
        ["fingerprint", "mine.py:O", "--json"],
        ["symmetry", "--json"],
        ["bench", "--json"],
        ["bench", "--figure"],
    ],
    ids=" ".join,
)
def test_a_file_of_somebody_else_is_refused(
    capsys: pytest.CaptureFixture[str], words: list[str], name: str
) -> None:
    assert "it exists, and this command did not make it" in refused(capsys, *words, name)
    assert Path("link").is_symlink()


@pytest.mark.parametrize(
    "words",
    [
        ["gate", "mine.py:O", "--json", "a", "--junit", "./a"],
        ["gate", "mine.py:O", "--json", "out/junit.xml", "--out", "out"],
        ["gate", "mine.py:O", "--json", "a", "--baseline", "a"],
        ["bench", "--json", "a", "--markdown", "a"],
    ],
    ids=" ".join,
)
def test_one_file_for_two_outputs_is_refused(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    assert "both name it); name two files" in refused(capsys, *words)


def test_a_report_can_be_written_again_and_over_others_by_force(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["report", "run"], ["report", "run"], ["report", "run", "--out", "mine.py", "--force"]):
        with pytest.raises(SystemExit) as stopped:
            cli.main(words)
        assert stopped.value.code == 0
    assert Path("mine.py").read_text("utf-8").lstrip().startswith("<!doctype html>")
    capsys.readouterr()


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("ILR_CHECK_THREADS", "100000", "at least 1 and at most 256"),
        ("ILR_CHECK_THREADS", "²", "must be a whole number of threads"),
        ("ILR_CHECK_JOBS", "65", "jobs=65 is out of range; give a whole number from 1 to 64"),
        ("ILR_CHECK_JOBS", "two", "'two' is not a valid integer"),
    ],
)
def test_limits_of_the_environment(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str, value: str, line: str
) -> None:
    monkeypatch.setenv(name, value)
    assert line in refused(capsys, "verify", "--claims", "norm-recursion", "--out", "new")
    assert not Path("new").exists()


def test_jobs_stand_in_the_settings_file(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "pyproject.toml").write_text("[tool.ilr_check]\njobs = 65\n")
    assert "jobs=65 is out of range" in refused(capsys, "verify", "--out", "new")


def test_a_resumed_run_plans_its_workers_from_its_own_claims(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings: dict[str, Any] = {"claims": "norm-recursion", "profile": "quick", "seed": 0, "device": "cpu"}
    RunFolder.create(place / "begun", Manifest(settings=settings))
    asked: list[int] = []

    def stop(jobs: int | None, claims: int, device: str) -> int:
        asked.append(claims)
        raise ValueError("far enough")

    monkeypatch.setattr("ilr_check.executors.named.checked_jobs", stop)
    with pytest.raises(ValueError, match="far enough"):
        api.verify(resume=place / "begun")
    assert asked == [1]


def test_a_run_that_planned_other_units_is_not_continued(place: Path) -> None:
    settings: dict[str, Any] = {"claims": "norm-recursion", "profile": "quick", "seed": 0, "device": "cpu"}
    RunFolder.create(place / "begun", Manifest(settings=settings, versions={"ilr-check": "0.0.1"}))
    with pytest.raises(ValueError, match=r"was begun by ilr-check 0\.0\.1, which planned other units"):
        api.verify(resume=place / "begun")
