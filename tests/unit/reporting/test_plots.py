"""Figures as Plotly JSON: one rule per kind, and no value that breaks it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_figures import hostile_figure

from ilr_check.evidence import Figure, Series
from ilr_check.reporting import ticks
from ilr_check.reporting.plots import MAX_POINTS, draw, points_per_series

X = np.array([1.0, 2.0, 3.0])
KINDS = ("line", "band", "points", "interval", "histogram")


def figure(*series: Series, **layout: Any) -> Figure:
    return Figure(name="f", title="t", x_label="x", y_label="y", series=series, **layout)


def series(kind: Any = "line", role: Any = "measured", name: str = "s", **arrays: Any) -> Series:
    return Series(
        name=name, kind=kind, role=role, **({"x": X, "y": X, "low": X - 0.5, "high": X + 0.5} | arrays)
    )


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_drawn_in_the_colour_of_its_role(kind: str) -> None:
    plot = draw(figure(series(kind, "rival")))
    (trace,) = plot.payload["data"]
    assert "rival-0" in json.dumps(trace)
    assert plot.legend[0].role == "rival"
    assert not plot.notes


def test_a_band_is_one_closed_polygon() -> None:
    (trace,) = draw(figure(series("band"))).payload["data"]
    assert trace["x"] == [1, 2, 3, 3, 2, 1]
    assert trace["y"] == [1.5, 2.5, 3.5, 2.5, 1.5, 0.5]


def test_error_bars_reach_the_ends_of_the_interval() -> None:
    (trace,) = draw(figure(series("interval", high=X + 2))).payload["data"]
    assert trace["error_y"]["array"] == [2, 2, 2]
    assert trace["error_y"]["arrayminus"] == [0.5, 0.5, 0.5]


def test_a_histogram_counts_every_finite_value() -> None:
    sample = np.append(np.linspace(0, 1, 100), [np.nan, -np.inf])
    plot = draw(figure(series("histogram", x=None, y=sample)))
    assert sum(plot.payload["data"][0]["y"][:-1]) == 100
    assert plot.notes == ("2 values of “s”: not finite, not drawn.",)


def test_a_vertical_line_spans_the_histogram_below_it() -> None:
    bound = series(role="margin", x=np.zeros(2), y=np.array([0.0, 1.0]))
    plot = draw(figure(series("histogram", y=np.zeros(50)), bound))
    assert max(max(trace["y"]) for trace in plot.payload["data"][:1]) > 50


def test_a_log_axis_leaves_out_what_it_cannot_show_and_says_so() -> None:
    plot = draw(figure(series(y=np.array([1.0, 0.0, -1.0])), y_log=True))
    assert plot.payload["data"][0]["y"] == [1, None, None]
    assert "2 values" in plot.notes[0]
    assert plot.payload["layout"]["yaxis"]["type"] == "log"


def test_a_band_that_crosses_zero_stays_visible_on_a_log_axis() -> None:
    (trace,) = draw(figure(series("band", low=np.array([-1.0, 0.5, 1.0])), y_log=True)).payload["data"]
    assert min(trace["y"]) == 0.5


def test_names_are_text_to_plotly() -> None:
    plot = draw(hostile_figure())
    assert "<" not in plot.json()
    assert "<" not in plot.payload["layout"]["xaxis"]["title"]["text"].replace("<br>", "")
    assert all("<" not in trace["name"] for trace in plot.payload["data"])


def test_long_axis_titles_go_on_in_another_line() -> None:
    label = "squared distance of label distributions from <the> first"
    long = draw(Figure(name="f", title="t", x_label="x", y_label=label, series=(series(),)))
    lines = long.payload["layout"]["yaxis"]["title"]["text"].split("<br>")
    assert max(map(len, lines)) < len(label) / 1.5
    assert " ".join(lines) == label.replace("<", "&lt;").replace(">", "&gt;")


@pytest.mark.parametrize("role", ["measured", "predicted", "rival", "control", "reference"])
def test_six_lines_of_a_role_look_different(role: str) -> None:
    traces = draw(figure(*(series("line", role, str(i)) for i in range(6)))).payload["data"]
    assert len({(trace["line"]["color"], trace["line"]["dash"]) for trace in traces}) == 6


def test_a_role_of_a_newer_version_is_drawn_as_reference() -> None:
    plot = draw(figure(series(role="x);background:url(http://example.invalid)")))
    assert plot.legend[0].role == "reference"


def test_long_curves_are_thinned_and_that_is_said() -> None:
    long = np.arange(5000.0)
    plot = draw(figure(series(x=long, y=long, low=None, high=None)))
    (trace,) = plot.payload["data"]
    assert len(trace["x"]) == len(trace["y"]) == MAX_POINTS
    assert trace["x"][-1] == 4999
    assert plot.notes == ("Drawn with 600 of up to 5000 points a curve.",)


def test_a_page_of_many_figures_spends_fewer_points_on_each() -> None:
    assert points_per_series([figure(series())]) == MAX_POINTS
    assert points_per_series([figure(*[series()] * 10)] * 60) == 100


@pytest.mark.parametrize("missing", ["x", "y", "low", "high"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_series_without_one_of_its_arrays_is_no_crash(kind: str, missing: str) -> None:
    draw(figure(series(kind, **{missing: None})))


VALUES = st.lists(st.floats(), max_size=8).map(np.array)


@settings(deadline=None, max_examples=150)
@given(
    arrays=st.lists(st.tuples(st.sampled_from(KINDS), VALUES, VALUES, VALUES), min_size=1, max_size=3),
    x_log=st.booleans(),
    y_log=st.booleans(),
)
def test_no_numbers_break_a_drawing(arrays: list[Any], x_log: bool, y_log: bool) -> None:
    made = []
    for kind, x, low, high in arrays:
        size = min(len(x), len(low), len(high))
        made.append(series(kind, x=x[:size], y=low[:size], low=low[:size], high=high[:size]))
    with np.errstate(all="raise"):
        text = draw(figure(*made, x_log=x_log, y_log=y_log)).json()
    json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))


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


@pytest.mark.parametrize(
    ("values", "whole"), [([2.0, 1.0, 3.0, 1.0], True), ([1.0, 2.5, 3.0], False), ([1.0, 3.0], False)]
)
def test_between_the_numbers_of_settings_there_is_no_mark(values: list[float], whole: bool) -> None:
    axis = draw(figure(series(x=np.array(values), y=np.array(values)))).payload["layout"]["xaxis"]
    assert (axis.get("dtick") == 1) is whole
