"""Where one defect breaks many laws, one sentence comes first."""

import html
import io
from typing import Any

import pytest
from gate_reports import finding, report
from rich.console import Console

from ilr_check.evidence import Coverage, Finding
from ilr_check.reporting import gate_page, gate_words, markdown
from ilr_check.reporting.gate_causes import NAMELESS
from ilr_check.reporting.gate_terminal import GateTerminal

BIAS = "there is no bias correction"
DECAY = "weight decay per step is lr^2*wd, expected lr*wd"


def said(law: str, diagnosis: str, **changes: Any) -> Finding:
    return finding(law, diagnosis=diagnosis, **changes)


@pytest.mark.parametrize(
    ("found", "headline"),
    [
        ([said("a", "one")], ""),
        ([said("a", "one"), finding("b", "holds")], ""),
        (
            [
                said("a", "the step is 2 times the reference's"),
                said("b", BIAS),
                said("c", f"around eps, {BIAS}"),
            ],
            f"2 causes: {BIAS} (2 laws); the step is 2 times the reference's (1 law)",
        ),
        (
            [said("a", BIAS), said("b", BIAS), said("decay-coupling", DECAY)],
            f"2 causes: {DECAY} (1 law); {BIAS} (2 laws)",
        ),
        ([said("a", BIAS), said("b", f"in float32 weights, {BIAS}")], f"one cause: {BIAS} (2 laws)"),
        (
            [said("a", "ends elsewhere, by 0.25"), said("b", "ends elsewhere, by 1e-3")],
            "one cause: ends elsewhere, by 0.25 (2 laws)",
        ),
        (
            [said("a", f"0.5 times; {NAMELESS}"), said("b", f"0.7 times; {NAMELESS}")],
            f"one cause: 0.5 times; {NAMELESS} (2 laws)",
        ),
        (
            [said("a", f"0.5 times; {NAMELESS}"), said("b", BIAS), said("c", BIAS)],
            f"one cause: {BIAS} (2 laws)",
        ),
        (
            [said("a", "it prints", severity="fragility"), said("b", BIAS)],
            f"2 causes: {BIAS} (1 law); it prints (fragility, 1 law)",
        ),
    ],
    ids=[
        "one law",
        "one of two",
        "two causes",
        "fitted law first",
        "after words of its own",
        "numbers aside",
        "none explained",
        "one explained",
        "the gravest first",
    ],
)
def test_laws_are_grouped_by_their_cause(found: list[Finding], headline: str) -> None:
    assert gate_words.headline(report(*found)) == headline


def test_every_output_says_it_before_the_laws() -> None:
    shown = report(
        said("first-law", BIAS),
        said("second-law", f"at zero gradient, {BIAS}"),
        coverage=Coverage(judged=("first-law", "second-law")),
    )
    stream = io.StringIO()
    GateTerminal(Console(file=stream, width=200)).finished(shown)
    first, _, third = stream.getvalue().splitlines()[:3]
    assert first == "judged 2 of 2 laws"
    assert third == f"one cause: {BIAS} (2 laws)"
    lead = f"Judged 2 of 2 laws. One cause: {BIAS} (2 laws). To act on: first-law, second-law."
    page = gate_page.render(shown)
    assert page.index("Judged 2 of 2 laws.") < page.index(f"{BIAS}</a> (2 laws)") < page.index('id="act"')
    assert lead in html.unescape(markdown.render(shown))


@pytest.mark.parametrize(
    ("found", "echoes"),
    [
        ([said("a", BIAS)], set()),
        ([said("a", BIAS), said("b", f"around eps, {BIAS}")], {"b"}),
        ([said("a", BIAS), said("b", BIAS), said("c", f"0.5 times that; {NAMELESS}")], {"b", "c"}),
        ([said("a", BIAS), said("b", BIAS), said("b", "and the lr is cached")], set()),
        ([said("a", f"0.5 times that; {NAMELESS}"), said("b", BIAS), said("c", BIAS)], {"a", "c"}),
        ([said("a", BIAS), said("b", BIAS), finding("c", "error", diagnosis=BIAS)], {"b"}),
    ],
    ids=["one law", "after words of its own", "figures only", "says more", "figures go first", "an error"],
)
def test_a_law_that_adds_nothing_is_an_echo(found: list[Finding], echoes: set[str]) -> None:
    assert {law.text.id for law in gate_words.echoes(report(*found))} == echoes


def test_the_terminal_tells_the_cause_once_and_counts_the_rest() -> None:
    cases = [
        said("first-law", BIAS),
        said("first-law", BIAS),
        said("second-law", f"at zero gradient, {BIAS}"),
    ]
    stream = io.StringIO()
    GateTerminal(Console(file=stream, width=200)).finished(report(*cases))
    text = stream.getvalue()
    assert "VIOLATED: first-law" in text
    assert "  and 1 more case\n" in text
    assert "VIOLATED: second-law" not in text
    assert "1 more law fails, probably for the reasons above" in text


@pytest.mark.parametrize(
    ("contract", "found", "says", "code"),
    [
        ("sgd", "holds", "The optimizer obeys its contract.", "every claim that was run holds"),
        ("", "holds", "Every law that was judged holds.", "every claim that was run holds"),
        (
            "",
            "violated",
            "Every law that was judged holds, apart from 1 fragility.",
            "1 fragility found, which does not decide (--fail-on defect)",
        ),
    ],
)
def test_a_green_end_names_what_did_not_decide(contract: str, found: str, says: str, code: str) -> None:
    shown = report(
        finding("closure", found, severity="fragility"), contract=contract, verdict="holds", exit_code=0
    )
    assert gate_words.answer(shown) == says
    assert gate_words.exit_meaning(shown) == code
