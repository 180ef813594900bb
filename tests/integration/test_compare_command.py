"""``ilr-check compare A B`` for two optimizers: the first difference in words, and the fingerprints side by
side."""

from __future__ import annotations

import json

import pytest

from ilr_check import cli
from ilr_check.commands.compare import side_by_side


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["compare", *words])
    assert isinstance(stopped.value.code, int)
    return stopped.value.code


def test_adam_and_adamw_differ_in_their_decay_alone(capfd: pytest.CaptureFixture[str]) -> None:
    assert run("torch.optim:Adam", "torch.optim:AdamW", "--json", "-") == 1
    found = json.loads(capfd.readouterr().out)
    assert found["difference"].startswith("The steps are the same without weight decay. The decay differs:")
    assert found["scenarios"]["gradients alone"]["verdict"] == "holds"
    assert len(found["fingerprints"]) == 2


def test_an_optimizer_is_itself(capfd: pytest.CaptureFixture[str]) -> None:
    assert run("torch.optim:SGD", "torch.optim:SGD") == 0
    out = capfd.readouterr().out
    assert "make the same steps in" in out
    assert not [line for line in out.splitlines() if line.startswith("*")]


def test_what_is_no_target_is_refused(capfd: pytest.CaptureFixture[str]) -> None:
    assert run("sgd", "torch.optim:SGD") == 2
    assert "'sgd' is neither an optimizer nor a run; write package.module:Name" in capfd.readouterr().err


def test_lines_that_differ_are_marked() -> None:
    label = "first step".ljust(22)
    assert side_by_side([f"{label}lr^1"], [f"{label}lr^2"]) == [f"* {label}lr^1  lr^2"]
