"""Write the output files that the user names, and protect existing files.

A regular file appears in one step, so that no reader ever finds half of it. A device, a pipe or an open
descriptor is written to. A link is followed. A file that another program made is not replaced unless the
caller passes ``force``.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from ilr_check.evidence.marks import HEAD_BYTES, mark_of

PARTIAL_SUFFIX = ".ilr-check-partial"
"""The end of the name of a file that is not complete yet. A killed process can leave such a file behind."""
MAX_LINKS = 40
"""The longest chain of links that Linux follows (``MAXSYMLINKS``)."""

Way = Literal["regular", "direct", "refused"]


class UnwritableError(OSError, ValueError):
    """A file cannot be written. The message is one line with the path, the cause and the fix."""

    def __init__(self, path: Path, reason: str, fix: str) -> None:
        super().__init__(f"cannot write {path} ({reason}); {fix}")
        self.reason = reason
        self.or_force = ", or add --force" if "--force" in fix else ""


def way_to_write(mode: int) -> Way:
    """Return how a file of this ``st_mode`` is written. A disk, a folder and a socket are refused."""
    if stat.S_ISREG(mode):
        return "regular"
    return "direct" if stat.S_ISCHR(mode) or stat.S_ISFIFO(mode) else "refused"


def write(path: Path, data: bytes, *, force: bool = False) -> None:
    """Write an output. Raises ``UnwritableError``; an existing file is then unchanged."""
    place, way = _destination(path, mark_of(data), force)
    try:
        if way == "direct":
            _write_to(place, data)
        else:
            replace(place, data)
    except OSError as error:
        raise _refusal(path, error) from error


def replace(path: Path, data: bytes) -> None:
    """Make or replace a regular file in one step, and flush it to the disk. Raises ``OSError``."""
    partial = path.with_name(f".{secrets.token_hex(8)}{PARTIAL_SUFFIX}")
    try:
        mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else None
        with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        if mode is not None:
            partial.chmod(mode)
        partial.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        # A single file that is mounted into a container cannot be renamed onto.
        if error.errno != errno.EBUSY:
            raise
        path.write_bytes(data)


def demand_writable(path: Path, mark: str | None, *, force: bool = False) -> None:
    """Raise ``UnwritableError`` if ``path`` cannot be written. Commands call it before hours of work.

    ``mark`` is the mark of the future output, or ``None`` for a format without one. A pipe is not opened,
    because closing it would end the input of its reader.
    """
    place, way = _destination(path, mark, force)
    try:
        if way == "regular":
            probe = place.with_name(f".{secrets.token_hex(8)}{PARTIAL_SUFFIX}")
            os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            probe.unlink()
        elif not os.access(place, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise _refusal(path, error) from error


def demand_distinct(outputs: Mapping[str, Path | None]) -> None:
    """Raise ``UnwritableError`` if two options name the same regular file, because one output would be
    lost."""
    taken: dict[Path, str] = {}
    for option, path in outputs.items():
        if path is None:
            continue
        place = Path(os.path.realpath(path))
        if place in taken and (place.is_file() or not place.exists()):
            raise UnwritableError(path, f"{taken[place]} and {option} both name it", "name two files")
        taken[place] = option


def _destination(path: Path, mark: str | None, force: bool) -> tuple[Path, Way]:
    """Return where and how to write. Raises ``UnwritableError`` for a file that must not change."""
    try:
        place = _followed(path)
        if _is_descriptor(place):
            return place, "direct"
        mode = place.stat().st_mode
    except FileNotFoundError:
        return Path(os.path.realpath(path)), "regular"
    except OSError as error:
        raise _refusal(path, error) from error
    way = way_to_write(mode)
    if way == "refused":
        what = "a folder" if stat.S_ISDIR(mode) else "a disk" if stat.S_ISBLK(mode) else "a socket"
        raise UnwritableError(path, f"it is {what}", "name a file")
    if way == "regular" and not force:
        try:
            with place.open("rb") as stream:
                head = stream.read(HEAD_BYTES)
        except OSError as error:
            raise _refusal(path, error) from error
        if head and (mark is None or mark_of(head) != mark):
            raise UnwritableError(
                path, "it exists, and this command did not make it", "name another file, or add --force"
            )
    return place, way


def _followed(path: Path) -> Path:
    """Return the end of a chain of links, but not beyond an open descriptor, which is a file of its own."""
    for _ in range(MAX_LINKS):
        if _is_descriptor(path) or not path.is_symlink():
            return path
        path = path.parent / path.readlink()
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))


def _is_descriptor(path: Path) -> bool:
    """Return whether a path names an open file of this process, such as /dev/stdout or bash's >(...)."""
    return re.fullmatch(r"/proc/\d+/(task/\d+/)?fd|/dev/fd", os.path.realpath(path.parent)) is not None


def _write_to(path: Path, data: bytes) -> None:
    """Append to a device, a pipe or a descriptor. Nothing is created or truncated."""
    with open(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NOCTTY), "wb", closefd=True) as stream:
        stream.write(data)


def _refusal(path: Path, error: OSError) -> UnwritableError:
    if isinstance(error, UnwritableError):
        return error
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    fix = (
        "free some space, or name a file elsewhere" if full else "name a file in a folder that can be written"
    )
    return UnwritableError(path, error.strerror or str(error), fix)
