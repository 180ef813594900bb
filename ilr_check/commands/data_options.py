"""The options that name the user's own data, and the command that names them again."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from ilr_check.commands.typed import NamedPath

cifar10_option = click.option(
    "--cifar10",
    type=NamedPath(),
    envvar="ILR_CHECK_CIFAR10",
    help="Folder of CIFAR-10, for claims that use it.",
)
mnist_option = click.option(
    "--mnist",
    type=NamedPath(),
    envvar="ILR_CHECK_MNIST",
    help="Folder of MNIST as four IDX files, for larger-data.",
)
text_option = click.option(
    "--text",
    type=NamedPath(),
    envvar="ILR_CHECK_TEXT",
    help="File or folder of text for language models [the sources of Python's library].",
)


def resuming(
    folders: list[Path],
    world: str | None,
    cifar10: Path | None,
    mnist: Path | None,
    text: Path | None,
    executor: str | None,
) -> str:
    """Return a sentence with the command that continues the run after Ctrl-C."""
    if not folders:
        return "interrupted before anything was judged; run the command again"
    words = ["ilr-check", "verify", "--resume", str(folders[0])]
    given = {
        "--world": world,
        "--cifar10": cifar10,
        "--mnist": mnist,
        "--text": text,
        "--executor": executor,
    }
    for option, value in given.items():
        words += [option, str(value)] if value is not None else []
    return f"interrupted; what was finished is kept. Continue with: {shlex.join(words)}"
