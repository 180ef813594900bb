"""The figure of the exact chapter: rows, places on the axis, and what refutes a rival."""

from typing import Any

import pytest
from synthetic_claims import claim_texts
from synthetic_records import record

from ilr_check.evidence import Manifest, Margin, Measured, Record, RivalOutcome
from ilr_check.reporting.page import build
from ilr_check.reporting.residuals import ResidualChart


def one(value: float | None, *, claim: str = "norm-recursion", verdict: str = "holds", **more: Any) -> Record:
    about: dict[str, Any] = {"form": "exact", "margin": Margin(low=0.0, high=1.0), "rivals": ()} | more
    name = f"{claim}-{value}-{len(more.get('rivals', ()))}-{more.get('n_runs', 0)}"
    return record(name, claim, verdict, measured=Measured(value=value), **about)


def chart(*records: Record) -> ResidualChart | None:
    """The chart of the exact chapter of a page with these records."""
    page = build(Manifest(claims=claim_texts()[:2], status="complete"), records, {})
    return page.chapters[0].residuals


def test_a_chapter_without_judged_exact_claims_has_no_chart() -> None:
    assert chart() is None
    assert chart(one(None, verdict="skipped")) is None


def test_the_worst_record_of_a_claim_stands_on_its_row() -> None:
    drawn = chart(one(0.01, n_runs=1), one(0.2, n_runs=60))
    assert drawn is not None
    (row,) = drawn.rows
    assert row.worst == "0.2"
    assert row.examples == 61
    assert 0 < row.left < drawn.bound


def test_the_bound_parts_violated_from_holding() -> None:
    drawn = chart(one(0.9, claim="gradient-orthogonality"), one(1.1, verdict="violated"))
    assert drawn is not None
    below, above = drawn.rows
    assert below.left < drawn.bound < above.left


@pytest.mark.parametrize("value", [0.0, 1e-9])
def test_what_is_as_good_as_zero_stands_at_the_left_edge(value: float) -> None:
    drawn = chart(one(value))
    assert drawn is not None
    assert drawn.rows[0].left == 0.0


def test_a_residual_that_is_no_number_stands_at_the_right_edge() -> None:
    drawn = chart(one(None, verdict="violated"))
    assert drawn is not None
    assert drawn.rows[0].left == 100.0
    assert drawn.rows[0].worst == "not a number"


@pytest.mark.parametrize(
    ("outcomes", "excluded", "text"),
    [
        ([(5.0, False), (1e9, True)], True, "1e9"),
        ([(5.0, False)], False, "5"),
        ([(None, True)], True, "infinite"),
        ([(None, False)], False, "0"),
    ],
)
def test_a_rival_is_shown_where_it_fails_most_clearly(
    outcomes: list[tuple[float | None, bool]], excluded: bool, text: str
) -> None:
    drawn = chart(
        *(
            one(0.1, n_runs=n, rivals=(RivalOutcome(name="near miss", expected=size, excluded=out),))
            for n, (size, out) in enumerate(outcomes, start=1)
        )
    )
    assert drawn is not None
    (rival,) = drawn.rows[0].rivals
    assert (rival.excluded, rival.text) == (excluded, text)
    assert 0 <= rival.left <= 100
