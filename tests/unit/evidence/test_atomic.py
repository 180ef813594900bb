"""Output files: regular ones appear in one step, others are written to, and no file of the user is lost."""

import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from ilr_check.evidence import atomic
from ilr_check.evidence.atomic import UnwritableError
from ilr_check.evidence.marks import mark_of

OURS = b'{\n  "made_by": "ilr-check gate",\n  "target": "m:O"\n}\n'
NEWER = OURS.replace(b"m:O", b"m:P")
BASELINE = b'{\n "made_by": "ilr-check baseline",\n "target": "m:O"\n}\n'
THEIRS = b"import torch\n"


def test_a_new_file_appears_and_no_partial_file_stays(tmp_path: Path) -> None:
    atomic.write(tmp_path / "a.json", OURS)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a.json": OURS}


def test_a_link_is_followed_and_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.json").write_bytes(OURS)
    link = tmp_path / "link.json"
    link.symlink_to("real/a.json")
    atomic.write(link, NEWER)
    assert link.is_symlink()
    assert (tmp_path / "real" / "a.json").read_bytes() == NEWER


def test_a_link_to_nothing_yet_is_followed(tmp_path: Path) -> None:
    link = tmp_path / "link.json"
    link.symlink_to("a.json")
    atomic.write(link, OURS)
    assert link.is_symlink()
    assert (tmp_path / "a.json").read_bytes() == OURS


def read_beside(path: Path) -> Callable[[], bytes]:
    """Read a pipe in a thread. Call the result to get the bytes that were read."""
    found: list[bytes] = []
    reader = threading.Thread(target=lambda: found.append(path.read_bytes()), daemon=True)
    reader.start()

    def get() -> bytes:
        reader.join(10.0)
        return found[0]

    return get


@pytest.mark.parametrize("linked", [False, True], ids=["pipe", "link to a pipe"])
def test_a_named_pipe_is_written_to_and_stays_a_pipe(tmp_path: Path, linked: bool) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    path = pipe
    if linked:
        path = tmp_path / "link"
        path.symlink_to(pipe)
    atomic.demand_writable(path, "gate")  # and it must not open the pipe, or the reader would see its end
    get = read_beside(pipe)
    atomic.write(path, OURS)
    assert get() == OURS
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_an_open_descriptor_is_written_to(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as log:
        log.write(b"before\n")
        log.flush()
        atomic.write(Path(f"/dev/fd/{log.fileno()}"), OURS)
    assert (tmp_path / "log").read_bytes() == b"before\n" + OURS


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        (stat.S_IFCHR, "direct"),
        (stat.S_IFIFO, "direct"),
        (stat.S_IFREG, "regular"),
        (stat.S_IFBLK, "refused"),
        (stat.S_IFDIR, "refused"),
        (stat.S_IFSOCK, "refused"),
    ],
)
def test_the_kind_of_file_decides_how_it_is_written(mode: int, kind: str) -> None:
    assert atomic.way_to_write(mode) == kind


@pytest.mark.parametrize(
    "content", [THEIRS, BASELINE, b"\x00\xff", b" "], ids=["code", "baseline", "bytes", "x"]
)
def test_a_file_that_this_command_did_not_make_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "my.py"
    path.write_bytes(content)
    for act in (lambda: atomic.demand_writable(path, "gate"), lambda: atomic.write(path, OURS)):
        with pytest.raises(UnwritableError, match=r"my\.py \(it exists, .*name another file, or add --force"):
            act()
    assert path.read_bytes() == content
    atomic.demand_writable(path, "gate", force=True)
    atomic.write(path, OURS, force=True)
    assert path.read_bytes() == OURS
    assert [found.name for found in tmp_path.iterdir()] == ["my.py"]


def test_a_link_to_a_file_of_somebody_else_is_refused_too(tmp_path: Path) -> None:
    (tmp_path / "my.py").write_bytes(THEIRS)
    (tmp_path / "link.json").symlink_to("my.py")
    with pytest.raises(UnwritableError, match="it exists"):
        atomic.write(tmp_path / "link.json", OURS)
    assert (tmp_path / "my.py").read_bytes() == THEIRS


@pytest.mark.parametrize("before", [OURS, b""], ids=["ours", "empty"])
def test_an_earlier_output_and_an_empty_file_are_replaced(tmp_path: Path, before: bytes) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(before)
    path.chmod(0o640)
    atomic.demand_writable(path, "gate")
    atomic.write(path, NEWER)
    assert path.read_bytes() == NEWER
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_full_disk_keeps_the_old_file_and_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(OURS)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(UnwritableError, match=r"a\.json \(No space left on device\); free some space"):
        atomic.write(path, NEWER)
    assert {found.name: found.read_bytes() for found in tmp_path.iterdir()} == {"a.json": OURS}


def test_a_folder_and_an_absent_folder_are_refused(tmp_path: Path) -> None:
    for path, words in ((tmp_path, "folder"), (tmp_path / "no" / "a.json", "No such file or directory")):
        with pytest.raises(UnwritableError, match=words):
            atomic.demand_writable(path, "gate")
    assert list(tmp_path.iterdir()) == []


def test_one_file_for_two_outputs_is_refused(tmp_path: Path) -> None:
    one, two = tmp_path / "a.json", tmp_path / "b.json"
    link = tmp_path / "link.json"
    link.symlink_to("a.json")
    atomic.demand_distinct({"--json": one, "--sarif": two, "--junit": None})
    for other in (one, tmp_path / "x" / ".." / "a.json", link):
        with pytest.raises(UnwritableError, match=r"--json and --sarif both name .*; name two files"):
            atomic.demand_distinct({"--json": one, "--sarif": other})


def test_two_outputs_may_go_to_one_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    atomic.demand_distinct({"--json": tmp_path / "pipe", "--sarif": tmp_path / "pipe"})


@pytest.mark.parametrize(
    ("head", "mark"),
    [
        (OURS, "gate"),
        (BASELINE, "baseline"),
        (b'{"made_by":"ilr-check bench","rows":[]}', "bench"),
        (b'{"note": "see", "made_by": "ilr-check gate"}', None),
        (b"# ilr-check\nmade_by ilr-check gate\n", None),
        (b"", None),
    ],
)
def test_a_mark_stands_at_the_beginning(head: bytes, mark: str | None) -> None:
    assert mark_of(head) == mark
