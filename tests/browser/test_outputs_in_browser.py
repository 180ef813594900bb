"""Hostile names have no effect in a browser, in any output of the gate."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from chromium import NAMES, Chromium, find_browser
from markdown_it import MarkdownIt
from test_gate_page_in_browser import gate_reports

from ilr_check.reporting import junit, markdown, sarif

BEFORE = "<!doctype html><meta charset=utf-8><link rel=icon href='data:,'><title>summary</title>"


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    binary = find_browser()
    if binary is None:
        pytest.skip(f"no browser on this machine (looked for {', '.join(NAMES)})")
    with Chromium(binary) as running:
        yield running


def outputs() -> dict[str, bytes]:
    """Every output of a hostile report; Markdown as a site shows it that allows HTML and makes links."""
    report = gate_reports.hostile()
    site = MarkdownIt("commonmark", {"html": True}).enable("table")
    return {
        "junit.xml": junit.render(report),
        "gate.sarif": sarif.render(report),
        "sarif.json": sarif.render(report),
        "summary.md": markdown.render(report).encode(),
        "summary.html": (BEFORE + site.render(markdown.render(report))).encode(),
    }


@pytest.mark.parametrize("name", ["junit.xml", "gate.sarif", "sarif.json", "summary.md", "summary.html"])
def test_a_hostile_name_loads_and_runs_nothing(browser: Chromium, tmp_path: Path, name: str) -> None:
    target = tmp_path / (f"{name}.txt" if name in ("gate.sarif", "summary.md") else name)
    target.write_bytes(outputs()[name])
    complaints = browser.open(target.as_uri())
    assert not complaints, complaints
    tags = "img, script, iframe, object, embed, link[rel=stylesheet], a[href^='http']"
    assert browser.evaluate(f'document.querySelectorAll("{tags}").length') == 0


def test_the_same_names_are_dangerous_without_care(browser: Chromium, tmp_path: Path) -> None:
    target = tmp_path / "careless.html"
    # Without the dialog, which would stop the browser.
    name = gate_reports.HOSTILE.replace("alert('hit')", "0")
    target.write_text(f"{BEFORE}<p>{name}", encoding="utf-8", errors="replace")
    assert browser.open(target.as_uri()).outside
