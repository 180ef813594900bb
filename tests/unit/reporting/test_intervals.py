"""Interval plots: everything on one axis, and always on it."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_records import healthy_records, record

from ilr_check.evidence import Margin, Measured, Record, RivalOutcome
from ilr_check.reporting.intervals import panels, strip


def statistical(**changes: Any) -> Record:
    fields = {"measured": Measured(1.0, 0.9, 1.1), "expected": 1.0, "margin": Margin(0.8, 1.2)}
    return record("r", "sqrt-recovery", "holds", **(fields | changes))


def test_the_forms_of_a_quantity_share_an_axis() -> None:
    found = panels(r for r in healthy_records() if r.kind != "exact")
    assert [[row.record.form for row in panel.rows] for panel in found] == [
        ["transfer", "identity", "raw"],
        ["transfer"],
    ]
    transfer, identity, _ = found[0].rows
    assert transfer.margin is not None
    assert identity.margin is not None
    assert transfer.margin.width > 2 * identity.margin.width


def test_places_keep_the_order_of_the_numbers() -> None:
    (panel,) = panels([statistical()])
    (row,) = panel.rows
    assert row.margin is not None
    assert row.measured is not None
    assert row.margin.left < row.measured.left < row.theory == row.point
    assert row.measured.left + row.measured.width < row.margin.left + row.margin.width


def test_a_far_rival_is_named_at_the_edge_rather_than_squeezing_the_decision() -> None:
    rivals = (
        RivalOutcome("near", 1.5, True),
        RivalOutcome("far", 500.0, True),
        RivalOutcome("neg", -90.0, True),
    )
    (panel,) = panels([statistical(rivals=rivals)])
    near, far, negative = panel.rows[0].rivals
    assert near.left is not None
    assert (far.left, far.edge) == (None, "right")
    assert (negative.left, negative.edge) == (None, "left")
    assert panel.rows[0].margin is not None
    assert panel.rows[0].margin.width > 10


def test_a_one_sided_margin_reaches_the_edge() -> None:
    (panel,) = panels([statistical(margin=Margin(None, 1.2))])
    margin = panel.rows[0].margin
    assert margin is not None
    assert (margin.left, margin.cut_left, margin.cut_right) == (0.0, True, False)


@pytest.mark.parametrize(("value", "side"), [(1.0, ""), (9.0, "right"), (-9.0, "left")])
def test_a_strip_says_where_a_measurement_left_it(value: float, side: str) -> None:
    row = strip(statistical(measured=Measured(value)))
    assert row is not None
    assert row.beyond == side
    assert row.margin is not None
    assert (row.margin.left, row.margin.width) == (25.0, 50.0)


def test_a_strip_of_an_exact_claim_starts_at_zero() -> None:
    row = strip(record("r", "norm-recursion", "holds", measured=Measured(0.5), margin=Margin(0.0, 1.0)))
    assert row is not None
    assert row.margin is not None
    assert (row.margin.left, row.margin.width, row.point) == (0.0, 75.0, 37.5)


@pytest.mark.parametrize("margin", [Margin(), Margin(0.0, 0.0), Margin(1.0, -1.0), Margin(math.nan, 1.0)])
def test_no_strip_without_a_margin(margin: Margin) -> None:
    assert strip(statistical(margin=margin)) is None


NUMBER = st.none() | st.floats()


@settings(deadline=None, max_examples=300)
@given(st.lists(st.tuples(*[NUMBER] * 7), min_size=1, max_size=3))
def test_no_numbers_leave_the_axis(rows: list[tuple[float | None, ...]]) -> None:
    records = [
        statistical(
            measured=Measured(value, low, high),
            expected=expected,
            margin=Margin(below, above),
            rivals=(RivalOutcome("r", rival, False),),
        )
        for value, low, high, expected, below, above, rival in rows
    ]
    drawn = [row for panel in panels(records) for row in panel.rows]
    drawn += [row for row in map(strip, records) if row is not None]
    places = [tick.left for panel in panels(records) for tick in panel.ticks]
    for row in drawn:
        places += [p for p in (row.point, row.theory, *(r.left for r in row.rivals)) if p is not None]
        for span in (row.margin, row.measured):
            places += [] if span is None else [span.left, span.left + span.width]
    assert all(-0.01 <= place <= 100.01 for place in places)
