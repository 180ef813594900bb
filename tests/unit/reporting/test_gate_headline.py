"""Where one defect breaks many laws, one sentence comes first."""

import html
import io

import pytest
from gate_reports import finding, report
from rich.console import Console

from ilr_check.evidence import Finding
from ilr_check.reporting import gate_page, gate_words, markdown
from ilr_check.reporting.gate_terminal import GateTerminal

BIAS = "there is no bias correction"
DECAY = "weight decay per step is lr^2*wd, expected lr*wd"


def said(law: str, diagnosis: str) -> Finding:
    return finding(law, diagnosis=diagnosis)


@pytest.mark.parametrize(
    ("found", "headline"),
    [
        ([said("a", "one")], ""),
        ([said("a", "one"), finding("b", "holds")], ""),
        (
            [
                said("a", "the step is 2 times the textbook's"),
                said("b", BIAS),
                said("c", f"around eps, {BIAS}"),
            ],
            f"probably one cause: {BIAS} (3 laws broke)",
        ),
        (
            [said("a", BIAS), said("b", BIAS), said("decay-coupling", DECAY)],
            f"probably one cause: {DECAY} (3 laws broke)",
        ),
        (
            [said("a", BIAS), said("b", BIAS), said("decay-coupling", "weight decay has no effect")],
            f"probably one cause: {BIAS} (3 laws broke)",
        ),
        ([said("a", "one"), said("b", "two")], "probably one cause: one (2 laws broke)"),
    ],
    ids=[
        "one law",
        "one of two",
        "shared by most",
        "fitted law first",
        "only where fitted",
        "else the first",
    ],
)
def test_the_most_telling_sentence_is_chosen(found: list[Finding], headline: str) -> None:
    assert gate_words.headline(report(*found)) == headline


def test_every_output_says_it_before_the_laws() -> None:
    shown = report(said("first-law", BIAS), said("second-law", f"at zero gradient, {BIAS}"))
    stream = io.StringIO()
    GateTerminal(Console(file=stream, width=200)).finished(shown)
    assert stream.getvalue().splitlines()[1] == f"probably one cause: {BIAS} (2 laws broke)"
    lead = f"Probably one cause: {BIAS} (2 laws broke). 0 of 2 laws"
    assert lead in gate_page.render(shown)
    assert lead in html.unescape(markdown.render(shown))


@pytest.mark.parametrize(
    ("found", "echoes"),
    [
        ([said("a", BIAS)], set()),
        ([said("a", BIAS), said("b", f"around eps, {BIAS}")], {"b"}),
        ([said("a", BIAS), said("b", BIAS), said("c", f"0.5 times that; {gate_words.NAMELESS}")], {"b", "c"}),
        ([said("a", BIAS), said("b", BIAS), said("b", "and the lr is cached")], set()),
        ([said("a", f"0.5 times that; {gate_words.NAMELESS}"), said("b", BIAS), said("c", BIAS)], {"a", "c"}),
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
    assert "1 more broken law says the same" in text
