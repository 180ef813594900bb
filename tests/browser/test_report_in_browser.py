"""The report in a real browser: no console error, no exception, no outside request; and it can be used."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import synthetic_run
from chromium import NAMES, SETTLED, Chromium, find_browser

from ilr_check.reporting import write_report

FIGURES = 5


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    binary = find_browser()
    if binary is None:
        pytest.skip(f"no browser on this machine (looked for {', '.join(NAMES)})")
    with Chromium(binary) as running:
        yield running


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Address of a report with every verdict word, every series kind, hostile names and NaN."""
    folder = synthetic_run.build(tmp_path_factory.mktemp("run") / "hostile")
    return write_report(folder).as_uri()


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Address of a report in which everything holds: all questions are folded up."""
    return write_report(synthetic_run.build(tmp_path_factory.mktemp("run") / "fine", hostile=False)).as_uri()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_the_report_is_silent_and_complete(browser: Chromium, report: str, width: int, dark: bool) -> None:
    browser.view(width=width, dark=dark)
    complaints = browser.open(report)
    assert not complaints, complaints
    assert browser.evaluate("document.documentElement.dataset.drawn") == "all"
    assert browser.evaluate("document.querySelectorAll('.canvas > .plot-container').length") == FIGURES
    assert browser.evaluate("document.querySelectorAll('.canvas .trace, .canvas .bars').length") >= 15
    overhang = browser.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert overhang <= 0, f"the page scrolls sideways by {overhang} pixels"
    assert browser.evaluate("document.querySelectorAll('img').length") == 0


def test_the_drawings_follow_the_colour_scheme(browser: Chromium, report: str) -> None:
    ink = "getComputedStyle(document.querySelector('.canvas .xtick text')).fill"
    paper = "getComputedStyle(document.body).backgroundColor"
    seen = []
    browser.view(dark=False)
    browser.open(report)
    for _ in ("auto", "light", "dark"):
        seen.append((browser.evaluate(ink), browser.evaluate(paper)))
        browser.evaluate("document.getElementById('theme').click()")
    assert seen[0] == seen[1] != seen[2]
    assert browser.evaluate("localStorage.getItem('ilr-check-scheme')") == "auto"
    browser.view(dark=True)
    browser.evaluate(SETTLED)
    assert (browser.evaluate(ink), browser.evaluate(paper)) == seen[2]


def test_the_verdict_table_expands_filters_and_links(browser: Chromium, report: str) -> None:
    browser.view()
    browser.open(report)
    shown = "[...document.querySelectorAll('.claim-row')].filter(row => !row.hidden).length"
    inner = "document.querySelector('.inner').offsetHeight > 0"
    assert browser.evaluate(shown) == 6
    assert browser.evaluate(inner) is False
    browser.evaluate("document.querySelector('.expand').click()")
    assert browser.evaluate(inner) is True
    browser.evaluate("document.querySelector('[data-filter=violated]').click()")
    assert browser.evaluate(shown) == 2
    browser.evaluate("document.querySelector('[data-filter=violated]').click()")
    assert browser.evaluate(shown) == 6
    browser.evaluate("location.hash = '#r-sqrt-transfer'")
    browser.evaluate("new Promise(done => setTimeout(done, 50))")
    assert browser.evaluate("document.getElementById('r-sqrt-transfer').open") is True
    assert not browser.complaints


def test_a_question_is_one_hop_from_the_top_and_draws_its_figure_when_opened(
    browser: Chromium, healthy: str
) -> None:
    browser.view()
    browser.open(healthy)
    question = "document.getElementById('question-R1.a')"
    drawn = f"{question}.querySelectorAll('.canvas > .plot-container').length"
    assert browser.evaluate(f"{question}.open") is False
    assert browser.evaluate(drawn) == 0
    browser.evaluate("document.querySelector('.asked a[href=\"#question-R1.a\"]').click()")
    browser.evaluate("new Promise(done => setTimeout(done, 200))")
    assert browser.evaluate(f"{question}.open") is True
    assert browser.evaluate(drawn) == 1
    width = f"{question}.querySelector('.canvas .main-svg').clientWidth"
    assert browser.evaluate(f"{width} > 300 && {width} <= {question}.clientWidth")
    assert abs(browser.evaluate(f"{question}.getBoundingClientRect().top")) < 100
    assert not browser.complaints


def test_a_legend_entry_hides_its_curve_and_a_button_copies_the_replay_line(
    browser: Chromium, report: str
) -> None:
    browser.view()
    browser.open(report)
    curves = "document.querySelectorAll('#claim-mixing-time .canvas .trace').length"
    before = browser.evaluate(curves)
    browser.evaluate("document.querySelector('#claim-mixing-time .series').click()")
    assert browser.evaluate(curves) == before - 1
    browser.evaluate("document.querySelector('.copy').click()")
    browser.evaluate("new Promise(done => setTimeout(done, 50))")
    assert browser.evaluate("document.querySelector('.copy').textContent") == "Copied"
    assert not browser.complaints


def test_paper_shows_everything_in_light_colours_and_leaves_the_page_as_it_was(
    browser: Chromium, report: str, tmp_path: Path
) -> None:
    browser.view(dark=True)
    browser.open(report)
    closed = "document.querySelectorAll('details:not([open])').length"
    before = browser.evaluate(closed)
    browser.evaluate(
        "addEventListener('beforeprint', () => { window.seen = ["
        f"{closed}, document.documentElement.dataset.scheme] }})"
    )
    browser.pdf(tmp_path / "report.pdf")
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
    assert browser.evaluate("window.seen") == [0, "light"]
    assert browser.evaluate(closed) == before > 0
    assert not browser.complaints


def test_without_scripts_the_verdicts_still_stand_there(browser: Chromium, report: str) -> None:
    browser.view()
    browser.call("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.call("Page.navigate", {"url": report})
        browser.call("Page.getLayoutMetrics")
        text = browser.call("Accessibility.getFullAXTree")["nodes"]
    finally:
        browser.call("Emulation.setScriptExecutionDisabled", {"value": False})
    names = " ".join(str(node.get("name", {}).get("value", "")) for node in text)
    assert "The theory does not hold everywhere here." in names
    assert "The squared norm follows its recursion" in names


PAGE = "<!doctype html><meta charset=utf-8><link rel=icon href='data:,'><title>t</title>{}"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("<script>console.error('planted')</script>", "console"),
        ("<script>throw new Error('planted')</script>", "exceptions"),
        ("<script>Promise.reject(new Error('planted'))</script>", "exceptions"),
        ("<script>setTimeout(() => { throw new Error('planted') }, 0)</script>", "exceptions"),
        ("<script src='http://planted.invalid/x.js'></script>", "outside"),
        ("<img src='https://planted.invalid/x.png'>", "outside"),
        ("<style>@import 'http://planted.invalid/x.css';</style>", "outside"),
        ("<script>fetch('http://planted.invalid/x').catch(() => 0)</script>", "outside"),
    ],
)
def test_the_check_catches_what_it_is_for(browser: Chromium, tmp_path: Path, body: str, kind: str) -> None:
    page = tmp_path / "page.html"
    page.write_text(PAGE.format(body), encoding="utf-8")
    complaints = browser.open(page.as_uri())
    assert complaints
    assert "planted" in " ".join(getattr(complaints, kind))


def test_the_check_leaves_a_clean_page_alone(browser: Chromium, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(PAGE.format("<p>nothing wrong</p>"), encoding="utf-8")
    assert not browser.open(page.as_uri())
