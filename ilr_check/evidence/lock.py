"""A lock lets one process at a time work on a run folder; a killed process keeps no lock."""

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
    """Another process works on the folder; the message names it."""


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold ``folder`` for this process until the block ends; raises ``InUseError`` if another holds it.

    Raises ``UnwritableError`` for a folder or a file system where nothing can be locked.
    The kernel gives the lock back when its owner dies, however it dies. The lock is a file beside the
    verdicts, which names its owner and is removed at the end. A file that a killed owner left does no harm.
    """
    if fcntl is None:
        yield
        return
    path = folder / LOCK
    descriptor = _taken(path)
    try:
        with contextlib.suppress(OSError):  # the lock holds without a name, too, such as on a full disk
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode())
        yield
    finally:
        # Removed before it is given back, so that nobody can hold the old file beside a new one.
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
