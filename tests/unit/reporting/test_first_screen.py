"""The first screen: what was tested, how far off it is, the paper taken literally, and what to do next."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from synthetic_claims import claim_texts
from synthetic_records import record

from ilr_check.evidence import Manifest, Margin, Measured, PlannedUnit, Record, RivalOutcome
from ilr_check.evidence.records import Premise
from ilr_check.questions import catalogue_size
from ilr_check.reporting import forest
from ilr_check.reporting.page import Page, build

TEXTS = claim_texts()


def page_of(*records: Record, **manifest: Any) -> Page:
    return build(Manifest(**({"claims": TEXTS[:2], "status": "complete"} | manifest)), records, {})


def law(name: str, value: float, **changes: Any) -> Record:
    fields: dict[str, Any] = {
        "kind": "statistical",
        "form": "transfer",
        "measured": Measured(value, value - 0.01, value + 0.01),
        "expected": 0.0,
        "margin": Margin(-0.05, 0.05),
        "subject": {"title": name, "net": {"width": len(name)}, "data": {"kind": "digits"}},
        "quantity": "effective LR / prediction, less 1",
    }
    return record(name, "sqrt-recovery", "holds", **(fields | changes))


RAW = {
    "form": "raw",
    "verdict": "skipped",
    "counts": False,
    "expected": 0.316,
    "margin": Margin(),
    "quantity": "effective LR at the end / before",
}


def raw(name: str, value: float) -> Record:
    about = law(name, value, **{k: v for k, v in RAW.items() if k != "verdict"})
    return record(
        f"raw-{name}",
        "sqrt-recovery",
        "skipped",
        **{f: getattr(about, f) for f in ("kind", "form", "measured", "expected", "margin", "subject")},
        quantity=about.quantity,
        counts=False,
    )


def test_the_scope_counts_claims_of_the_catalogue_nets_and_statements() -> None:
    page = page_of(law("a", 0.01), law("bb", 0.02), raw("a", 0.14), claims=TEXTS)
    assert page.banner.scope == (
        f"1 of {catalogue_size()} claims",
        "2 trained nets on digits",
        "2 statements judged",
        "1 reported, not judged",
    )
    assert page.banner.partial.startswith(f"{len(TEXTS) - 1} planned claims not judged; ")
    assert page.banner.tone == "inconclusive"


def test_the_catalogue_is_counted_as_it_is() -> None:
    from ilr_check.claims import catalogue

    assert catalogue_size() == len(catalogue())


def test_the_largest_deviation_is_told_with_its_share_of_the_margin() -> None:
    page = page_of(law("near", 0.01), law("far", -0.03), claims=TEXTS[-1:])
    assert page.banner.largest.startswith(
        "effective LR / prediction is 3 % below 1, the value of the theory, and may be 5 % off: 60 % of its "
    )
    assert "60 % of its margin" in page.banner.largest
    assert "far" in page.banner.largest


def test_a_known_departure_is_neither_the_largest_deviation_nor_the_row_of_its_claim() -> None:
    departure = msgspec.structs.replace(
        law("departs", 0.9), verdict="expected_failure", departure="for a reason"
    )
    page = page_of(departure, law("judged", 0.02), claims=TEXTS[-1:])
    assert "judged" in page.banner.largest
    (part,) = (part for part in page.worst_first if part.deciding is not None)
    assert part.deciding is not None
    assert part.deciding.subject["title"] == "judged"
    assert part.tally == {"holds": 1, "known departure": 1}


def test_a_deviation_that_is_no_ratio_is_told_as_it_is() -> None:
    slope = law("a", 1.02, quantity="slope of y against x", expected=1.0, margin=Margin(0.9, 1.1))
    assert "slope of y against x is 1.02, where the theory says 1, with margin [0.9, 1.1]" in (
        page_of(slope).banner.largest
    )


def test_the_paper_taken_literally_is_told_and_marked() -> None:
    page = page_of(law("a", 0.01), raw("a", 0.14), raw("b", 0.28))
    assert "is 0.14 to 0.28, where the paper says 0.316; 2 of 2 measurements miss" in page.banner.raw
    assert page.banner.raw_misses


def test_the_raw_statement_stands_beside_the_judged_one_in_the_first_figure() -> None:
    judged = law("a", 0.01)
    literal = raw("a", 0.14)
    same = {"unit": judged.unit, "group": judged.group}
    literal = record("x", "sqrt-recovery", "skipped", **{**_about(literal), **same})
    page = page_of(judged, literal)
    (row,) = [r for chapter in page.chapters for r in chapter.forest if r.part.text.id == "sqrt-recovery"]
    assert row.raw is not None
    assert row.raw.left < 20
    assert "where the paper says 0.316" in row.raw.text
    assert row.lane is not None
    assert row.share == "its interval reaches 40 % of its margin"


def _about(found: Record) -> dict[str, Any]:
    names = ("kind", "form", "measured", "expected", "margin", "subject", "quantity", "counts")
    return {name: getattr(found, name) for name in names}


def test_a_run_that_holds_names_the_next_chapter_and_an_unfinished_one_resumes() -> None:
    unit = PlannedUnit(key="later", claim="norm-recursion", title="later")
    assert "verify --claims exact" in page_of(law("a", 0.01)).banner.next_command
    assert "--resume" in page_of(law("a", 0.01), units=(unit,)).banner.next_command


@pytest.mark.parametrize(
    ("verdict", "changes", "told"),
    [
        ("violated", {}, "is violated"),
        ("error", {"message": "CUDA is out of memory\nmore"}, "CUDA is out of memory"),
        ("inconclusive", {}, "reaches over an end of the margin"),
        ("inconclusive", {"rivals": (RivalOutcome("1/3", 0.3, False),)}, "a rival is not refuted (1/3)"),
        (
            "inconclusive",
            {"premises": (Premise(name="noise is constant", measured=2.0, margin=Margin(0, 1), met=False),)},
            "A premise is not met: noise is constant",
        ),
    ],
)
def test_failures_of_one_cause_are_one_entry(verdict: str, changes: dict[str, Any], told: str) -> None:
    bad = [record(f"r{i}", "norm-recursion", verdict, **({"rivals": ()} | changes)) for i in range(3)]
    (cause,) = page_of(*bad).causes
    assert told in cause.sentence
    assert len(cause.records) == 3
    assert cause.claims == ("norm-recursion",)


def test_what_holds_is_no_cause() -> None:
    assert page_of(law("a", 0.01), raw("a", 0.14)).causes == ()


def test_a_claim_without_a_number_says_why() -> None:
    page = page_of(record("s", "norm-recursion", "skipped", message="no GPU here"))
    rows = [row for chapter in page.chapters for row in chapter.forest]
    told = {row.part.text.id: row.told for row in rows}
    assert told["norm-recursion"] == "no GPU here"
    assert told[TEXTS[0].id] == "planned, not finished"
    assert all(forest.row(row.part) == row for row in rows)
