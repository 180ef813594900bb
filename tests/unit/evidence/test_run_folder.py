"""A run folder survives kills, refuses what it cannot use, and never overwrites."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from make_records import manifest, record

from ilr_check.evidence import Figure, RunFolder, RunFolderError, Series, atomic
from ilr_check.evidence.atomic import PARTIAL_SUFFIX
from ilr_check.evidence.records import SCHEMA_VERSION, encode
from ilr_check.evidence.run_folder import StorageError


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path / "deep" / "run", manifest())


def verdicts(folder: RunFolder) -> Path:
    return folder.path / "verdicts.jsonl"


def test_records_come_back_in_their_order(folder: RunFolder) -> None:
    folder.append([record("b.0", unit="b")])
    folder.append([record("a.0", unit_size=2), record("a.1", unit_size=2)])
    assert [r.id for r in RunFolder.open(folder.path).records()] == ["b.0", "a.0", "a.1"]


@pytest.mark.parametrize("held", ["manifest.json", "verdicts.jsonl"])
def test_a_folder_that_holds_a_run_is_refused_and_stays(tmp_path: Path, held: str) -> None:
    (tmp_path / held).write_bytes(b"precious")
    with pytest.raises(RunFolderError, match=r"already holds a run; choose another --out.*--resume"):
        RunFolder.create(tmp_path, manifest())
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {held: b"precious"}


def test_an_empty_folder_is_used(tmp_path: Path) -> None:
    assert RunFolder.create(tmp_path, manifest()).records() == ()


def test_a_path_that_cannot_be_made_is_named_with_the_mend(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(
        RunFolderError, match=r"cannot write to .*file/run .*choose a writable folder with --out"
    ):
        RunFolder.create(tmp_path / "file" / "run", manifest())
    assert (tmp_path / "file").read_text() == "x"


@pytest.mark.parametrize("cut", [1, 20, -1], ids=["one byte", "some", "all but the newline"])
def test_a_half_written_last_line_is_dropped(folder: RunFolder, cut: int) -> None:
    folder.append([record("a.0")])
    with verdicts(folder).open("ab") as stream:
        stream.write((encode(record("b.0", unit="b")) + b"\n")[:cut])
    assert [r.id for r in RunFolder.open(folder.path).records()] == ["a.0"]
    assert [r.id for r in folder.repair()] == ["a.0"]
    assert verdicts(folder).read_bytes() == encode(record("a.0")) + b"\n"


def test_a_half_written_unit_is_dropped_on_repair(folder: RunFolder) -> None:
    folder.append([record("a.0")])
    folder.append([record("b.0", unit="b", unit_size=3), record("b.1", unit="b", unit_size=3)])
    assert [r.id for r in folder.records()] == ["a.0"]
    folder.repair()
    assert verdicts(folder).read_bytes() == encode(record("a.0")) + b"\n"
    folder.append([record("c.0", unit="c")])
    assert [r.id for r in folder.records()] == ["a.0", "c.0"]


@pytest.mark.parametrize(
    "line", [b"{}", b'{"id": 3', b"\xff\xfe", b""], ids=["fields gone", "cut", "not text", "empty"]
)
def test_a_damaged_middle_line_is_an_error_that_names_it(folder: RunFolder, line: bytes) -> None:
    folder.append([record("a.0")])
    with verdicts(folder).open("ab") as stream:
        stream.write(line + b"\n" + encode(record("b.0", unit="b")) + b"\n")
    with pytest.raises(RunFolderError, match=r"verdicts\.jsonl is damaged in line 2"):
        RunFolder.open(folder.path)


def test_a_newer_schema_is_refused(folder: RunFolder) -> None:
    folder.write_manifest(manifest(schema=SCHEMA_VERSION + 1))
    with pytest.raises(RunFolderError, match=rf"has schema {SCHEMA_VERSION + 1}.*upgrade ilr-check"):
        RunFolder.open(folder.path)


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", '{"tool": "x"}', '{"schema": "one"}', '{"schema": 1, "claims": 5}', '{"schema": null}'],
)
def test_a_damaged_manifest_is_named(folder: RunFolder, content: str) -> None:
    (folder.path / "manifest.json").write_text(content)
    with pytest.raises(RunFolderError, match=r"manifest\.json is damaged"):
        RunFolder.open(folder.path)


def test_a_manifest_that_is_not_text_is_named(folder: RunFolder) -> None:
    (folder.path / "manifest.json").write_bytes(b'{"schema": 1, "tool": "\xff"}')
    with pytest.raises(RunFolderError, match=r"manifest\.json is damaged"):
        RunFolder.open(folder.path)


def test_a_folder_without_a_manifest_is_no_run_folder(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match=r"is not a run folder \(no readable manifest\.json\)"):
        RunFolder.open(tmp_path / "absent")


def test_a_run_folder_without_verdicts_is_named(folder: RunFolder) -> None:
    verdicts(folder).unlink()
    with pytest.raises(RunFolderError, match=r"no readable verdicts\.jsonl"):
        RunFolder.open(folder.path)


def test_the_manifest_is_replaced_in_one_step(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (folder.path / "manifest.json").read_bytes()

    def full_disk(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full_disk)
        with pytest.raises(OSError, match="No space left"):
            folder.write_manifest(manifest(status="complete"))
    assert (folder.path / "manifest.json").read_bytes() == before
    folder.write_manifest(manifest(status="complete"))
    assert folder.manifest().status == "complete"
    assert json.loads((folder.path / "manifest.json").read_text())["schema"] == SCHEMA_VERSION


def test_figures_are_found_by_name_and_a_damaged_one_is_named(folder: RunFolder) -> None:
    series = Series(name="s", kind="histogram", role="measured", y=np.ones(3))
    folder.save_figure(Figure(name="f", title="", x_label="", y_label="", series=(series,)))
    assert list(folder.figures()) == ["f"]
    (folder.path / "traces" / "g.npz").write_bytes(b"junk")
    with pytest.raises(RunFolderError, match=r"g\.npz is not a readable figure.*remove the file"):
        folder.figures()


def test_a_kill_before_the_manifest_leaves_a_folder_that_can_be_used(tmp_path: Path) -> None:
    (tmp_path / "run" / "traces").mkdir(parents=True)
    (tmp_path / "run" / "verdicts.jsonl").touch()
    assert RunFolder.create(tmp_path / "run", manifest()).records() == ()


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_kill_beside_the_manifest_leaves_a_folder_that_can_be_used_or_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    real = atomic.replace

    def killed(path: Path, data: bytes) -> None:
        if when == "after":
            real(path, data)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(atomic, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            RunFolder.create(tmp_path / "run", manifest())
    if when == "before":
        RunFolder.create(tmp_path / "run", manifest())
    assert RunFolder.open(tmp_path / "run").repair() == ()


@pytest.mark.parametrize("name", ["report.html", "traces/mine.npz"])
def test_a_file_of_somebody_else_with_our_name_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "traces").mkdir()
    (tmp_path / name).write_text("precious")
    with pytest.raises(RunFolderError, match="which no run made; choose another --out"):
        RunFolder.create(tmp_path, manifest())
    assert (tmp_path / name).read_text() == "precious"
    assert not (tmp_path / "manifest.json").exists()


@pytest.mark.parametrize("name", ["manifest.json", "verdicts.jsonl", "traces", "traces/f.npz"])
@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_a_link_or_a_pipe_in_a_run_folder_is_neither_read_nor_written(
    folder: RunFolder, tmp_path: Path, name: str, kind: str
) -> None:
    path, elsewhere = folder.path / name, tmp_path / "elsewhere"
    if path.is_dir():
        path.rmdir()
        elsewhere.mkdir()
    elif path.exists():
        path.rename(elsewhere)
    else:
        elsewhere.write_bytes(b"")
    before = [elsewhere.read_bytes()] if elsewhere.is_file() else list(elsewhere.iterdir())
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(elsewhere)
    figure = Figure(name="f", title="", x_label="", y_label="", series=())
    with pytest.raises(RunFolderError):  # noqa: PT012
        opened = RunFolder.open(folder.path)
        opened.figures()
        opened.save_figure(figure)
    after = [elsewhere.read_bytes()] if elsewhere.is_file() else list(elsewhere.iterdir())
    assert after == before


def test_a_full_disk_is_one_sentence_with_the_path_and_the_fix(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    words = r"cannot write .*(verdicts|manifest).* \(No space left on device\); free some space.*--resume"
    with pytest.raises(StorageError, match=words):
        folder.append([record("a.0")])
    with pytest.raises(StorageError, match=words):
        folder.write_manifest(manifest())


def test_what_a_killed_process_was_writing_is_removed_on_repair(folder: RunFolder) -> None:
    for place in (folder.path, folder.path / "traces"):
        (place / f".0123{PARTIAL_SUFFIX}").write_bytes(b"half")
    folder.repair()
    assert list(folder.path.rglob(f"*{PARTIAL_SUFFIX}")) == []


def test_a_unit_that_ended_in_an_error_is_judged_again(folder: RunFolder) -> None:
    folder.append([record("a.0")])
    folder.append(
        [record("b.0", unit="b", unit_size=2), record("b.1", unit="b", unit_size=2, verdict="error")]
    )
    assert [r.id for r in folder.repair()] == ["a.0"]
    assert [r.id for r in RunFolder.open(folder.path).records()] == ["a.0"]
