"""What is drawn of a figure, in which order and in which look, and what is said about the rest."""

from __future__ import annotations

import numpy as np
import pytest
from drawable import KINDS, X, figure, series

from ilr_check.reporting import tables, ticks
from ilr_check.reporting.prepared import MAX_POINTS, prepare


def test_a_histogram_counts_every_finite_value() -> None:
    sample = np.append(np.linspace(0, 1, 100), [np.nan, -np.inf])
    drawn = prepare(figure(series("histogram", x=None, y=sample)))
    assert drawn.marks[0].y[:-1].sum() == 100
    assert drawn.notes == ("2 values of “s”: not finite, not drawn.",)


def test_a_vertical_line_spans_the_histogram_below_it() -> None:
    bound = series(role="margin", x=np.zeros(2), y=np.array([0.0, 1.0]))
    drawn = prepare(figure(series("histogram", y=np.zeros(50)), bound))
    assert drawn.marks[0].name == "s"
    assert max(mark.y.max() for mark in drawn.marks if mark.kind == "line") > 50


def test_a_log_axis_leaves_out_what_it_cannot_show_and_says_so() -> None:
    drawn = prepare(figure(series(y=np.array([1.0, 0.0, -1.0])), y_log=True))
    assert np.isfinite(drawn.marks[0].y).tolist() == [True, False, False]
    assert "2 values" in drawn.notes[0]


def test_a_band_that_crosses_zero_stays_visible_on_a_log_axis() -> None:
    (mark,) = prepare(figure(series("band", low=np.array([-1.0, 0.5, 1.0])), y_log=True)).marks
    assert mark.low.min() == 0.5


@pytest.mark.parametrize("role", ["measured", "predicted", "rival", "control", "reference"])
def test_six_series_of_a_role_look_different(role: str) -> None:
    lines = prepare(figure(*(series("line", role, str(i)) for i in range(6)))).marks
    assert len({(mark.colour, mark.dash) for mark in lines}) == 6
    if role != "reference":
        points = prepare(figure(*(series("points", role, str(i)) for i in range(6)))).marks
        assert len({(mark.colour, mark.marker) for mark in points}) == 6


def test_a_role_of_a_newer_version_is_drawn_as_reference() -> None:
    drawn = prepare(figure(series(role="x);background:url(http://example.invalid)")))
    assert drawn.marks[0].role == "reference"


def test_long_curves_are_thinned_and_that_is_said() -> None:
    long = np.arange(5000.0)
    drawn = prepare(figure(series(x=long, y=long, low=None, high=None)))
    assert len(drawn.marks[0].x) == MAX_POINTS
    assert drawn.marks[0].x[-1] == 4999
    assert drawn.notes == (f"Drawn with {MAX_POINTS} of up to 5000 points a curve.",)


@pytest.mark.parametrize("missing", ["x", "y", "low", "high"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_series_without_one_of_its_arrays_is_no_crash(kind: str, missing: str) -> None:
    prepare(figure(series(kind, **{missing: None})))


def test_series_on_the_same_places_share_a_table() -> None:
    other = series("interval", "control", "other", x=X + 1)
    one, two = tables.tables(prepare(figure(series(name="a"), series("band", name="b"), other)))
    assert one.columns == ("x", "b, from", "b, to", "a")
    assert one.rows[0] == ("1", "0.5", "1.5", "1")
    assert two.columns == ("x", "other", "other, from", "other, to")


def test_a_long_table_keeps_its_ends_and_says_how_long_it_is() -> None:
    long = np.arange(150.0)
    (table,) = tables.tables(prepare(figure(series(x=long, y=long, low=None, high=None))))
    assert (table.rows[0][0], table.rows[-1][0], len(table.rows), table.total) == ("0", "149", 24, 150)


@pytest.mark.parametrize(
    ("low", "high"),
    [(0.97, 1.45), (0.6, 1.66), (1.0, 4.0), (0.1, 1.0), (3e-4, 1e-2), (1.1e-5, 1.6e-5), (1e-8, 1e8)],
)
def test_a_log_axis_has_at_least_three_marks_in_its_range(low: float, high: float) -> None:
    marks = ticks.decades(low, high)
    assert sum(low <= mark <= high for mark in marks) >= 3
    assert len({ticks.power(mark) for mark in marks}) == len(marks)


def test_a_log_axis_at_a_single_value_is_no_crash() -> None:
    assert ticks.decades(2.0, 2.0)


@pytest.mark.parametrize(
    ("values", "marks"),
    [([4.0, 1.0, 2.0, 4.0], [1.0, 2.0, 4.0]), ([2.0, 10.0, 100.0], [2.0, 10.0, 100.0]), ([1.0, 2.5], [])],
)
def test_a_few_whole_numbers_are_marked_themselves(values: list[float], marks: list[float]) -> None:
    assert ticks.settings(values) == marks
    assert ticks.settings([float(i) for i in range(1, 20)]) == []
