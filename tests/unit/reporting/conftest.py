"""The made-up run folder is shared with the browser tests."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "browser"))

import synthetic_run

from ilr_check.evidence import RunFolder


@pytest.fixture
def healthy(tmp_path: Path) -> RunFolder:
    """A run in which everything holds."""
    return synthetic_run.build(tmp_path / "healthy", hostile=False)


@pytest.fixture
def hostile(tmp_path: Path) -> RunFolder:
    """A run with every verdict word, hostile names and numbers that are none."""
    return synthetic_run.build(tmp_path / "hostile")
