"""The page as data: headline, order, what is counted and what is left out."""

from __future__ import annotations

from typing import Any

import pytest
from synthetic_claims import claim_texts
from synthetic_records import record

from ilr_check.evidence import Manifest, Measured, PlannedUnit, Record
from ilr_check.reporting.page import MAX_PASSED, Page, build


def page_of(*records: Record, **manifest: Any) -> Page:
    fields = {"claims": claim_texts()[:2], "status": "complete"} | manifest
    return build(Manifest(**fields), records, {})


HOLDS = record("a", "gradient-orthogonality", "holds")


def other(verdict: str, **changes: Any) -> Record:
    return record("b", "norm-recursion", verdict, **changes)


@pytest.mark.parametrize(
    ("verdict", "answer", "code"),
    [
        ("holds", "Every claim that was judged holds.", 0),
        ("violated", "The theory does not hold everywhere here.", 1),
        ("unexpected_pass", "A failure that you declared did not happen.", 1),
        ("error", "The run could not judge everything.", 2),
        ("inconclusive", "Undecided: the data do not settle it.", 3),
        ("skipped", "Every claim that was judged holds.", 0),
        ("expected_failure", "Every claim that was judged holds, except where you said it would not.", 0),
    ],
)
def test_the_headline_says_what_the_exit_code_says(verdict: str, answer: str, code: int) -> None:
    headline = page_of(HOLDS, other(verdict)).banner
    assert (headline.answer, headline.exit_code) == (answer, code)


def test_a_verdict_that_does_not_count_changes_nothing() -> None:
    page = page_of(HOLDS, other("holds"), record("c", "norm-recursion", "violated", form="raw", counts=False))
    assert page.banner.answer == "Every claim that was judged holds."
    assert "2 of 2 judged statements" in page.banner.sentence


def test_inconclusive_may_be_allowed() -> None:
    assert page_of(HOLDS, other("inconclusive"), settings={"allow_inconclusive": True}).banner.exit_code == 0


def test_a_gate_speaks_of_the_optimizer() -> None:
    page = page_of(other("violated"), command="ilr-check gate torch.optim:SGD")
    assert page.banner.answer == "The optimizer breaks its laws."


def test_an_interrupted_run_names_what_is_missing() -> None:
    units = (PlannedUnit(key="later", claim="norm-recursion", title="later"),)
    page = page_of(HOLDS, units=units, status="interrupted")
    assert page.banner.exit_code == 130
    assert page.banner.answer == "This run is not finished."
    assert "1 planned piece of work did not finish" in page.banner.sentence
    assert [part.unfinished for part in page.worst_first] == [units, ()]


def test_the_deciding_record_is_the_one_nearest_to_its_margin() -> None:
    near = record("near", "norm-recursion", "holds", measured=Measured(0.8))
    far = record("far", "norm-recursion", "holds", measured=Measured(0.1))
    assert page_of(far, near).worst_first[1].deciding is near


def test_many_passed_records_are_counted_rather_than_shown() -> None:
    many = [record(f"r{i}", "norm-recursion", "holds") for i in range(MAX_PASSED + 7)]
    part = next(p for p in page_of(*many, other("violated")).worst_first if p.text.id == "norm-recursion")
    assert len(part.records) == MAX_PASSED + 1
    assert part.hidden == 7
    assert part.records[0].verdict == "violated"


def test_chapters_come_in_the_order_of_the_theory() -> None:
    page = build(
        Manifest(claims=claim_texts()[::-1]), [record("x", "stray", "holds", kind="statistical")], {}
    )
    assert [chapter.id for chapter in page.chapters] == ["exact", "mean-field", "other"]
    assert [claim.text.id for claim in page.chapters[1].claims] == ["mixing-time", "sqrt-recovery"]


@pytest.mark.parametrize(
    "budget",
    [{}, {"total": 1e-3, "planned": 5e-4}, {"planned": {"a": 1e-4}, "spent": {}, "skipped": {"a": "why"}}],
)
def test_any_budget_is_shown(budget: dict[str, Any]) -> None:
    view = page_of(HOLDS, budget=budget).budget
    assert bool(view.totals) == bool(budget)
    assert view.rows == ((("a", 1e-4, "why"),) if isinstance(budget.get("planned"), dict) else ())
