"""Figures as Plotly JSON, for the interactive report: one rule per kind, and no value that breaks it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from drawable import KINDS, VALUES, X, figure, series
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_figures import hostile_figure

from ilr_check.evidence import Figure
from ilr_check.reporting import plots
from ilr_check.reporting.prepared import prepare


def data(drawn: Figure) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = plots.payload(prepare(drawn))["data"]
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_drawn_in_the_colour_of_its_role(kind: str) -> None:
    (trace,) = data(figure(series(kind, "rival")))
    assert "rival-0" in json.dumps(trace)


def test_a_band_is_one_closed_polygon() -> None:
    (trace,) = data(figure(series("band")))
    assert trace["x"] == [1, 2, 3, 3, 2, 1]
    assert trace["y"] == [1.5, 2.5, 3.5, 2.5, 1.5, 0.5]


def test_error_bars_reach_the_ends_of_the_interval() -> None:
    (trace,) = data(figure(series("interval", high=X + 2)))
    assert trace["error_y"]["array"] == [2, 2, 2]
    assert trace["error_y"]["arrayminus"] == [0.5, 0.5, 0.5]


def test_names_are_text_to_plotly() -> None:
    drawn = prepare(hostile_figure())
    assert "<" not in plots.script(drawn)
    layout, traces = plots.payload(drawn)["layout"], data(hostile_figure())
    assert "<" not in layout["xaxis"]["title"]["text"].replace("<br>", "")
    assert all("<" not in trace["name"] for trace in traces)


def test_long_axis_titles_go_on_in_another_line() -> None:
    label = "squared distance of label distributions from <the> first"
    long = plots.payload(prepare(figure(series(), y_label=label)))["layout"]
    lines = long["yaxis"]["title"]["text"].split("<br>")
    assert max(map(len, lines)) < len(label) / 1.5
    assert " ".join(lines) == label.replace("<", "&lt;").replace(">", "&gt;")


@settings(deadline=None, max_examples=100)
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
        text = plots.script(prepare(figure(*made, x_log=x_log, y_log=y_log)))
    json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))


@pytest.mark.parametrize(
    ("values", "whole"), [([2.0, 1.0, 3.0, 1.0], True), ([1.0, 2.5, 3.0], False), ([1.0, 3.0], False)]
)
def test_between_the_numbers_of_settings_there_is_no_mark(values: list[float], whole: bool) -> None:
    drawn = figure(series(x=np.array(values), y=np.array(values)))
    axis = plots.payload(prepare(drawn))["layout"]["xaxis"]
    assert (axis.get("dtick") == 1) is whole
