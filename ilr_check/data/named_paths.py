"""Files and folders of data that the user names, in the environment, so that child processes inherit
them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def named_path(variable: str) -> Path | None:
    """Return what the user named with this variable, or None. Its contents are checked when it is read."""
    value = os.environ.get(variable, "").strip()
    return Path(value).expanduser() if value else None


@contextmanager
def naming(variable: str, path: Path | str | None) -> Iterator[None]:
    """Name a path with this variable inside a ``with`` block. With None, what was named before stays."""
    if path is None:
        yield
        return
    before = os.environ.get(variable)
    os.environ[variable] = str(Path(path).expanduser().resolve())
    try:
        yield
    finally:
        if before is None:
            del os.environ[variable]
        else:
            os.environ[variable] = before
