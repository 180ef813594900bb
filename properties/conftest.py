"""Collects test_gate.py only if --ilr-optimizer names an optimizer."""

from pathlib import Path

import pytest

from ilr_check.pytest_plugin import SETTINGS


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    unasked = collection_path.name == "test_gate.py" and not config.stash[SETTINGS].optimizer
    return True if unasked else None
