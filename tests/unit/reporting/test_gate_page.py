"""The HTML report of the gate: the first screen answers, and nothing of the target runs."""

import re
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest
from gate_reports import HOSTILE, SNIPPET, WORDS, finding, hostile, report

from ilr_check.evidence.atomic import UnwritableError
from ilr_check.evidence.gate import Coverage, PassedLaw
from ilr_check.reporting import gate_page


class Reader(HTMLParser):
    """Tags, ids and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_answers_diagnoses_and_reproduces() -> None:
    text = Reader(gate_page.render(report())).text.split("◐ auto")[1]
    place = [
        text.index(part)
        for part in (
            "The optimizer breaks its contract.",
            "Coverage",
            "To act on",
            "weight decay per step is lr^2*wd, expected lr*wd",
            "power of lr in the decay = 2 [1.99, 2.01], expected 1, margin [0.99, 1.01] · at my.py:41",
            "What this means: Every training run",
            SNIPPET,
            "ilr-check gate my.py:MyAdamW --claims decay-alone",
            "All laws",
            "power of lr",
        )
    ]
    assert place[:8] == sorted(place[:8])


@pytest.mark.parametrize("word", WORDS)
def test_every_verdict_has_its_answer_and_row(word: str) -> None:
    page = Reader(gate_page.render(report(finding("one", word), verdict=word)))
    assert "law-one" in page.ids
    assert ("act-one" in page.ids) == (word in ("violated", "error", "inconclusive", "unexpected_pass"))


def test_ids_are_unique() -> None:
    ids = Reader(gate_page.render(report())).ids
    assert len(ids) == len(set(ids))


def test_a_hostile_target_stays_text() -> None:
    page, plain = (Reader(gate_page.render(make())) for make in (hostile, report))
    assert set(page.tags) <= set(plain.tags)
    assert not page.attributes & {"onerror", "src", "href=http"}
    assert "http://example.invalid/x.png" in page.text
    assert page.tags.count("script") == plain.tags.count("script") == 1
    assert "49" not in page.text  # a template inside a name is not run
    assert HOSTILE.split("\x1b")[0] in page.text
    assert not re.search("[\x00-\x08\x1b\u202e]", page.text)


def test_the_page_is_written_in_one_step(tmp_path: Path) -> None:
    written = gate_page.write_gate_report(hostile(), tmp_path / "r.html")
    assert written.read_text("utf-8").startswith("<!doctype html>")
    assert [path.name for path in tmp_path.iterdir()] == ["r.html"]
    with pytest.raises(UnwritableError, match="name a file in a folder"):
        gate_page.write_gate_report(hostile(), tmp_path / "no" / "r.html")


def test_the_banner_is_amber_while_a_law_that_applies_was_not_judged() -> None:
    whole = report(finding("one", "holds"), verdict="holds")
    open_laws = Coverage(judged=("one",), not_judged=(PassedLaw(law="two", reason="no time left"),))
    part = msgspec.structs.replace(whole, coverage=open_laws)
    assert 'class="headline v-holds"' in gate_page.render(whole)
    page = gate_page.render(part)
    assert 'class="headline v-inconclusive"' in page
    text = Reader(page).text
    assert "partial Judged 1 of 2 laws; not judged: two (no time left)." in re.sub(r"\s+", " ", text)
    assert "no time left" in text.split("Laws that apply and were not judged")[1]


def test_a_cause_is_told_once_with_its_severity_and_the_laws_that_repeat_it() -> None:
    said = {"diagnosis": "weight decay is lr^2*wd", "severity": "fragility"}
    found = [finding(name, "violated", **said) for name in ("one", "two", "three")]
    page = gate_page.build(report(*found, verdict="violated"))
    (entry,) = page.entries
    assert entry.part.law.text.id == "one"
    assert [part.law.text.id for part in entry.echoes] == ["two", "three"]
    assert page.severities == {"fragility": 3}
    text = gate_page.render(report(*found, verdict="violated"))
    assert "2 more laws say the same" in text
    assert 'class="badge severity fragility"' in text
