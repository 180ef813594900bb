"""A disk that is full, and several processes in one folder."""

from __future__ import annotations

import contextlib
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import runs
from counts import Count
from small_claims import NAME, register


@contextlib.contextmanager
def small_disk(place: Path, kib: int) -> Iterator[Path | None]:
    """Mount a file system of this size, or yield ``None`` if this is not allowed here."""
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", str(place)]
    try:
        mounted = subprocess.run(words, capture_output=True, check=False).returncode == 0
    except OSError:
        mounted = False
    try:
        yield place if mounted else None
    finally:
        if mounted:
            subprocess.run(["umount", str(place)], check=True)


def fill_the_disk(count: Count, folder: Path, times: int, seed: int) -> None:
    """Run on disks of a random size that is too small, add space, resume, and compare."""
    draw = random.Random(seed)
    register()
    runs.run_here(["verify", "--claims", NAME, "--out", "whole"], folder)
    whole = runs.verdicts(folder / "whole")
    for number in range(times):
        with small_disk(folder / f"disk{number}", 8192) as disk:
            if disk is None:
                count.skipped = "no file system may be mounted here"
                return
            log = folder / f"disk{number}.log"
            room = draw.choice((0, 4, 12, 40, 60, 200, 1000))
            filler = disk / "filler"
            with contextlib.suppress(OSError), filler.open("wb") as stream:
                stream.write(b"x" * (8192 - room) * 1024)
            words = ["verify", "--claims", NAME, "--out", str(disk / "run")]
            code = runs.run(words, folder, log)
            count.tried += 1
            count.saw(f"exit code {code}")
            told = log.read_text()
            count.demand(code in (0, 2, 3), f"{room} KiB: exit code {code}")
            count.demand("Traceback" not in told, f"{room} KiB: a traceback")
            if code == 2:
                fine = "No space left on device" in told and str(disk) in told
                count.demand(fine, f"{room} KiB: {told[-300:]}")
            filler.unlink(missing_ok=True)
            if (disk / "run" / "manifest.json").exists():
                words = ["verify", "--resume", str(disk / "run")]
            code = runs.run(words, folder, log)
            count.demand(code in (0, 3), f"{room} KiB: resumed to {code}: {log.read_text()[-300:]}")
            if code in (0, 3):
                count.demand(runs.verdicts(disk / "run") == whole, f"{room} KiB: other verdicts")


def run_together(count: Count, folder: Path, processes: int, resumed: bool) -> None:
    """Start several processes on one folder at once. Exactly one works there, and the others name it."""
    words = ["verify", "--claims", NAME, "--out", "run"]
    log = folder / "before.log"
    if resumed:
        runs.killed_after(runs.forked(words, folder, log), 2.0)
        if (folder / "run" / "manifest.json").exists():
            words = ["verify", "--resume", "run"]
    logs = [folder / f"{number}.log" for number in range(processes)]
    codes = [runs.ended(pid) for pid in [runs.forked(words, folder, log) for log in logs]]
    count.tried += processes
    for code, log in zip(codes, logs, strict=True):
        told = log.read_text()
        count.saw(f"exit code {code}")
        fine = code in (0, 3) or (
            code == 2 and ("in use by process" in told or "already holds a run" in told)
        )
        count.demand(fine and "Traceback" not in told, f"exit code {code}: {told[-300:]}")
    count.demand(any(code in (0, 3) for code in codes), f"none of them finished: {codes}")
    ids = [record["id"] for record in runs.verdicts(folder / "run")]
    lines = (folder / "run" / "verdicts.jsonl").read_bytes().count(b"\n")
    count.demand(len(set(ids)) == len(ids) == lines, f"{lines} lines for {len(set(ids))} verdicts")
