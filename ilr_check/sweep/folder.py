"""The folder of a sweep: its spec, one line for each run, and the map. A killed sweep loses one chunk."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from ilr_check.evidence import atomic
from ilr_check.evidence.manifest import command_line, current_hardware, current_versions
from ilr_check.evidence.run_folder import RunFolderError, StorageError
from ilr_check.sweep.spec import SweepSpec
from ilr_check.sweep.training import Point

SPEC, RUNS, MAP = "sweep.json", "runs.jsonl", "map.html"


class Begun(msgspec.Struct, frozen=True, kw_only=True):
    """What ``sweep.json`` holds."""

    made_by: str = "ilr-check sweep"
    schema: int = 1
    command: str
    spec: SweepSpec
    groups: tuple[str, ...]
    versions: dict[str, str]
    hardware: dict[str, Any]


class SweepFolder:
    """Reads and writes the folder of one sweep."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, path: Path, spec: SweepSpec, groups: tuple[str, ...]) -> SweepFolder:
        """Make the folder of a new sweep. Raises ``RunFolderError`` if it holds something."""
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise RunFolderError(
                f"{path} is not empty; choose another --out, or continue a sweep with --resume {path}"
            )
        begun = Begun(
            command=command_line(),
            spec=spec,
            groups=groups,
            versions=current_versions(),
            hardware=current_hardware(),
        )
        try:
            path.mkdir(parents=True, exist_ok=True)
            (path / RUNS).touch()
            atomic.replace(path / SPEC, msgspec.json.format(msgspec.json.encode(begun), indent=2) + b"\n")
        except OSError as error:
            raise _storage(path, error) from error
        return cls(path)

    def begun(self) -> Begun:
        """Return what was begun here. Raises ``RunFolderError`` for another folder and other versions."""
        try:
            found = msgspec.json.decode((self.path / SPEC).read_bytes(), type=Begun)
        except OSError as error:
            raise RunFolderError(
                f"{self.path} holds no sweep (no readable {SPEC}); name a folder that `ilr-check sweep` made"
            ) from error
        except msgspec.MsgspecError as error:
            raise RunFolderError(f"{self.path / SPEC} is damaged ({error}); run the sweep again") from error
        now = current_versions()
        differing = [name for name in ("ilr-check", "torch") if found.versions.get(name) != now[name]]
        if differing:
            raise RunFolderError(
                f"{self.path} was begun with {differing[0]} {found.versions.get(differing[0])}, and this is "
                f"{now[differing[0]]}; use the same version, or run the sweep again in another folder"
            )
        return found

    def points(self) -> list[Point]:
        """Return the finished runs in order. A last line that a killed process left incomplete is ignored."""
        try:
            lines = (self.path / RUNS).read_bytes().split(b"\n")[:-1]
            found = {point.run: point for point in map(_decoded, lines)}
        except OSError as error:
            raise _storage(self.path, error) from error
        except msgspec.MsgspecError as error:
            raise RunFolderError(f"{self.path / RUNS} is damaged ({error}); run the sweep again") from error
        return [found[run] for run in sorted(found)]

    def repair(self, chunks: Sequence[range]) -> frozenset[int]:
        """Remove the runs of chunks that are incomplete, and return the numbers of the others."""
        found = self.points()
        numbers = {point.run for point in found}
        whole = {run for chunk in chunks if numbers.issuperset(chunk) for run in chunk}
        kept = [point for point in found if point.run in whole]
        try:
            atomic.replace(self.path / RUNS, _lines(kept))
        except OSError as error:
            raise _storage(self.path, error) from error
        return frozenset(whole)

    def append(self, points: list[Point]) -> None:
        """Append finished runs and flush them to the disk."""
        try:
            with (self.path / RUNS).open("ab") as stream:
                stream.write(_lines(points))
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise _storage(self.path, error) from error

    def write_map(self, page: str) -> Path:
        """Write the map and return its path."""
        try:
            atomic.replace(self.path / MAP, page.encode())
        except OSError as error:
            raise _storage(self.path, error) from error
        return self.path / MAP


def _decoded(line: bytes) -> Point:
    return msgspec.json.decode(line, type=Point)


def _lines(points: list[Point]) -> bytes:
    return b"".join(msgspec.json.encode(point) + b"\n" for point in points)


def _storage(path: Path, error: OSError) -> StorageError:
    return StorageError(
        f"cannot use {path} ({error.strerror or error}); free some space or make it writable, then continue "
        f"with --resume {path}: what was finished is kept"
    )
