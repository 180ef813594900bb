"""The shipped properties under the plugin: readable failures, replay, JUnit, xdist, the report."""

import shlex
import sys
import textwrap
from pathlib import Path
from xml.etree import ElementTree

import pytest

from ilr_check.claims import catalogue

pytest_plugins = ["pytester"]

PROPERTIES = Path(__file__).parents[2] / "properties"

DECAYS_TWICE = """
    import torch

    class Twice(torch.optim.SGD):
        @torch.no_grad()
        def step(self, closure=None):
            for group in self.param_groups:
                for p in group["params"]:
                    p.mul_(1 - group["lr"] * group["weight_decay"])
            return super().step(closure)
"""

STUBBED = """
    import ilr_check
    from ilr_check.claims.claim import Claim, Finding, Judged, Unit
    from ilr_check.evidence import ClaimText, Margin, Measured

    TEXT = ClaimText(
        id="stub", title="A stub", statement="Says what it is told.", equation="", source="",
        kind="statistical", chapter="mean-field", groups=(), rivals=(), meaning="",
    )

    def plan(profile, seed):
        return [
            Unit(claim="stub", title=f"stub: {word}", subject={"word": word}, decisions=(word,))
            for word in ("holds", "violated", "inconclusive", "raises")
        ]

    def judge(subject, context):
        if subject["word"] == "raises":
            raise ZeroDivisionError("by design")
        return Judged((
            Finding(
                form="transfer", group="w", subject=subject, verdict=subject["word"], quantity="a number",
                measured=Measured(0.3, 0.2, 0.4), expected=0.0, margin=Margin(-0.1, 0.1), message="told so",
            ),
        ))

    ilr_check.register_claim(Claim(text=TEXT, plan=plan, judge=judge))
"""


def run(pytester: pytest.Pytester, *options: str) -> pytest.RunResult:
    """Run a session in this process, which has imported everything. Imports would take seconds in each."""
    return pytester.runpytest_inprocess("-p", "no:cacheprovider", *options)


def run_apart(pytester: pytest.Pytester, *options: str) -> pytest.RunResult:
    """Run a session in a process of its own, which may register claims."""
    return pytester.runpytest_subprocess("-p", "no:cacheprovider", *options)


@pytest.fixture
def stubbed(pytester: pytest.Pytester) -> pytest.Pytester:
    """Return a folder with properties of one claim, whose verdict the test chooses."""
    pytester.makeconftest(textwrap.dedent(STUBBED))
    source = (PROPERTIES / "test_mean_field.py").read_text(encoding="utf-8")
    pytester.makepyfile(test_stubbed=source)
    return pytester


def test_an_open_verdict_may_be_allowed(stubbed: pytest.Pytester) -> None:
    result = run_apart(stubbed, "--ilr-claims=stub", "--ilr-allow-inconclusive")
    result.assert_outcomes(passed=2, failed=2)


def test_a_failure_says_all_that_is_needed_and_an_open_verdict_fails(stubbed: pytest.Pytester) -> None:
    result = run_apart(stubbed, "--ilr-claims=stub")
    result.assert_outcomes(passed=1, failed=3)
    result.stdout.fnmatch_lines(
        [
            "stub is violated (transfer, w): Says what it is told.",
            "  measured: a number = 0.3 [[]0.2, 0.4]",
            "  expected: 0, margin: [[]-0.1, 0.1]",
            "  why: told so",
            '  spec: {"word":"violated"}',
            '  replay: ilr-check replay \'{"claim":"stub","subject":{"word":"violated"},"unit_seed":*}\'',
        ]
    )
    result.stdout.fnmatch_lines(["stub is error *", "  why: ZeroDivisionError: by design (*)"])


