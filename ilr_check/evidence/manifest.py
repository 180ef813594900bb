"""The manifest records the plan of a run, with its versions, seeds and error budget."""

from __future__ import annotations

import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec

from ilr_check.evidence.records import SCHEMA_VERSION


class ClaimText(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of a claim that a reader needs to understand its verdicts. They are copied into the run
    folder."""

    id: str
    title: str
    statement: str
    equation: str
    source: str
    kind: str
    chapter: str
    groups: tuple[str, ...]
    rivals: tuple[str, ...]
    meaning: str
    """What a violation means, for the person who has to act on it."""
    blind: str = ""
    """What the claim cannot see, although a reader might expect it to."""


class PlannedUnit(msgspec.Struct, frozen=True, kw_only=True):
    """One unit of work. It is either finished or not, and a run resumes unit by unit."""

    key: str
    claim: str
    title: str


class Manifest(msgspec.Struct, kw_only=True):
    """Everything about a run except its verdicts."""

    schema: int = SCHEMA_VERSION
    tool: str = "ilr-check"
    command: str = "verify"
    created: str = ""
    seed: int = 0
    profile: str = "quick"
    device: str = "cpu"
    settings: dict[str, Any] = {}
    versions: dict[str, str] = {}
    hardware: dict[str, Any] = {}
    git: dict[str, Any] | None = None
    claims: tuple[ClaimText, ...] = ()
    units: tuple[PlannedUnit, ...] = ()
    budget: dict[str, Any] = {}
    status: str = "running"
    """running, complete or interrupted"""
    seconds: float = 0.0


def current_versions() -> dict[str, str]:
    """Return the versions of everything whose change may change a verdict."""
    packages = ("ilr-check", "torch", "numpy", "scipy", "hypothesis", "pytest", "scikit-learn", "plotly")
    found = {"python": platform.python_version()}
    for name in packages:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "absent"
    return found


def current_hardware() -> dict[str, Any]:
    """Return the properties of the machine that affect speed and rounding."""
    import os

    import torch

    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name(0) if torch.cuda.is_available() else None,
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
    }


def current_commit(folder: Path | None = None) -> dict[str, Any] | None:
    """Return the git commit of the working folder, or ``None`` where there is none."""

    def ask(*words: str) -> str:
        return subprocess.run(
            ["git", *words], cwd=folder, capture_output=True, text=True, check=True, timeout=10
        ).stdout.strip()

    try:
        return {"commit": ask("rev-parse", "HEAD"), "dirty": bool(ask("status", "--porcelain"))}
    except (OSError, subprocess.SubprocessError):
        return None


def command_line() -> str:
    """Return the command as the user typed it, for the report."""
    return " ".join(["ilr-check", *sys.argv[1:]])
