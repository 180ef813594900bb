"""Check the settings of a pytest session: its options, the environment and pyproject.toml."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest

from ilr_check.gate.option_words import IN_PYTEST, PAIRS, flag_of

if TYPE_CHECKING:
    from ilr_check.gate.options import GateOptions

PROFILES = ("quick", "standard", "nightly")
DEVICES = ("auto", "cpu", "cuda")
TORCH_SGD = "torch.optim.SGD"
CLAIMS = "core,exact"
"""These claims are judged where nobody names any: the core, and all algebra."""
NOT_FOR_PYTEST = {"profile": ("paper",)}
"""Settings of ``ilr-check verify`` in a shared table that a pytest session leaves alone."""


@dataclass(frozen=True)
class PluginSettings:
    """The settings of a session: options override the environment, which overrides pyproject.toml."""

    profile: Literal["quick", "standard", "nightly"] = "quick"
    claims: str = CLAIMS
    examples: int | None = None
    """Generated examples for each exact law, instead of the profile's number."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    seed: int = 0
    allow_inconclusive: bool = False
    report: Path | None = None
    optimizer: str = ""
    contract: str = "auto"
    args: tuple[tuple[str, Any], ...] = ()
    world: str = ""
    gate: tuple[tuple[str, Any], ...] = ()
    """Further options of the gate that were typed, by name; those of ``K=V`` words are tuples of pairs."""

    def __str__(self) -> str:
        args = "".join(f" {name}={value!r}" for name, value in self.args)
        contract = f" (contract {self.contract})" if self.optimizer else ""
        gate = "".join(f" --ilr-{flag_of(name)}={_shown(value)}" for name, value in self.gate)
        examples = "" if self.examples is None else f"{self.examples} examples, "
        return (
            f"profile {self.profile}, {examples}claims {self.claims}, device {self.device}, "
            f"seed {self.seed}, optimizer {self.optimizer or TORCH_SGD}{args}{contract}{gate}, "
            f"{f'world {self.world}, ' if self.world else ''}"
            f"inconclusive {'passes' if self.allow_inconclusive else 'fails'}, "
            f"report {self.report or 'none'}"
        )


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else ",".join(f"{key}={one!r}" for key, one in value)


SETTINGS = pytest.StashKey[PluginSettings]()


def settings_of(config: pytest.Config) -> PluginSettings:
    """Return the settings of a session, settled when they are first asked for.

    Raises ``pytest.UsageError`` for what cannot be used.
    """
    if SETTINGS not in config.stash:
        try:
            settings = _settled(config)
            _check(settings)
        except ValueError as error:
            raise pytest.UsageError(f"ilr-check: {error}") from error
        config.stash[SETTINGS] = settings
    return config.stash[SETTINGS]


def _check(settings: PluginSettings) -> None:
    """Raise ``ValueError`` for names that match nothing."""
    from ilr_check.claims import select

    select(settings.claims)
    if settings.device == "cuda":
        from ilr_check.train.determinism import checked_device

        checked_device("cuda")
    if settings.world:
        from ilr_check.train.world import named_world

        named_world(settings.world)
    if settings.optimizer:
        from ilr_check.gate.tags import tags_of
        from ilr_check.optim.target import load_target

        target = load_target(settings.optimizer, dict(settings.args), varied=())
        options = gate_options(settings)
        if settings.contract != "auto":
            from ilr_check.optim.contracts import contract_named

            contract_named(settings.contract).declared(options.declare)
        tags_of(target.factory, options.tags)


def gate_options(settings: PluginSettings) -> GateOptions:
    """Return the options of the gate for a session's optimizer; raises ``ValueError`` for a bad value."""
    from ilr_check.gate.options import GateOptions

    typed = {name: dict(value) if name in PAIRS else value for name, value in settings.gate}
    return GateOptions.of(
        {
            "contract": settings.contract,
            "laws": "exact",
            "profile": "quick" if settings.profile == "quick" else "standard",
            "seed": settings.seed,
            "args": dict(settings.args),
            "name": settings.optimizer,
            **typed,
        }
    )


def _settled(config: pytest.Config) -> PluginSettings:
    option = config.option
    found = dict(_outside(config.rootpath))
    for name in CHECKS:
        given = getattr(option, f"ilr_{name}")
        if given is not None:
            found[name] = given
    if option.ilr_world and option.ilr_optimizer:
        raise ValueError(
            f"--ilr-world {option.ilr_world} states another SGD, and --ilr-optimizer {option.ilr_optimizer} "
            "names an optimizer that is judged as it is; leave one of them out"
        )
    gate = {name: value for name in IN_PYTEST if (value := getattr(option, f"ilr_{name}"))}
    if not option.ilr_optimizer:
        if option.ilr_arg:
            raise ValueError(
                f"--ilr-arg {option.ilr_arg[0][0]} has no optimizer to go to; add --ilr-optimizer TARGET"
            )
        for name in ("contract", *gate):
            value = getattr(option, f"ilr_{name}")
            if value:
                raise ValueError(
                    f"--ilr-{flag_of(name)} {_shown(value)} has no optimizer to judge; "
                    "add --ilr-optimizer TARGET"
                )
    return PluginSettings(
        **found,
        examples=option.ilr_examples,
        allow_inconclusive=option.ilr_allow_inconclusive,
        report=option.ilr_report,
        optimizer=option.ilr_optimizer or "",
        args=tuple(option.ilr_arg),
        world=option.ilr_world or "",
        gate=tuple((name, tuple(value) if name in PAIRS else value) for name, value in gate.items()),
    )


def _outside(rootpath: Path) -> Iterator[tuple[str, Any]]:
    """Yield settings from pyproject.toml, then from the environment, each checked like an option."""
    from ilr_check.settings import PREFIX, from_toml

    table = from_toml(rootpath)
    for name, check in CHECKS.items():
        variable = PREFIX + name.upper()
        for where, value in (("[tool.ilr_check]", table.get(name)), (variable, os.environ.get(variable))):
            if value is None or value in NOT_FOR_PYTEST.get(name, ()):
                continue
            try:
                yield name, check(str(value))
            except argparse.ArgumentTypeError as error:
                raise ValueError(f"{name} of {where}: {error}") from error


def one_of(allowed: tuple[str, ...]) -> Callable[[str], str]:
    """Return a parser of one word out of a list."""

    def parse(text: str) -> str:
        if text not in allowed:
            raise argparse.ArgumentTypeError(f"{text!r} is not known; choose one of {', '.join(allowed)}")
        return text

    return parse


def seed(text: str) -> int:
    """Parse a seed."""
    from ilr_check.seeds import MAX_SEED, checked_seed

    try:
        return checked_seed(int(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"{text!r} is out of range; give a whole number from 0 to {MAX_SEED}"
        ) from error


def examples(text: str) -> int:
    """Parse a number of examples."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a number of examples; give a whole number from 1 on"
        )
    return int(text)


def report_file(text: str) -> Path:
    """Parse the name of a file that can be written."""
    path = Path(text).absolute()
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise argparse.ArgumentTypeError(f"{text!r} cannot be written; name a file in a folder that exists")
    return path


def argument(text: str) -> tuple[str, Any]:
    """Parse ``name=value``, an argument of the optimizer."""
    from ilr_check.optim.arguments import parse_argument

    try:
        return parse_argument(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


CHECKS: dict[str, Callable[[str], Any]] = {
    "profile": one_of(PROFILES),
    "claims": str,
    "device": one_of(DEVICES),
    "seed": seed,
    "contract": str,
}
"""Options that may also stand in pyproject.toml and in the environment, with their parsers."""
