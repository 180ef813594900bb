"""A run folder on disk: append-only verdicts, atomic manifest, figures; safe to kill at any moment."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import msgspec

from ilr_check.evidence import figures, records
from ilr_check.evidence.figures import Figure
from ilr_check.evidence.manifest import Manifest
from ilr_check.evidence.records import SCHEMA_VERSION, Record

MANIFEST, VERDICTS, TRACES, REPORT = "manifest.json", "verdicts.jsonl", "traces", "report.html"


class RunFolderError(ValueError):
    """A run folder that cannot be used; the message says what is wrong and what to do."""


class RunFolder:
    """Reads and writes one run folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, path: Path, manifest: Manifest) -> RunFolder:
        """Make a new run folder; refuses one that already holds a run."""
        if (path / MANIFEST).exists() or (path / VERDICTS).exists():
            raise RunFolderError(
                f"{path} already holds a run; choose another --out, or continue it with --resume {path}"
            )
        try:
            (path / "traces").mkdir(parents=True, exist_ok=True)
            folder = cls(path)
            folder.write_manifest(manifest)
            (path / VERDICTS).touch()
        except OSError as error:
            raise RunFolderError(
                f"cannot write to {path} ({error.strerror or error}); choose a writable folder with --out"
            ) from error
        return folder

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """Open an existing run folder; raises ``RunFolderError`` if it is missing, damaged or newer."""
        folder = cls(path)
        folder.manifest()
        folder.records()
        return folder

    def write_manifest(self, manifest: Manifest) -> None:
        """Replace the manifest in one step, so that a reader never sees half of it."""
        partial = self.path / (MANIFEST + ".partial")
        partial.write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")
        partial.replace(self.path / MANIFEST)

    def manifest(self) -> Manifest:
        """The manifest; raises ``RunFolderError`` with the reason if it cannot be used."""
        target = self.path / MANIFEST
        try:
            raw = target.read_bytes()
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
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise RunFolderError(f"{target} is damaged ({error}); run the command again") from error

    def append(self, batch: Iterable[Record]) -> None:
        """Append the records of one finished unit and flush them to the disk."""
        payload = b"".join(records.encode(record) + b"\n" for record in batch)
        with (self.path / VERDICTS).open("ab") as stream:
            stream.write(payload)
            stream.flush()
            os.fsync(stream.fileno())

    def records(self) -> tuple[Record, ...]:
        """All records of finished units, in the order in which the manifest plans them.

        A last line that a killed process left half-written is passed over; a damaged line before it is an
        error, because something else than our own append has changed the file.
        """
        try:
            lines = (self.path / VERDICTS).read_bytes().split(b"\n")
        except OSError as error:
            raise RunFolderError(f"{self.path} has no readable {VERDICTS}; run the command again") from error
        unfinished_tail = lines.pop()
        del unfinished_tail  # empty after a clean append, half a record after a kill
        found = []
        for number, line in enumerate(lines, start=1):
            try:
                found.append(records.decode(line))
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                raise RunFolderError(
                    f"{self.path / VERDICTS} is damaged in line {number} ({error}); "
                    "remove the folder and run the command again"
                ) from error
        place = {unit.key: number for number, unit in enumerate(self.manifest().units)}
        return tuple(sorted(_whole_units(found), key=lambda record: place.get(record.unit, len(place))))

    def repair(self) -> tuple[Record, ...]:
        """Drop what a killed process left of an unfinished unit; returns the records that stay."""
        kept = self.records()
        partial = self.path / (VERDICTS + ".partial")
        partial.write_bytes(b"".join(records.encode(record) + b"\n" for record in kept))
        partial.replace(self.path / VERDICTS)
        return kept

    def save_figure(self, figure: Figure) -> None:
        """Store one figure under ``traces/``."""
        figures.save(figure, self.path / TRACES)

    def figures(self) -> dict[str, Figure]:
        """Every figure by name; raises ``RunFolderError`` if one is damaged."""
        try:
            return {path.stem: figures.load(path) for path in sorted((self.path / TRACES).glob("*.npz"))}
        except ValueError as error:
            raise RunFolderError(f"{error}; remove the file, or run the command again") from error


def _whole_units(found: list[Record]) -> tuple[Record, ...]:
    counts: dict[str, int] = {}
    for record in found:
        counts[record.unit] = counts.get(record.unit, 0) + 1
    return tuple(record for record in found if counts[record.unit] >= record.unit_size)
