"""The worlds of docs/worlds.md, executed as they stand on the page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import ilr_check
from ilr_check.train.world import HOOKS, named_world

PAGE = (Path(__file__).parents[2] / "docs" / "worlds.md").read_text(encoding="utf-8")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    code = next(
        block for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if "# worlds.py" in block
    )
    path = tmp_path / "worlds.py"
    path.write_text(code, encoding="utf-8")
    return path


def test_the_table_names_every_hook() -> None:
    assert [hook for hook in HOOKS if f"| `{hook}(" not in PAGE] == []


@pytest.mark.parametrize("name", ["StrongDecay", "LateLR", "SteepGradient", "FewBrokenRuns"])
def test_each_world_of_the_page_is_one(file: Path, name: str) -> None:
    assert named_world(f"{file}:{name}").name == name


def test_the_command_of_the_page_finds_the_strong_decay(file: Path, tmp_path: Path) -> None:
    run = ilr_check.verify(claims="norm-recursion", world=f"{file}:StrongDecay", out=tmp_path / "run")
    assert run.exit_code == 1
    judged = [record for record in run.records if record.verdict == "violated"]
    assert judged
    assert all(f"--world {file}:StrongDecay" in record.replay for record in judged)
    assert f"World: {file}:StrongDecay" in run.report.read_text(encoding="utf-8")
