"""The gate's page in a real browser: it has no errors, it fits the window, and the snippet can be copied."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from chromium import NAMES, Chromium, axe, find_browser

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "reporting"))

import gate_reports

from ilr_check.evidence import GateReport
from ilr_check.reporting.gate_page import write_gate_report


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    binary = find_browser()
    if binary is None:
        pytest.skip(f"no browser on this machine (looked for {', '.join(NAMES)})")
    with Chromium(binary) as running:
        yield running


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("make", [gate_reports.report, gate_reports.hostile], ids=["plain", "hostile"])
def test_the_page_is_silent_and_fits(
    browser: Chromium, tmp_path: Path, make: Callable[[], GateReport], width: int, dark: bool
) -> None:
    page = write_gate_report(make(), tmp_path / "gate.html")
    browser.view(width=width, dark=dark)
    complaints = browser.open(page.as_uri())
    assert not complaints, complaints
    assert browser.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert browser.evaluate("document.querySelectorAll('img').length") == 0
    browser.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
    assert axe(browser) == []
    browser.pdf(tmp_path / "gate.pdf")
    assert (tmp_path / "gate.pdf").read_bytes().startswith(b"%PDF")


def test_the_snippet_is_copied_whole(browser: Chromium, tmp_path: Path) -> None:
    browser.view()
    browser.open(write_gate_report(gate_reports.report(), tmp_path / "gate.html").as_uri())
    browser.evaluate(
        "Object.defineProperty(navigator, 'clipboard', "
        "{value: {writeText: async (text) => { window.copied = text }}})"
    )
    browser.evaluate("document.querySelector('.snippet .copy').click()")
    browser.evaluate("new Promise(done => setTimeout(done, 50))")
    assert browser.evaluate("window.copied") == gate_reports.SNIPPET
    assert not browser.complaints
