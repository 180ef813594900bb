"""The GitHub Action: its inputs reach the command only as variables, and its options exist."""

import re
from pathlib import Path
from typing import Any

import pytest

from ilr_check.commands.gate import gate

yaml = pytest.importorskip("yaml")
ACTION = Path(__file__).parents[2] / "action.yml"


@pytest.fixture(scope="module")
def action() -> Any:
    return yaml.safe_load(ACTION.read_text("utf-8"))


def test_no_input_is_pasted_into_a_script(action: Any) -> None:
    assert action["runs"]["using"] == "composite"
    assert all("${{" not in step["run"] for step in action["runs"]["steps"])


def test_every_option_of_the_action_is_one_of_the_command(action: Any) -> None:
    known = {word for option in gate.params for word in option.opts}
    script = action["runs"]["steps"][-1]["run"]
    used = set(re.findall(r"--[a-z-]+", script))
    assert used
    assert used <= known


def test_every_input_is_used(action: Any) -> None:
    handed = set(re.findall(r"inputs\.([a-z-]+)", str(action["runs"]["steps"][-1]["env"])))
    assert handed == set(action["inputs"])
