"""The gate's laws under pytest: which optimizer is judged, by which contract, and the message of a failing
law."""

import textwrap
from pathlib import Path
from xml.etree import ElementTree

import pytest

pytest_plugins = ["pytester"]

PROPERTIES = Path(__file__).parents[2] / "properties"

DECAYS_BY_SQUARE = """
    import torch

    class Squared(torch.optim.AdamW):
        def __init__(self, params, lr=1e-3, weight_decay=1e-2):
            super().__init__(params, lr=lr, weight_decay=weight_decay)

        def step(self, closure=None):
            kept = [group["weight_decay"] for group in self.param_groups]
            for group in self.param_groups:
                group["weight_decay"] *= group["lr"]
            result = super().step(closure)
            for group, decay in zip(self.param_groups, kept):
                group["weight_decay"] = decay
            return result
"""


OPTIONS = ("-p", "no:cacheprovider", "-c", "/dev/null")


def run(pytester: pytest.Pytester, *options: str) -> pytest.RunResult:
    """Run a session in this process, which has imported everything. Imports would take seconds in each."""
    return pytester.runpytest_inprocess(*OPTIONS, *options)


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.nightly)])
def test_a_broken_law_says_what_to_mend_in_every_output(pytester: pytest.Pytester, workers: int) -> None:
    """With and without pytest-xdist, with stock JUnit XML and the report, where warnings are errors."""
    pytester.makepyfile(mine=textwrap.dedent(DECAYS_BY_SQUARE))
    result = pytester.runpytest_subprocess(
        *OPTIONS,
        f"{PROPERTIES}/test_gate.py",
        f"-n{workers}",
        "-Werror",
        "-k=descent or decay-coupling",
        "--ilr-optimizer=mine.py:Squared",
        "--ilr-contract=adamw",
        "--junitxml=junit.xml",
        "--ilr-report=report.html",
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "decay-coupling is violated (zero gradient): weight decay per step is lr^2*wd, expected lr*wd",
            "  at: *mine.py:*",
            "  reproduce: *",
            "  replay: ilr-check gate mine.py:Squared --contract adamw --laws decay-coupling",
        ]
    )
    cases = ElementTree.parse(pytester.path / "junit.xml").iter("testcase")
    found = {
        case.get("name"): {p.get("name"): p.get("value") for p in case.iter("property")} for case in cases
    }
    properties = found["test_keeps_its_contract[decay-coupling]"]
    assert properties["ilr.verdict"] == "violated"
    assert properties["ilr.contract"] == "contract adamw (named by the caller)"
    assert properties["ilr.diagnosis"] == "weight decay per step is lr^2*wd, expected lr*wd"
    page = (pytester.path / "report.html").read_text(encoding="utf-8")
    assert "weight decay per step is lr^2*wd" in page
    assert "Decay per step is lr*wd" in page  # the title of the law


def test_laws_of_sgd_are_not_asked_of_another_family(pytester: pytest.Pytester) -> None:
    selection = [f"{PROPERTIES}/test_exact.py", "-k=norm-recursion and generated", "-rs"]
    result = run(pytester, *selection, "--ilr-optimizer=torch.optim:AdamW")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED *the exact laws of trainings are those of SGD; *contract adamw*"])


def test_a_law_that_does_not_apply_is_skipped_with_its_reason(pytester: pytest.Pytester) -> None:
    """Rprop has no weight decay in its groups, so the exact laws cannot vary it. The gate does not need
    it."""
    selection = [f"{PROPERTIES}/test_gate.py", "-k=descent or decay-zero-gradient", "-rs"]
    result = run(pytester, *selection, "--ilr-optimizer=torch.optim:Rprop", "--ilr-contract=rprop")
    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED *: the family has no weight decay*"])


def test_without_an_optimizer_the_gate_says_how_to_name_one(pytester: pytest.Pytester) -> None:
    result = run(pytester, f"{PROPERTIES}/test_gate.py", "-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED *no optimizer was named; add --ilr-optimizer TARGET"])


@pytest.mark.parametrize(("fail_on", "failed"), [("defect", 0), ("fragility", 1)])
def test_a_fragility_fails_where_the_session_asks_for_it(
    pytester: pytest.Pytester, fail_on: str, failed: int
) -> None:
    """torch shares a tensor lr between groups, which is a fragility."""
    selection = [f"{PROPERTIES}/test_gate.py", "-k=tensor-lr", "-rA"]
    result = run(
        pytester,
        *selection,
        "--ilr-optimizer=torch.optim:SGD",
        "--ilr-contract=sgd",
        f"--ilr-fail-on={fail_on}",
    )
    result.assert_outcomes(passed=1 - failed, failed=failed)
    result.stdout.fnmatch_lines(["*one tensor is the lr of two groups*"])


def test_a_tag_and_a_declaration_reach_the_gate(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(mine=textwrap.dedent(DECAYS_BY_SQUARE))
    selection = [f"{PROPERTIES}/test_gate.py", "-k=tensor-lr or decay-coupling", "-rs"]
    result = run(
        pytester,
        *selection,
        "--ilr-optimizer=mine.py:Squared",
        "--ilr-contract=adamw",
        "--ilr-tag=tensor_lr=False",
        "--ilr-declare=decay_law=lr^2*wd",
    )
    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED *: it declares that its lr is a number"])
