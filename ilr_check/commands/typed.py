"""Checks what the user typed. Each error names the value, the allowed range and the fix."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from ilr_check.seeds import checked_seed

STANDARD_OUTPUT = Path("-")


class NamedPath(click.Path):
    """An option that is a path. An empty word is refused, because it would mean the current folder."""

    def __init__(self) -> None:
        super().__init__(path_type=Path, allow_dash=True)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the word as a path. Raises ``BadParameter`` for an empty word."""
        word = str(value)
        if word == "" or "\0" in word:
            self.fail(f"{word!r} names no file or folder; name one, or leave the option out.", param, ctx)
        return super().convert(value, param, ctx)


force_option = click.option(
    "--force", is_flag=True, help="Overwrite output files that this command did not make."
)


def demand_outputs(outputs: Mapping[str, tuple[Path | None, str | None]], force: bool) -> None:
    """Check the output files of a command before its work.

    ``outputs`` maps each option to its file and to the mark of its format. Raises ``UnwritableError``.
    """
    from ilr_check.evidence import atomic

    named = {option: path for option, (path, _) in outputs.items() if path != STANDARD_OUTPUT}
    atomic.demand_distinct(named)
    for option, path in named.items():
        if path is not None:
            atomic.demand_writable(path, outputs[option][1], force=force)


def pairs(option: str, typed: tuple[str, ...]) -> tuple[str, ...]:
    """Return ``name=value`` words unchanged. Raises ``ValueError`` for any other word."""
    for text in typed:
        name, equals, _ = text.partition("=")
        if not equals or not name.isidentifier():
            raise ValueError(f"{option} {text!r} is not name=value; write for example {option} lr=0.1")
    return typed


def renamed(typed: str) -> dict[str, str]:
    """Return ``lr=alpha,weight_decay=decay`` as a mapping from torch's names to those of the target."""
    words = tuple(word.strip() for word in typed.split(",") if word.strip())
    return dict(word.partition("=")[::2] for word in pairs("--names", words))


def one_of(what: str, value: str, allowed: tuple[str, ...]) -> str:
    """Return ``value`` if it is allowed. Raises ``ValueError`` otherwise."""
    if value not in allowed:
        raise ValueError(f"{what} {value!r} is not known; choose one of {', '.join(allowed)}")
    return value


def seed(value: int) -> int:
    """Return a valid seed, which decides every random number."""
    return checked_seed(value)


def positive(what: str, value: float | None) -> float | None:
    """Return a limit above zero, or ``None``. Raises ``ValueError`` for any other number."""
    if value is not None and not value > 0:
        raise ValueError(f"{what} {value} is out of range; give a number above 0")
    return value
