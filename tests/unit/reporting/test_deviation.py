"""Statements in units of their margin, and their places on the axis that all claims share."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_records import record

from ilr_check.evidence import Margin, Measured, Record, RivalOutcome
from ilr_check.reporting import deviation, lanes


def statistical(**changes: Any) -> Record:
    fields = {"measured": Measured(1.1, 1.05, 1.15), "expected": 1.0, "margin": Margin(0.8, 1.2)}
    return record("r", "sqrt-recovery", "holds", **(fields | changes))


def units(value: float, **changes: Any) -> float | None:
    stick = deviation.yardstick(statistical(**changes))
    assert stick is not None
    return stick.units(value)


def test_the_theory_is_zero_and_the_ends_of_the_margin_are_one() -> None:
    margin = Margin(0.8, 1.4)
    assert units(1.0, margin=margin) == 0
    assert units(1.4, margin=margin) == pytest.approx(1)
    assert units(0.8, margin=margin) == pytest.approx(-1)
    assert units(1.2, margin=margin) == pytest.approx(0.5)


def test_a_residual_is_measured_from_zero() -> None:
    exact = {"expected": 0.0, "margin": Margin(0.0, 1.0)}
    assert units(0.25, **exact) == 0.25
    lane = lanes.lane(statistical(measured=Measured(0.25), **exact))
    assert lane is not None
    assert lane.margin.left == 50


def test_a_bound_has_no_value_of_the_theory_and_no_end_on_the_other_side() -> None:
    bound = statistical(measured=Measured(-0.07, -0.1, -0.03), expected=-0.072, margin=Margin(None, 0.0))
    assert deviation.expected(bound) == "a bound only"
    assert deviation.agreement(bound) == "inequality"
    assert deviation.reach(bound) == pytest.approx(1 - 0.03 / 0.072)
    lane = lanes.lane(bound)
    assert lane is not None
    assert (lane.margin.left, lane.theory) == (0, False)


def test_an_inequality_with_two_ends_does_not_print_its_middle_as_expected() -> None:
    both = statistical(
        measured=Measured(0.386), expected=None, margin=Margin(0.1, 0.9), agreement="inequality"
    )
    assert deviation.expected(both) == "a bound only"


@pytest.mark.parametrize(
    ("low", "high", "words"), [(0.99, 1.1, "agrees"), (1.05, 1.1, "deviates within the margin")]
)
def test_older_records_say_by_their_numbers_how_they_hold(low: float, high: float, words: str) -> None:
    assert deviation.agreement(statistical(measured=Measured(1.0, low, high))) == words


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0.0, "less than 1 % of its margin"),
        (-0.24, "24 % of its margin"),
        (3.14, "3.1 times its margin"),
        (math.inf, "infinitely many times its margin"),
    ],
)
def test_a_share_is_told_in_words(size: float, words: str) -> None:
    assert deviation.share(size) == words


def test_the_nearest_rival_of_each_side_is_marked() -> None:
    values = {"near": 1.5, "far": 500.0, "below": -90.0}
    rivals = tuple(RivalOutcome(name, value, True) for name, value in values.items())
    lane = lanes.lane(statistical(rivals=rivals))
    assert lane is not None
    assert [rival.near for rival in lane.rivals] == [True, False, True]
    assert "near, 2.5 margins away, refuted" in lane.rivals[0].text
    assert lane.rivals[2].left < 20 < 80 < lane.rivals[0].left < lane.rivals[1].left


def test_a_margin_of_no_width_puts_every_deviation_at_the_end() -> None:
    lane = lanes.lane(statistical(measured=Measured(1.1), margin=Margin(1.0, 1.0)))
    assert lane is not None
    assert lane.point == deviation.place(math.inf) == 98


def test_without_a_margin_there_is_no_lane() -> None:
    assert lanes.lane(statistical(margin=Margin())) is None


NUMBER = st.none() | st.floats()


@settings(deadline=None, max_examples=300)
@given(st.tuples(*[NUMBER] * 7), st.sampled_from(["exact", "statistical"]))
def test_no_numbers_leave_the_axis(row: tuple[float | None, ...], kind: Any) -> None:
    value, low, high, expected, below, above, rival = row
    made = statistical(
        kind=kind,
        measured=Measured(value, low, high),
        expected=expected,
        margin=Margin(below, above),
        rivals=(RivalOutcome("r", rival, False),),
    )
    deviation.share(deviation.reach(made))
    lane = lanes.lane(made)
    if lane is None:
        return
    places = [rival.left for rival in lane.rivals]
    places += [] if lane.point is None else [lane.point]
    for span in (lane.margin, lane.span):
        places += [] if span is None else [span.left, span.left + span.width]
    assert all(-0.01 <= place <= 100.01 for place in places)
