"""The report in a real browser: no errors, usable at once, accessible, and its controls work."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import synthetic_run
from chromium import NAMES, SETTLED, Chromium, axe, find_browser

from ilr_check.evidence import RunFolder
from ilr_check.reporting import write_report

FIGURES = 5
REPORTS = Path(__file__).parents[2] / "reports"
RUNS = (
    ("sample/run", 1_000_000),
    pytest.param("standard/mean-field", 3_000_000, marks=pytest.mark.nightly),
    pytest.param("standard/function-space", 3_000_000, marks=pytest.mark.nightly),
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    binary = find_browser()
    if binary is None:
        pytest.skip(f"no browser on this machine (looked for {', '.join(NAMES)})")
    with Chromium(binary) as running:
        yield running


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run with every verdict word, every series kind, hostile names and NaN."""
    return synthetic_run.build(tmp_path_factory.mktemp("run") / "hostile")


@pytest.fixture(scope="module")
def report(folder: RunFolder) -> str:
    """Return the address of the report of that run."""
    return write_report(folder).as_uri()


@pytest.fixture(scope="module")
def compared(folder: RunFolder, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the address of its report against a run in which everything holds."""
    place = tmp_path_factory.mktemp("compared")
    earlier = synthetic_run.build(place / "fine", hostile=False)
    return write_report(folder, place / "report.html", against=earlier).as_uri()


@pytest.fixture(scope="module")
def interactive(folder: RunFolder, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Address of the report with Plotly."""
    target = tmp_path_factory.mktemp("interactive") / "report.html"
    return write_report(folder, target, interactive=True).as_uri()


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Address of a report in which everything holds."""
    return write_report(synthetic_run.build(tmp_path_factory.mktemp("run") / "fine", hostile=False)).as_uri()


OPEN_ALL = "document.querySelectorAll('details').forEach(d => { d.open = true })"
DRAWN = "document.querySelectorAll('.claim svg.fig').length"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1600, 1280, 390])
def test_the_report_is_silent_and_complete(browser: Chromium, report: str, width: int, dark: bool) -> None:
    browser.view(width=width, dark=dark)
    browser.open(report)
    assert browser.evaluate(DRAWN) == 0
    browser.evaluate(OPEN_ALL)
    browser.evaluate(SETTLED)
    assert browser.evaluate(DRAWN) == FIGURES
    assert not browser.complaints, browser.complaints
    overhang = browser.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert overhang <= 0, f"the page scrolls sideways by {overhang} pixels"
    assert browser.evaluate("document.querySelectorAll('img').length") == 0


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("page", ["compared", "healthy", "interactive"])
def test_axe_finds_no_violation(
    browser: Chromium, request: pytest.FixtureRequest, page: str, dark: bool
) -> None:
    browser.view(dark=dark)
    browser.open(request.getfixturevalue(page))
    browser.evaluate(OPEN_ALL)
    browser.evaluate(SETTLED)
    assert axe(browser) == []


def test_the_drawings_follow_the_colour_scheme(browser: Chromium, report: str) -> None:
    ink = "getComputedStyle(document.querySelector('.fig text')).fill"
    paper = "getComputedStyle(document.body).backgroundColor"
    seen = []
    browser.view(dark=False)
    browser.open(report)
    browser.evaluate(OPEN_ALL)
    browser.evaluate(SETTLED)
    for _ in ("auto", "light", "dark"):
        seen.append((browser.evaluate(ink), browser.evaluate(paper)))
        browser.evaluate("document.getElementById('theme').click()")
    assert seen[0] == seen[1] != seen[2]
    assert browser.evaluate("localStorage.getItem('ilr-check-scheme')") == "auto"
    browser.view(dark=True)
    browser.evaluate(SETTLED)
    assert (browser.evaluate(ink), browser.evaluate(paper)) == seen[2]


SHOWN = "[...document.querySelectorAll('{}')].filter(e => e.offsetHeight > 0).length"
ROWS, CLAIMS = SHOWN.format(".forest-row[data-claim]"), SHOWN.format("details.claim[data-claim]")


def test_tiles_and_search_filter_and_the_address_keeps_both(browser: Chromium, report: str) -> None:
    browser.view()
    browser.open(report)
    assert browser.evaluate(ROWS) == browser.evaluate(CLAIMS) == 6
    browser.evaluate("document.querySelector('[data-filter=violated]').click()")
    assert browser.evaluate(ROWS) == browser.evaluate(CLAIMS) == 2
    assert browser.evaluate("location.hash") == "#?verdict=violated"
    browser.evaluate("document.querySelector('[data-filter=violated]').click()")
    browser.evaluate("document.dispatchEvent(new KeyboardEvent('keydown', {key: '/', bubbles: true}))")
    assert browser.evaluate("document.activeElement.id") == "search"
    browser.evaluate(
        "document.getElementById('search').value = 'square ROOT';"
        "document.getElementById('search').dispatchEvent(new Event('input'))"
    )
    assert browser.evaluate(ROWS) == browser.evaluate(CLAIMS) == 1
    kept = browser.evaluate("location.href")
    browser.open("about:blank")
    browser.open(kept)
    assert browser.evaluate(ROWS) == browser.evaluate(CLAIMS) == 1
    assert browser.evaluate("document.getElementById('search').value") == "square ROOT"
    browser.evaluate(
        "document.getElementById('search').value = 'nothing like it';"
        "document.getElementById('search').dispatchEvent(new Event('input'))"
    )
    assert browser.evaluate(ROWS) == 0
    assert browser.evaluate("document.getElementById('none-shown').offsetHeight > 0") is True
    assert not browser.complaints


def test_keys_walk_through_the_claims_and_open_them(browser: Chromium, report: str) -> None:
    browser.view()
    browser.open(report)

    def press(key: str) -> None:
        browser.evaluate(
            f"document.body.dispatchEvent(new KeyboardEvent('keydown', {{key: '{key}', bubbles: true}}))"
        )

    at = "document.activeElement.closest('details.claim').id"
    press("j")
    first = browser.evaluate(at)
    press("j")
    assert browser.evaluate(at) != first
    press("k")
    assert browser.evaluate(at) == first
    press("e")
    browser.evaluate(SETTLED)
    assert browser.evaluate("document.querySelectorAll('details.claim:not([open])').length") == 0
    assert browser.evaluate(DRAWN) == FIGURES
    press("e")
    assert browser.evaluate("document.querySelectorAll('details.claim[open]').length") == 0


@pytest.mark.parametrize("place", ["row", "record"])
def test_a_link_opens_what_it_names(browser: Chromium, healthy: str, place: str) -> None:
    browser.view()
    browser.open(healthy)
    if place == "row":
        browser.evaluate("document.querySelector('.f-claim a[href=\"#claim-sqrt-recovery\"]').click()")
        target = "document.getElementById('claim-sqrt-recovery')"
    else:
        browser.evaluate("location.hash = '#r-sqrt-transfer'")
        target = "document.getElementById('r-sqrt-transfer')"
    browser.evaluate("new Promise(done => setTimeout(done, 100))")
    assert browser.evaluate(f"{target}.open") is True
    assert browser.evaluate("document.querySelectorAll('#claim-sqrt-recovery svg.fig').length") >= 1
    assert 0 <= browser.evaluate(f"{target}.getBoundingClientRect().top") < 200
    assert not browser.complaints


def test_a_question_is_one_hop_from_its_tile_and_shows_its_figure(browser: Chromium, healthy: str) -> None:
    browser.view()
    browser.open(healthy)
    question = "document.getElementById('question-R1.a')"
    drawn = f"{question}.querySelectorAll('svg.fig').length"
    assert browser.evaluate(f"{question}.offsetHeight") == 0
    browser.evaluate("document.querySelector('.matrix a[href=\"#question-R1.a\"]').click()")
    browser.evaluate("new Promise(done => setTimeout(done, 200))")
    assert browser.evaluate(f"{question}.open") is True
    assert browser.evaluate(drawn) == 1
    width = f"{question}.querySelector('svg.fig').clientWidth"
    assert browser.evaluate(f"{width} > 300 && {width} <= {question}.clientWidth")
    assert abs(browser.evaluate(f"{question}.getBoundingClientRect().top")) < 100
    assert not browser.complaints


def test_a_button_shows_the_numbers_behind_a_figure(browser: Chromium, healthy: str) -> None:
    browser.view()
    browser.open("about:blank")
    browser.open(healthy + "#claim-mixing-time")
    data = "document.querySelector('#claim-mixing-time .data')"
    assert browser.evaluate(f"{data}.open") is False
    browser.evaluate(f"{data}.querySelector('summary').click()")
    assert browser.evaluate(f"{data}.querySelector('table').offsetHeight") > 50
    assert browser.evaluate(f"{data}.querySelector('tbody tr').children.length") >= 4


def test_a_button_copies_the_command_whole(browser: Chromium, report: str) -> None:
    browser.view()
    browser.open(report)
    browser.evaluate(
        "Object.defineProperty(navigator, 'clipboard', "
        "{value: {writeText: async (text) => { window.copied = text }}})"
    )
    browser.evaluate("document.querySelector('.cause .copy').click()")
    browser.evaluate("new Promise(done => setTimeout(done, 50))")
    assert browser.evaluate("document.querySelector('.cause .copy').textContent") == "Copied"
    assert browser.evaluate("window.copied === document.querySelector('.cause code').textContent") is True
    assert not browser.complaints


def test_an_interactive_report_draws_what_is_opened(browser: Chromium, interactive: str) -> None:
    browser.view()
    browser.open(interactive)
    drawn = "document.querySelectorAll('.canvas > .plot-container').length"
    assert browser.evaluate(drawn) == 0
    browser.evaluate(OPEN_ALL)
    browser.evaluate(SETTLED)
    assert browser.evaluate(drawn) == FIGURES
    curves = "document.querySelectorAll('#claim-mixing-time .canvas .trace').length"
    before = browser.evaluate(curves)
    browser.evaluate("document.querySelector('#claim-mixing-time .series').click()")
    assert browser.evaluate(curves) == before - 1
    assert not browser.complaints, browser.complaints


def test_paper_shows_every_claim_in_light_colours_and_leaves_the_page_as_it_was(
    browser: Chromium, report: str, tmp_path: Path
) -> None:
    browser.view(dark=True)
    browser.open(report)
    closed = "document.querySelectorAll('details.claim:not([open])').length"
    before = browser.evaluate(closed)
    browser.evaluate(
        "addEventListener('beforeprint', () => { window.seen = ["
        f"{closed}, document.documentElement.dataset.scheme, {DRAWN}] }})"
    )
    browser.pdf(tmp_path / "report.pdf")
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
    assert browser.evaluate("window.seen") == [0, "light", FIGURES]
    assert browser.evaluate(closed) == before > 0
    assert not browser.complaints


def test_without_scripts_verdicts_and_figures_stand_there(browser: Chromium, report: str) -> None:
    browser.view()
    browser.call("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.load(report)
        text = browser.call("Accessibility.getFullAXTree")["nodes"]
        root = browser.call("DOM.getDocument")["root"]["nodeId"]
        found = browser.call("DOM.querySelectorAll", {"nodeId": root, "selector": ".claim svg.fig > g"})
    finally:
        browser.call("Emulation.setScriptExecutionDisabled", {"value": False})
    names = " ".join(str(node.get("name", {}).get("value", "")) for node in text)
    assert "The theory does not hold everywhere here." in names
    assert "The squared norm follows its recursion" in names
    assert len(found["nodeIds"]) > FIGURES


@pytest.mark.parametrize(("run", "most"), RUNS)
def test_a_committed_run_is_small_and_usable_at_once(
    browser: Chromium, run: str, most: int, tmp_path: Path
) -> None:
    target = write_report(RunFolder.open(REPORTS / run), tmp_path / "report.html")
    assert target.stat().st_size < most
    for width in (1280, 390):
        browser.view(width=width)
        browser.call("Performance.disable")
        # The processor time of the page's thread: a busy machine does not change it.
        browser.call("Performance.enable", {"timeDomain": "threadTicks"})
        complaints = browser.open(target.as_uri())
        assert not complaints, complaints
        assert browser.evaluate("document.documentElement.dataset.ready") == "yes"
        assert busy(browser) < 1.0
        assert browser.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        browser.screenshot(tmp_path / f"{width}.png", full=True)
        assert (tmp_path / f"{width}.png").stat().st_size > 50_000
    browser.pdf(tmp_path / "report.pdf")
    claims = len(RunFolder.open(REPORTS / run).manifest().claims)
    pages = (tmp_path / "report.pdf").read_bytes().count(b"/Type /Page\n")
    assert 0 < pages <= 2 * claims + 10


def busy(browser: Chromium) -> float:
    """Return the seconds that the page's thread has worked since the domain Performance was enabled."""
    metrics = {m["name"]: m["value"] for m in browser.call("Performance.getMetrics")["metrics"]}
    return float(metrics["TaskDuration"])


def test_a_page_that_works_for_long_is_seen(browser: Chromium, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    work = "const end = performance.now() + 2500; while (performance.now() < end);"
    page.write_text(PAGE.format(f"<script>{work}</script>"), encoding="utf-8")
    browser.call("Performance.disable")
    browser.call("Performance.enable", {"timeDomain": "threadTicks"})
    browser.open(page.as_uri())
    assert busy(browser) > 0.3


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


@pytest.mark.parametrize(
    ("body", "rule"),
    [
        ("<p style='color:#999;background:#fff'>too faint</p>", "color-contrast"),
        ("<h2>one</h2><h4>three</h4>", "heading-order"),
        ("<button>a <a href='#x'>link</a></button>", "nested-interactive"),
        ("<button></button>", "button-name"),
    ],
)
def test_axe_catches_what_it_is_for(browser: Chromium, tmp_path: Path, body: str, rule: str) -> None:
    page = tmp_path / "page.html"
    page.write_text(PAGE.format(f"<main><h1>t</h1>{body}</main>"), encoding="utf-8")
    browser.view()
    browser.open(page.as_uri())
    assert any(found.startswith(rule) for found in axe(browser))


def test_the_check_leaves_a_clean_page_alone(browser: Chromium, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(PAGE.format("<p>nothing wrong</p>"), encoding="utf-8")
    assert not browser.open(page.as_uri())
