"""The HTML report: self-contained, inert against hostile names, rebuilt from the run folder alone."""

from __future__ import annotations

import json
import re
import shutil
import sys
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest
import synthetic_records
import synthetic_run
from synthetic_claims import claim_texts
from synthetic_records import HOSTILE

from ilr_check.evidence import Manifest, RunFolder, RunFolderError
from ilr_check.reporting import html, trust
from ilr_check.reporting.html import write_report


class Reader(HTMLParser):
    """Elements, ids, scripts and visible text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.words: list[str] = []
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self._inside = tag
            self.scripts.append((dict(attrs), "")) if tag == "script" else None

    def handle_endtag(self, tag: str) -> None:
        if tag == self._inside:
            self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            attrs, text = self.scripts[-1]
            self.scripts[-1] = (attrs, text + data)
        elif not self._inside:
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))

    def values(self, attribute: str) -> list[str]:
        return [attrs[attribute] or "" for _, attrs in self.tags if attribute in attrs]


def read(folder: RunFolder) -> Reader:
    return Reader(write_report(folder).read_text("utf-8"))


@pytest.mark.parametrize("attribute", ["src", "href", "action", "data", "srcset", "poster", "formaction"])
def test_nothing_is_loaded_from_anywhere(hostile: RunFolder, attribute: str) -> None:
    found = read(hostile).values(attribute)
    assert all(value.startswith(("#", "data:")) for value in found), found


def test_the_style_sheet_loads_nothing(healthy: RunFolder) -> None:
    page = write_report(healthy).read_text("utf-8")
    style = page.split("<style>")[1].split("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style


def test_the_file_is_small_and_has_no_library(healthy: RunFolder) -> None:
    target = write_report(healthy)
    assert target == healthy.path / "report.html"
    page = target.read_text("utf-8")
    assert "plotly" not in page.lower()
    assert page.count('<svg class="fig"') == 4
    assert target.stat().st_size < 250_000
    assert not list(healthy.path.glob("*.partial"))


def test_an_interactive_report_embeds_plotly_once(healthy: RunFolder) -> None:
    page = write_report(healthy, interactive=True).read_text("utf-8")
    assert page.count("plotly.js v") == 1
    assert sum(len(text) > 1_000_000 for _, text in Reader(page).scripts) == 1


@pytest.mark.parametrize(("interactive", "scripts"), [(False, 1), (True, 3)])
def test_a_policy_forbids_requests_and_foreign_scripts(
    hostile: RunFolder, interactive: bool, scripts: int
) -> None:
    page = Reader(html.render(hostile, interactive=interactive))
    policy = next(a["content"] for t, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy.split("script-src")[1].split(";")[0]
    runnable = [text for attrs, text in page.scripts if attrs.get("type") != "application/json"]
    assert policy.count("'sha256-") == len(runnable) == scripts


def test_hostile_names_are_text(hostile: RunFolder) -> None:
    page = read(hostile)
    assert not [tag for tag, _ in page.tags if tag in ("img", "b") and "onerror" in str(_)]
    assert not [attrs for _, attrs in page.tags if any(name.startswith("on") for name in attrs)]
    assert re.sub(r"\s+", " ", HOSTILE) in page.text
    assert "49" not in page.text.split("<b>")[1][:4]


def test_drawings_are_json_that_survives_hostile_names(hostile: RunFolder) -> None:
    scripts = Reader(html.render(hostile, interactive=True)).scripts
    drawings = [text for attrs, text in scripts if attrs.get("type") == "application/json"]
    assert len(drawings) == 5
    assert not any("<" in text for text in drawings)
    assert all({"data", "layout"} == set(json.loads(text)) for text in drawings)


def test_ids_are_unique_and_every_link_has_its_target(hostile: RunFolder) -> None:
    page = read(hostile)
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    targets = {value[1:] for value in page.values("href") if value.startswith("#")}
    targets |= {word for name in ("aria-labelledby", "aria-controls") for word in page.values(name)}
    assert targets <= set(ids)


def test_everything_a_reader_needs_stands_in_the_html_itself(hostile: RunFolder) -> None:
    text = read(hostile).text
    for record in hostile.records():
        assert re.sub(r"\s+", " ", record.replay) in text
    for claim in claim_texts():
        assert all(part in text for part in (claim.title, claim.statement, claim.equation, claim.source))
    for word in (
        "violated",
        "inconclusive",
        "error",
        "expected failure",
        "unexpected pass",
        "holds",
        "skipped",
    ):
        assert f" {word}" in text
    assert claim_texts()[1].meaning in text
    assert "reported, not judged" in text
    assert "no GPU here" in text
    assert "How to read this report" in text
    assert "batch of 2 (degenerate)" in text
    assert "0.3184 [0.3121, 0.3249]" in text


def test_passed_records_are_closed_and_failed_ones_open(hostile: RunFolder) -> None:
    page = read(hostile)
    is_open = {a["id"]: "open" in a for t, a in page.tags if t == "details" and a.get("class") == "record"}
    for record in hostile.records():
        failed = record.verdict in ("violated", "inconclusive", "error", "unexpected_pass") and record.counts
        assert is_open["r-" + html.anchor(record.id)] == failed


def test_what_to_act_on_comes_first_and_the_worst_of_it_first(hostile: RunFolder) -> None:
    page = html.render(hostile)
    assert page.index('id="act"') < page.index('id="verdicts"') < page.index('id="claims"')
    causes = Reader(page.split('id="act"')[1].split('id="verdicts"')[0]).values("class")
    verdicts = [name.removeprefix("cause v-") for name in causes if name.startswith("cause ")]
    assert verdicts == sorted(verdicts, key=["violated", "unexpected_pass", "error", "inconclusive"].index)
    assert len(verdicts) >= 3


def test_the_report_is_rebuilt_from_the_files_alone(hostile: RunFolder, tmp_path: Path) -> None:
    first = write_report(hostile).read_bytes()
    (hostile.path / "report.html").unlink()
    moved = shutil.copytree(hostile.path, tmp_path / "moved")
    target = tmp_path / "elsewhere.html"
    assert write_report(RunFolder.open(moved), target) == target
    assert target.read_bytes() == first
    assert not (moved / "report.html").exists()


def test_without_plotly_an_interactive_report_is_refused_in_one_sentence(
    healthy: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    with pytest.raises(ValueError, match=r"pip install 'ilr-check\[interactive\]'"):
        write_report(healthy, interactive=True)
    assert "0.3184 [0.3121, 0.3249]" in read(healthy).text


def test_a_run_without_records_says_so(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "empty", Manifest())
    text = read(folder).text
    assert "This run is not finished." in text
    assert "nothing was run at all" in text


@pytest.mark.parametrize("name", ["manifest.json", "verdicts.jsonl", "traces/recovery.npz"])
def test_a_damaged_folder_is_refused_and_nothing_is_written(healthy: RunFolder, name: str) -> None:
    (healthy.path / name).write_bytes(b"\x00 damaged\n")
    with pytest.raises(RunFolderError, match=r"damaged|not a readable figure"):
        write_report(healthy)
    assert not (healthy.path / "report.html").exists()


def test_an_unwritable_target_is_one_line(healthy: RunFolder, tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match=r"cannot write the report to .*choose a writable file"):
        write_report(healthy, tmp_path / "missing" / "report.html")


def test_a_failed_write_keeps_the_old_report(healthy: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    before = write_report(healthy).read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(RunFolderError, match="No space left"):
        write_report(healthy)
    assert (healthy.path / "report.html").read_bytes() == before


def test_calibration_figures_are_shown_where_they_exist(
    healthy: RunFolder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    rates = {"mean": {"false pass": 0.97, "power": 0.5}, "slope": {"false fail": None}, "curve": 3}
    stored = {"worst_inflation": 1.12, "worst_inflation_by_decision": rates}
    (tmp_path / "calibration.json").write_text(json.dumps(stored))
    real = trust.resources.files
    monkeypatch.setattr(
        trust.resources, "files", lambda name: tmp_path if name == "ilr_check.stats" else real(name)
    )
    text = read(healthy).text
    assert "How the judge was judged" in text
    assert "worst inflation" in text
    assert "false holds 0.97, missed deviation 0.5" in text


def test_anchors_differ_where_names_differ() -> None:
    names = ["a", "a b", "a-b", "a/b", "é", "è", ""]
    anchors = [html.anchor(name) for name in names]
    assert len(set(anchors)) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]*", anchor) for anchor in anchors)


def test_figures_of_a_claim_share_a_caption_that_is_the_same(tmp_path: Path) -> None:
    folder = synthetic_run.build(tmp_path / "run", hostile=False)
    recovery = next(figure for figure in folder.figures().values() if figure.name == "recovery")
    folder.save_figure(msgspec.structs.replace(recovery, name="recovery-2", title="another layer"))
    folder.append([synthetic_records.record("sqrt-2", "sqrt-recovery", "holds", figure="recovery-2")])
    chapter = html.render(folder).split('id="claim-sqrt-recovery"')[1].split('class="chapter"')[0]
    assert "another layer" in chapter
    assert chapter.count(f"<figcaption>{recovery.caption}") == 1
