"""The options that name the user's own data, and the command that names them again."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from ilr_check.commands.typed import NamedPath
from ilr_check.data.named_paths import CIFAR10, MNIST, TEXT, USER_DATA, UserData

HELP = {
    CIFAR10: "Folder of CIFAR-10, for claims that use it.",
    MNIST: "Folder of MNIST as four IDX files, for larger-data.",
    TEXT: "File or folder of text for language models [the sources of Python's library].",
}


def data_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add an option for each kind of the user's data."""
    for data in reversed(USER_DATA):
        command = click.option(data.option, type=NamedPath(), envvar=data.variable, help=HELP[data])(command)
    return command


def resuming(
    folders: list[Path], world: str | None, named: Mapping[UserData, Path | None], executor: str | None
) -> str:
    """Return a sentence with the command that continues the run after Ctrl-C."""
    if not folders:
        return "interrupted before anything was judged; run the command again"
    words = ["ilr-check", "verify", "--resume", str(folders[0])]
    paths = {data.option: path for data, path in named.items()}
    for option, value in {"--world": world, **paths, "--executor": executor}.items():
        words += [option, str(value)] if value is not None else []
    return f"interrupted; what was finished is kept. Continue with: {shlex.join(words)}"
