"""One process at a time works on a run folder, and the kernel frees what a killed owner held."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ilr_check.evidence.lock import InUseError, locked

HOLD = """
import sys, time
from pathlib import Path
from ilr_check.evidence.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def owner(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_the_second_one_is_told_who_has_it_and_gets_it_when_the_owner_is_killed(tmp_path: Path) -> None:
    with owner(tmp_path) as process:
        try:
            with (
                pytest.raises(InUseError, match=rf"is in use by process {process.pid} on .*wait until"),
                locked(tmp_path),
            ):
                raise AssertionError("two owners")
        finally:
            process.send_signal(signal.SIGKILL)
    with locked(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_the_second_one_in_the_same_process_is_refused_too(tmp_path: Path) -> None:
    with locked(tmp_path):
        with pytest.raises(InUseError), locked(tmp_path):
            raise AssertionError("two owners")
        with pytest.raises(InUseError), locked(tmp_path):
            raise AssertionError("the refusal freed the lock")


def test_a_link_in_the_place_of_the_lock_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("precious")
    (tmp_path / ".lock").symlink_to("precious")
    with pytest.raises(OSError, match="symbolic links"), locked(tmp_path):
        raise AssertionError("followed")
    assert (tmp_path / "precious").read_text() == "precious"


def test_one_of_many_at_once_gets_it(tmp_path: Path) -> None:
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom ilr_check.evidence.lock import InUseError, locked\n"
        "try:\n"
        "    with locked(Path(sys.argv[1])):\n"
        "        (Path(sys.argv[1]) / 'owner').open('x').close()\n"
        "        time.sleep(0.02)\n"
        "        (Path(sys.argv[1]) / 'owner').unlink()\n"
        "except InUseError:\n    sys.exit(7)\n"
    )
    many = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) for _ in range(10)]
    codes = [process.wait() for process in many]
    assert set(codes) <= {0, 7}
    assert 0 in codes


def test_a_full_disk_takes_the_name_of_the_owner_and_not_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.write", full)
    with locked(tmp_path), pytest.raises(InUseError, match="in use by another process"), locked(tmp_path):
        raise AssertionError("two owners")
