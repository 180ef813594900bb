"""The chapter of the reviewers' questions: verdicts come from the run, and an answer that was not judged says
so."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from synthetic_claims import claim_texts
from synthetic_figures import figures
from synthetic_records import HOSTILE, record

from ilr_check.evidence import Manifest, Record, RunFolder
from ilr_check.questions import questions
from ilr_check.reporting.asked import Answer, answers
from ilr_check.reporting.html import render
from ilr_check.reporting.page import build

TEXTS = claim_texts()
FIGURES = {figure.name: figure for figure in figures()}


def answer(name: str, *records: Record) -> Answer:
    page = build(Manifest(claims=TEXTS), records, FIGURES)
    return next(found for found in answers(page) if found.question.id == name)


DIRECT = record("a", "sqrt-recovery", "holds", figure="recovery")
BESIDE = {
    verdict: record("b", "lr-wd-equivalence", verdict) for verdict in ("holds", "violated", "inconclusive")
}


def test_the_verdict_is_that_of_the_run() -> None:
    found = answer("R1.a", DIRECT)
    count = len(found.question.claims)
    assert (found.verdict, found.state) == ("holds", f"1 of {count} claims judged")
    assert found.figure is not None
    assert found.figure.figure.name == "recovery"


@pytest.mark.parametrize(("beside", "verdict"), [("holds", None), ("violated", "violated")])
def test_what_holds_beside_an_unjudged_direct_claim_is_no_answer(beside: str, verdict: str | None) -> None:
    found = answer("R1.8", BESIDE[beside])
    assert found.question.claims[0] == "norm-offset"
    assert (found.verdict, found.state) == (verdict, "1 of 3 claims judged")


def test_the_worst_claim_decides() -> None:
    found = answer("R2.2", BESIDE["inconclusive"])
    assert found.verdict == "inconclusive"


def test_a_question_is_answered_only_when_all_its_claims_are_judged() -> None:
    assert answer("R1.a", DIRECT).coverage == "partly"
    claims = answer("R1.a").question.claims
    every = [record(name, name, "holds") for name in claims]
    assert answer("R1.a", *every).coverage == "answered"
    assert answer("R1.a", *every[1:]).coverage == "partly"
    assert answer("R1.a").coverage == "not run"
    undecided = [record(name, name, "inconclusive") for name in claims]
    assert answer("R1.a", *undecided).coverage == "partly"


@pytest.mark.parametrize(
    "claim_records", [(), (record("a", "sqrt-recovery", "skipped"),)], ids=["none", "skipped"]
)
def test_a_question_that_the_run_did_not_judge_says_so(claim_records: tuple[Record, ...]) -> None:
    found = answer("R1.a", *claim_records)
    assert (found.verdict, found.state, found.figure) == (None, "not judged in this run", None)
    assert found.command.startswith("ilr-check verify --claims sqrt-recovery,")


def test_a_judged_optimizer_is_not_asked_about_the_paper() -> None:
    page = build(Manifest(claims=TEXTS, command="ilr-check gate torch.optim:SGD"), [DIRECT], {})
    assert answers(page) == ()


def test_every_question_is_in_the_report_once_and_linked_from_its_top(healthy: RunFolder) -> None:
    text = render(healthy)
    ids = [f'<details class="question" id="question-{name}"' for name in questions()]
    assert [text.count(entry) for entry in ids] == [1] * len(ids)
    tiles = text.split('id="questions"')[1].split('<details class="question"')[0]
    assert [tiles.count(f'href="#question-{name}"') for name in questions()] == [1] * len(ids)
    assert '<a href="#questions">Questions</a>' in text.split("<main>")[0]
    assert text.index('id="questions"') > text.rindex('class="claim"')


def test_a_figure_shown_twice_is_stored_once(healthy: RunFolder) -> None:
    text = render(healthy)
    assert text.count('id="figure-recovery"') == 1
    assert text.count('data-figure="figure-recovery"') >= 1


def test_names_of_a_run_are_text_in_the_chapter(tmp_path: Path) -> None:
    texts = tuple(msgspec.structs.replace(text, title=HOSTILE) for text in TEXTS)
    folder = RunFolder.create(tmp_path / "run", Manifest(claims=texts, status="complete"))
    folder.append([record("a", "sqrt-recovery", "holds", quantity=HOSTILE, figure="recovery")])
    folder.save_figure(msgspec.structs.replace(FIGURES["recovery"], title=HOSTILE, caption=HOSTILE))
    chapter = render(folder).split('id="questions"')[1].split('id="trust"')[0]
    assert "<img" not in chapter
    assert "&lt;img" in chapter
    assert "49" not in chapter.split('id="question-R1.b"')[0].split('id="question-R1.a"')[1]
