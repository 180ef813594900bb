"""Every printed snippet reproduces the number in its finding. A snippet that would not is not shown."""

from __future__ import annotations

import contextlib
import io
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import ilr_check
from ilr_check.gate.words.explanation import looks_like, two_sizes
from ilr_check.optim.target import import_target

OPTIMIZERS = """
import torch

class TwiceTheDecay(torch.optim.AdamW):
    def __init__(self, params, lr=1e-3, weight_decay=0.01):
        super().__init__(params, lr=lr, weight_decay=2 * weight_decay)

class FirstGroupsRate(torch.optim.SGD):
    def __init__(self, params, lr=0.1, weight_decay=0.0):
        super().__init__(params, lr=lr, weight_decay=weight_decay)
    def step(self, closure=None):
        kept = [group["lr"] for group in self.param_groups]
        for group in self.param_groups:
            group["lr"] = kept[0]
        done = super().step(closure)
        for group, lr in zip(self.param_groups, kept):
            group["lr"] = lr
        return done

class FirstBetasOfForeach(torch.optim.AdamW):
    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), weight_decay=0.01, foreach=False):
        super().__init__(params, lr=lr, betas=betas, weight_decay=weight_decay, foreach=foreach)
    def step(self, closure=None):
        kept = [group["betas"] for group in self.param_groups]
        for group in self.param_groups:
            if group["foreach"]:
                group["betas"] = kept[0]
        done = super().step(closure)
        for group, betas in zip(self.param_groups, kept):
            group["betas"] = betas
        return done

class LateGroupsAreOlder(torch.optim.Adam):
    def step(self, closure=None):
        self.count = getattr(self, "count", 0) + 1
        for group in self.param_groups:
            for p in group["params"]:
                if self.state[p]:
                    self.state[p]["step"].fill_(self.count - 1)
        done = super().step(closure)
        return done

class SlightlyMore(torch.optim.SGD):
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.grad = p.grad * (1 + 3e-5)
        return super().step(closure)
"""
LAWS = "textbook-step,decay-coupling,alone,mixed-dtypes,low-precision,tensor-shapes,memory"


def printed_by(snippet: str) -> float:
    """Return the number that a snippet prints. It runs here, since each process would import torch."""
    out, before = io.StringIO(), torch.get_default_dtype()
    try:
        with contextlib.redirect_stdout(out):
            exec(snippet, {"__name__": "__main__"})
    finally:
        torch.set_default_dtype(before)
    return float(out.getvalue())


def test_a_snippet_needs_nothing_of_this_process(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(OPTIMIZERS)
    target = f"{file}:TwiceTheDecay"
    result = ilr_check.check_optimizer(
        import_target(target), contract="adamw", laws="decay-zero-gradient", name=target
    )
    snippet = next(finding.snippet for finding in result.violated if finding.snippet)
    done = subprocess.run([sys.executable, "-c", snippet], capture_output=True, text=True)
    assert float(done.stdout) == printed_by(snippet), done.stderr[-500:]


@pytest.mark.parametrize(
    ("name", "contract"), [("TwiceTheDecay", "adamw"), ("FirstGroupsRate", "sgd"), ("SlightlyMore", "sgd")]
)
def test_each_prints_the_number_of_its_finding(tmp_path: Path, name: str, contract: str) -> None:
    file = tmp_path / "mine.py"
    file.write_text(OPTIMIZERS)
    target = f"{file}:{name}"
    result = ilr_check.check_optimizer(import_target(target), contract=contract, laws=LAWS, name=target)
    assert result.violated
    kinds = {f.claim: f for f in result.violated if f.snippet}
    for finding in kinds.values():
        (measured,) = re.findall(r"measured ([^ ,]+), expected", finding.message)
        assert printed_by(finding.snippet) == float(measured), finding.id
    if name == "FirstGroupsRate":
        assert {f.claim for f in result.violated} == {"alone"}
    assert kinds
    if name == "SlightlyMore":
        assert any("relative difference of 3e-05" in f.diagnosis for f in result.violated)


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("FirstGroupsRate", "alone:several groups"),
        ("FirstGroupsRate", "alone:a group added later"),
        ("LateGroupsAreOlder", "alone:a group added later"),
        ("FirstBetasOfForeach", "switches:foreach, an option of each group"),
    ],
)
def test_a_finding_about_two_groups_prints_its_number(tmp_path: Path, name: str, group: str) -> None:
    file = tmp_path / "mine.py"
    file.write_text(OPTIMIZERS)
    target = f"{file}:{name}"
    law = group.partition(":")[0]
    result = ilr_check.check_optimizer(
        import_target(target), contract=None, laws=law, name=target, fail_on="departure"
    )
    found = {f.id: f for f in result.violated}[group]
    (measured,) = re.findall(r"measured ([^ ,]+), expected 0", found.message)
    assert printed_by(found.snippet) == float(measured) > 0
    assert "add_param_group" in found.snippet or "later" not in group


def test_no_sentence_says_a_size_and_expects_the_same(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(OPTIMIZERS)
    result = ilr_check.check_optimizer(
        import_target(f"{file}:SlightlyMore"), contract="sgd", laws="textbook-step"
    )
    for finding in result.violated:
        pairs = re.findall(r"by (\S+), expected (\S+?)[:;]", finding.diagnosis)
        assert all(one != other for one, other in pairs)
        assert "relative difference" in finding.diagnosis


def test_a_difference_of_that_size_is_told_to_look_like_an_arithmetic() -> None:
    assert "looks like float32 arithmetic" in looks_like(2.0**-24)
    assert "looks like bfloat16 arithmetic" in looks_like(2.0**-8)
    assert looks_like(1e-12) == looks_like(0.5) == ""


@pytest.mark.parametrize(
    ("moved", "meant", "told"),
    [
        (0.1, 0.2, "0.1, expected 0.2: 0.5 times as much"),
        (-0.2, 0.04, "-0.2, expected 0.04: the other way, 5 times as much"),
        (0.0, -0.3, "0, expected -0.3: it did not move"),
        (0.3, 0.0, "0.3, expected 0"),
    ],
)
def test_two_sizes_are_told_without_a_negative_number_of_times(moved: float, meant: float, told: str) -> None:
    assert two_sizes(moved, meant) == told
