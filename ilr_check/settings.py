"""Settings outside the command line: [tool.ilr_check] in pyproject.toml, and ILR_CHECK_* in the
environment."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

from ilr_check.spelling import did_you_mean

PREFIX = "ILR_CHECK_"
KEYS = {
    "profile": str,
    "claims": str,
    "seed": int,
    "device": str,
    "out": str,
    "threads": int,
    "jobs": int,
    "executor": str,
    "contract": str,
    "cifar10": str,
    "mnist": str,
    "text": str,
}
"""The settings and their types. The command line has priority over the environment, and that over the
file."""


def from_toml(start: Path | None = None) -> dict[str, Any]:
    """Return the table [tool.ilr_check] of the nearest pyproject.toml. Raises ``ValueError`` for an unknown
    key."""
    for folder in (here := (start or Path.cwd()).resolve(), *here.parents):
        candidate = folder / "pyproject.toml"
        if candidate.is_file():
            return _table(candidate)
    return {}


def check_environment() -> None:
    """Refuse ILR_CHECK_* variables that nothing reads, because they are typing errors."""
    for name in os.environ:
        if name.startswith(PREFIX) and name.removeprefix(PREFIX).lower() not in KEYS:
            _refuse("environment variable", name, [PREFIX + key.upper() for key in KEYS])


def _table(path: Path) -> dict[str, Any]:
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not valid TOML: {error}") from error
    table = found.get("tool", {}).get("ilr_check", {})
    if not isinstance(table, dict):
        raise ValueError(f"[tool.ilr_check] in {path} is {table!r}; it must be a table")
    for key, value in table.items():
        if key not in KEYS:
            _refuse(f"[tool.ilr_check] in {path}: key", key, list(KEYS))
        if not isinstance(value, KEYS[key]) or isinstance(value, bool):
            raise ValueError(
                f"[tool.ilr_check] in {path}: {key}={value!r} must be of type {KEYS[key].__name__}"
            )
    return dict(table)


def _refuse(where: str, name: str, known: list[str]) -> None:
    raise ValueError(
        f"{where} {name!r} is not known; {did_you_mean(name, known)}known are {', '.join(known)}"
    )
