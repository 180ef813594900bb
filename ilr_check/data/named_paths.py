"""Files and folders of data that the user names, in the environment, so that child processes inherit
them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple


class UserData(NamedTuple):
    """A file or a folder that the user names with an option, or with an environment variable."""

    option: str
    called: str
    kinds: tuple[str, ...]
    """The kinds of data specs that read it."""
    field: str
    """The field of these specs that has its path."""

    @property
    def variable(self) -> str:
        """The environment variable."""
        return f"ILR_CHECK_{self.option.removeprefix('--').upper()}"

    def named(self) -> Path | None:
        """Return what the user named, or None. Its contents are checked when it is read."""
        value = os.environ.get(self.variable, "").strip()
        return Path(value).expanduser() if value else None

    @contextmanager
    def naming(self, path: Path | str | None) -> Iterator[None]:
        """Name a path inside a ``with`` block. With None, what was named before stays."""
        if path is None:
            yield
            return
        before = os.environ.get(self.variable)
        os.environ[self.variable] = str(Path(path).expanduser().resolve())
        try:
            yield
        finally:
            if before is None:
                del os.environ[self.variable]
            else:
                os.environ[self.variable] = before


CIFAR10 = UserData("--cifar10", "folder of CIFAR-10", ("cifar-10", "cifar-10-epochs"), "folder")
MNIST = UserData("--mnist", "folder of MNIST", ("mnist",), "folder")
TEXT = UserData("--text", "text", ("text",), "path")
USER_DATA = (CIFAR10, MNIST, TEXT)


@contextmanager
def naming_all(paths: Mapping[UserData, Path | str | None]) -> Iterator[None]:
    """Name several paths inside a ``with`` block."""
    with ExitStack() as stack:
        for data, path in paths.items():
            stack.enter_context(data.naming(path))
        yield
