"""Files that appear in one step: a reader, or a killed process, never leaves half of one behind."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


class UnwritableError(ValueError):
    """A file that cannot be written; one line with the path, the cause and the mend."""


def write(path: Path, data: bytes) -> None:
    """Replace ``path`` by ``data``; raises ``UnwritableError``."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(data)
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise _refusal(path, error) from error


def demand_writable(path: Path) -> None:
    """Raise ``UnwritableError`` now, before hours of work, if ``path`` cannot be written later."""
    try:
        if path.is_dir():
            raise IsADirectoryError(21, "it is a folder")
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise _refusal(path, error) from error


def _refusal(path: Path, error: OSError) -> UnwritableError:
    return UnwritableError(
        f"cannot write {path} ({error.strerror or error}); name a file in a folder that can be written"
    )