def test_junit_properties_report_and_workers(stubbed: pytest.Pytester) -> None:
    """Under pytest-xdist, with stock JUnit XML, and with the verdicts of both workers in one report."""
    result = run_apart(
        stubbed, "--ilr-claims=stub", "-n2", "--junitxml=junit.xml", "--ilr-report=report.html"
    )
    result.assert_outcomes(passed=1, failed=3)
    result.stdout.fnmatch_lines(["ilr-check: report of 4 verdicts: *report.html"])
    cases = ElementTree.parse(stubbed.path / "junit.xml").iter("testcase")
    found = {
        case.get("name"): {p.get("name"): p.get("value") for p in case.iter("property")} for case in cases
    }
    properties = found["test_holds[stub: violated]"]
    assert properties["ilr.claim"] == "stub"
    assert properties["ilr.verdict"] == "violated"
    assert properties["ilr.measured"] == "violated: transfer, w: a number = 0.3, expected 0"
    assert properties["ilr.replay"].startswith("ilr-check replay '{")
    page = (stubbed.path / "report.html").read_text(encoding="utf-8")
    assert all(word in page for word in ("violated", "inconclusive", "ZeroDivisionError"))


def test_a_broken_optimizer_fails_with_a_shrunk_example_that_replays(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(mine=textwrap.dedent(DECAYS_TWICE))
    selection = [f"{PROPERTIES}/test_exact.py::test_holds_on_generated_nets", "-k", "norm-recursion"]
    result = run(pytester, *selection, "--ilr-optimizer=mine.py:Twice", "-c", "/dev/null")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "norm-recursion is violated: *",
            "  measured: *",
            "  expected: 0, margin: 1 *",
            "Failing test case: norm_recursion(*",
        ]
    )
    (line,) = {
        line.strip() for line in result.outlines if line.startswith("  replay: ") and "norm-recursion" in line
    }
    words = shlex.split(line.removeprefix("replay: "))
    assert '"widths":[1]' in words[-1]
    again = pytester.run(sys.executable, "-m", "ilr_check", *words[1:])
    assert again.ret == 1
    again.stdout.fnmatch_lines(["*violated*"])


def test_a_world_breaks_a_law_and_its_line_replays(pytester: pytest.Pytester) -> None:
    world = """
        class Twice:
            def gradient(self, name, gradient, weights, step):
                return 2 * gradient
    """
    pytester.makepyfile(mine=textwrap.dedent(world))
    selection = [
        f"{PROPERTIES}/test_exact.py::test_holds_on_generated_nets",
        "-k",
        "norm-recursion or scale-invariance",
    ]
    result = run(pytester, *selection, "--ilr-world=mine.py:Twice", "-c", "/dev/null", "-rs")
    result.assert_outcomes(failed=1, skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED *: the claim takes no optimizer steps, so world 'Twice' *"])
    (line,) = {line.strip() for line in result.outlines if line.startswith("  replay: ")}
    assert line.endswith("--world mine.py:Twice")
    again = pytester.run(sys.executable, "-m", "ilr_check", *shlex.split(line.removeprefix("replay: "))[1:])
    assert again.ret == 1
    again.stdout.fnmatch_lines(["*violated*"])


@pytest.mark.nightly
def test_two_workers_judge_the_shipped_properties(pytester: pytest.Pytester) -> None:
    selection = [f"{PROPERTIES}/test_exact.py", "-k", "norm-recursion and BatchNorm"]
    result = run_apart(pytester, *selection, "-n2", "-c", "/dev/null", "--ilr-report=report.html")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["ilr-check: report of 2 verdicts: *report.html"])


def test_all_claims_are_listed(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        listing="""
        def pytest_collection_finish(session):
            found = {mark.args[0] for item in session.items for mark in item.iter_markers("claim")}
            print("listed", *sorted(found))
        """
    )
    pytester.syspathinsert()
    options = ("--ilr-claims=all", "--collect-only", "-c", "/dev/null", "-p", "listing")
    result = run(pytester, str(PROPERTIES), *options)
    assert f"listed {' '.join(sorted(catalogue()))}" in result.outlines


def test_a_chapter_without_a_chosen_claim_says_how_to_choose_one(pytester: pytest.Pytester) -> None:
    result = run(pytester, f"{PROPERTIES}/test_function_space.py", "-c", "/dev/null", "-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*--ilr-claims core,exact has no function-space claim; *"])
