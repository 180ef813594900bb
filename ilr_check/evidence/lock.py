"""A lock that lets one process at a time work on a run folder. A process that is killed loses its lock."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from ilr_check.evidence.atomic import UnwritableError
from ilr_check.evidence.run_folder import RunFolderError

try:
    import fcntl
except ImportError:  # Windows, where the rest of the package is untested too
    fcntl = None  # type: ignore[assignment]

LOCK = ".lock"


class InUseError(RunFolderError):
    """Another process works on the folder. The message names the process."""


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock ``folder`` for this process until the block ends.

    The lock is a file beside the verdicts, which names its owner and is removed at the end. The kernel
    releases it when the owner ends in any way, so a file that a killed owner leaves does no harm. Raises
    ``InUseError`` if another process holds the lock, and ``UnwritableError`` if nothing can be locked in this
    folder.
    """
    if fcntl is None:
        yield
        return
    path = folder / LOCK
    descriptor = _taken(path)
    try:
        with contextlib.suppress(OSError):  # on a full disk the lock works without the owner's name
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode())
        yield
    finally:
        # The file is removed before the lock is released. Otherwise another process could lock the old file
        # while a third one makes a new file.
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _taken(path: Path) -> int:
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise _refusal(path, error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Another owner may have removed the file between our open and our lock.
            if os.fstat(descriptor).st_ino == path.stat().st_ino:
                return descriptor
        except BlockingIOError:
            owner = os.read(descriptor, 200).decode("utf-8", "replace").strip() or "another process"
            os.close(descriptor)
            raise InUseError(
                f"{path.parent} is in use by {owner}; wait until it has ended, or name another folder"
            ) from None
        except FileNotFoundError:
            pass
        except OSError as error:
            os.close(descriptor)
            raise _refusal(path, error) from error
        os.close(descriptor)


def _refusal(path: Path, error: OSError) -> UnwritableError:
    reason = error.strerror or str(error)
    return UnwritableError(path, reason, "name a folder that can be written, on a disk that can lock files")
