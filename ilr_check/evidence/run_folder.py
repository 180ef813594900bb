"""A run folder on the disk: verdicts that are only appended, a manifest that is replaced in one step, and
figures.

A process may be killed at any moment without damage to its run folder. A run folder may come from anywhere,
so it may contain only plain files. A link or a pipe in it is refused.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from ilr_check.evidence import atomic, figures, records
from ilr_check.evidence.atomic import PARTIAL_SUFFIX
from ilr_check.evidence.figures import Figure
from ilr_check.evidence.manifest import Manifest
from ilr_check.evidence.records import SCHEMA_VERSION, Record

MANIFEST, VERDICTS, TRACES, REPORT = "manifest.json", "verdicts.jsonl", "traces", "report.html"


class RunFolderError(ValueError):
    """The run folder cannot be used. The message says what is wrong and what to do."""


class StorageError(RunFolderError, OSError):
    """A run could not write to its folder, for example because the disk is full."""


class RunFolder:
    """Reads and writes one run folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, path: Path, manifest: Manifest) -> RunFolder:
        """Make a new run folder. A folder that holds a run, or a file with one of our names, is refused.

        The manifest is written last. So a folder without a manifest, which a killed process can leave, can
        still be used.
        """
        if (path / MANIFEST).exists() or _holds_something(path / VERDICTS):
            raise RunFolderError(
                f"{path} already holds a run; choose another --out, or continue it with --resume {path}"
            )
        for name in (REPORT, TRACES):
            if _holds_something(path / name):
                raise RunFolderError(f"{path} holds {name}, which no run made; choose another --out")
        try:
            (path / TRACES).mkdir(parents=True, exist_ok=True)
            (path / VERDICTS).touch()
            atomic.replace(path / MANIFEST, _json(manifest))
        except OSError as error:
            raise RunFolderError(
                f"cannot write to {path} ({error.strerror or error}); choose a writable folder with --out"
            ) from error
        return cls(path)

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """Open an existing run folder.

        Raises ``RunFolderError`` if it is missing or damaged, or if a newer version wrote it.
        """
        folder = cls(path)
        folder.manifest()
        folder.records()
        return folder

    def write_manifest(self, manifest: Manifest) -> None:
        """Replace the manifest in one step, so that a reader never sees half of it."""
        with self._storing(MANIFEST):
            atomic.replace(self.path / MANIFEST, _json(manifest))

    def manifest(self) -> Manifest:
        """Return the manifest. Raises ``RunFolderError`` with the reason if it cannot be used."""
        target = self.path / MANIFEST
        try:
            raw = _plain(target).read_bytes()
        except OSError as error:
            raise RunFolderError(
                f"{self.path} is not a run folder (no readable {MANIFEST}); "
                "name a folder that `ilr-check verify` made"
            ) from error
        try:
            schema = msgspec.json.decode(raw, type=dict).get("schema")
            if not isinstance(schema, int):
                raise RunFolderError(f"{target} is damaged: it has no schema version; run the command again")
            if schema > SCHEMA_VERSION:
                raise RunFolderError(
                    f"{self.path} has schema {schema}, this ilr-check reads up to {SCHEMA_VERSION}; "
                    "upgrade ilr-check to read it"
                )
            return msgspec.json.decode(raw, type=Manifest)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise RunFolderError(f"{target} is damaged ({error}); run the command again") from error

    def append(self, batch: Iterable[Record]) -> None:
        """Append the records of one finished unit and flush them to the disk."""
        payload = b"".join(records.encode(record) + b"\n" for record in batch)
        with self._storing(VERDICTS), _plain(self.path / VERDICTS).open("ab") as stream:
            stream.write(payload)
            stream.flush()
            os.fsync(stream.fileno())

    def records(self) -> tuple[Record, ...]:
        """Return all records of finished units, in the order of the manifest.

        An incomplete last line, which a killed process can leave, is ignored. A damaged line before it is an
        error, because only another program can have changed it.
        """
        try:
            lines = _plain(self.path / VERDICTS).read_bytes().split(b"\n")
        except OSError as error:
            raise RunFolderError(f"{self.path} has no readable {VERDICTS}; run the command again") from error
        unfinished_tail = lines.pop()
        del unfinished_tail  # empty after a clean append, half a record after a kill
        found = []
        for number, line in enumerate(lines, start=1):
            try:
                found.append(records.decode(line))
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
                raise RunFolderError(
                    f"{self.path / VERDICTS} is damaged in line {number} ({error}); "
                    "remove the folder and run the command again"
                ) from error
        place = {unit.key: number for number, unit in enumerate(self.manifest().units)}
        return tuple(sorted(_whole_units(found), key=lambda record: place.get(record.unit, len(place))))

    def repair(self) -> tuple[Record, ...]:
        """Remove the records of unfinished units, which a killed process can leave. Return the other records.

        A unit that ended in an error is removed too. The cause, such as a full memory, may be gone; an error
        in the claim itself will occur again.
        """
        found = self.records()
        failed = {record.unit for record in found if record.verdict == "error"}
        kept = tuple(record for record in found if record.unit not in failed)
        with self._storing(VERDICTS):
            for folder in (self.path, self._traces()):
                for left in folder.glob(f".*{PARTIAL_SUFFIX}"):
                    left.unlink()
            atomic.replace(self.path / VERDICTS, b"".join(records.encode(record) + b"\n" for record in kept))
        return kept

    def save_figure(self, figure: Figure) -> None:
        """Store one figure under ``traces/``."""
        with self._storing(TRACES):
            figures.save(figure, self._traces())

    def figures(self) -> dict[str, Figure]:
        """Return every figure by name. Raises ``RunFolderError`` if one is damaged."""
        try:
            return {path.stem: figures.load(_plain(path)) for path in sorted(self._traces().glob("*.npz"))}
        except (ValueError, OSError) as error:
            raise RunFolderError(f"{error}; remove the file, or run the command again") from error

    def report_path(self) -> Path:
        """Return the path of the report. Raises ``RunFolderError`` for a link, which may lead anywhere."""
        try:
            return _plain(self.path / REPORT)
        except OSError as error:
            raise RunFolderError(f"{error.strerror}; remove it, or name a file with --out") from error

    def _traces(self) -> Path:
        if (self.path / TRACES).is_symlink():
            raise RunFolderError(f"{self.path / TRACES} is a link; put the folder itself in its place")
        return self.path / TRACES

    @contextmanager
    def _storing(self, name: str) -> Iterator[None]:
        """Turn an ``OSError`` into a sentence with the cause, the fix and the option that continues the
        run."""
        try:
            yield
        except OSError as error:
            raise StorageError(
                f"cannot write {self.path / name} ({error.strerror or error}); free some space or make it "
                f"writable, then continue with --resume {self.path}: what was finished is kept"
            ) from error


def _json(manifest: Manifest) -> bytes:
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"


def _holds_something(path: Path) -> bool:
    """Return whether a file is not empty, or a folder has an entry. A link always counts."""
    if path.is_symlink() or not path.exists():
        return path.is_symlink()
    return any(path.iterdir()) if path.is_dir() else path.stat().st_size > 0


def _plain(path: Path) -> Path:
    """Return the path of a plain file. Raises ``OSError`` for a link, a device or a pipe."""
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise OSError(errno.EINVAL, f"{path} is not a plain file")
    return path


def _whole_units(found: list[Record]) -> tuple[Record, ...]:
    counts: dict[str, int] = {}
    for record in found:
        counts[record.unit] = counts.get(record.unit, 0) + 1
    return tuple(record for record in found if counts[record.unit] >= record.unit_size)
