"""Makes the command-line options of the gate from ``gate/options.py`` and ``gate/option_words.py``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import click

from ilr_check.commands.typed import NamedPath, pairs, renamed
from ilr_check.gate.option_words import PAIRS, WORDS, Word, flag_of
from ilr_check.gate.options import GateOptions
from ilr_check.optim.arguments import parse_argument

FROM_ENVIRONMENT = ("contract", "profile", "seed", "device")
FILES = ("baseline", "expected_failures")
TYPES: dict[str, Any] = {"seed": int, "time_limit": float, "memory_limit": float}
FORMER = {"laws": ("--claims",)}


def gate_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add every option of the gate to a click command."""
    for name, word in reversed(WORDS.items()):
        command = _option(name, word)(command)
    return command


def _option(name: str, word: Word) -> Callable[..., Any]:
    flags = (f"--{flag_of(name)}", *FORMER.get(name, ()), name)
    usual = getattr(GateOptions(), name)
    more: dict[str, Any] = {"help": word.help}
    if usual is False:
        return click.option(*flags, is_flag=True, **more)
    more["metavar"] = word.metavar
    if name in PAIRS:
        return click.option(*flags, multiple=True, **more)
    if name in FILES:
        return click.option(*flags, type=NamedPath(), **more)
    if name in FROM_ENVIRONMENT:
        more["envvar"] = f"ILR_CHECK_{name.upper()}"
    if name not in ("names", "reference", "setup", "time_limit"):
        more |= {"default": usual, "show_default": True}
    return click.option(*flags, type=TYPES.get(name, str), **more)


def options_from(typed: Mapping[str, Any]) -> GateOptions:
    """Return the options that the user typed. Raises ``ValueError`` that names the value it cannot use."""
    found = {name: value for name, value in typed.items() if value is not None}
    for name in PAIRS:
        if name in found:
            words = pairs(f"--{flag_of(name)}", tuple(found[name]))
            found[name] = dict(parse_argument(text) for text in words)
    if "names" in found:
        found["names"] = renamed(found["names"])
    return GateOptions.of(found)
