"""Static drawings: small, the same every time, without colours of their own, and inert."""

from __future__ import annotations

import re
import runpy
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from drawable import KINDS, VALUES, X, figure, series
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_figures import figures, hostile_figure
from synthetic_records import HOSTILE

from ilr_check.evidence import Figure
from ilr_check.reporting import svg
from ilr_check.reporting.prepared import prepare


def drawn(what: Figure) -> str:
    return svg.draw(prepare(what))


def points(path: str) -> list[tuple[int, int]]:
    """Return the places that a path visits."""
    at, found, command = (0, 0), [], ""
    words = re.findall(r"[Mlz]|-?\d+", path)
    while words:
        if words[0] in "Mlz":
            command = words.pop(0)
            continue
        x, y = int(words.pop(0)), int(words.pop(0))
        at = (x, y) if command == "M" else (at[0] + x, at[1] + y)
        found.append(at)
        if command == "M":
            command = "l"
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_shape_in_the_colour_of_its_role(kind: str) -> None:
    tree = ElementTree.fromstring(drawn(figure(series(kind, "rival"))))
    group = next(g for g in tree.iter("g") if g.get("class") == "rival-0 rival")
    assert len(group)
    assert (len(list(group.iter("use"))) > 0) == (kind in ("points", "interval"))


def test_a_drawing_is_the_same_every_time_and_has_no_style_of_its_own() -> None:
    for what in figures():
        text = drawn(what)
        assert text == drawn(what)
        assert not re.search(r"style=|<defs|<image|<font|font-family|#[0-9a-f]{6}\b|\bid=", text)
        assert len(text) < 12_000
        assert not re.search(r"\d\.\d", re.sub(r">[^<]*<|aria-label=\"[^\"]*\"", "", text))


def test_a_line_goes_where_its_numbers_are() -> None:
    tree = ElementTree.fromstring(drawn(figure(series(x=X, y=np.array([1.0, 3.0, 1.0])))))
    path = next(p.get("d", "") for g in tree.iter("g") for p in g.iter("path"))
    (x0, y0), (x1, y1), (x2, y2) = points(path)
    assert x1 - x0 == pytest.approx(x2 - x1, abs=1)
    assert y0 == y2 > y1


def test_an_interval_reaches_from_its_low_to_its_high_end() -> None:
    bars = series("interval", x=np.zeros(1), y=np.array([2.0]), low=np.array([1.0]), high=np.array([4.0]))
    tree = ElementTree.fromstring(drawn(figure(bars)))
    (first, second) = points(next(p.get("d", "") for p in tree.iter("path") if p.get("class") == "bar"))
    use = next(tree.iter("use"))
    low, high, middle = max(first[1], second[1]), min(first[1], second[1]), int(use.get("y", "0"))
    assert (low - middle) * 2 == pytest.approx(middle - high, abs=3)


def test_a_gap_stays_a_gap() -> None:
    y = np.array([1.0, 2.0, np.nan, 2.0, 1.0])
    tree = ElementTree.fromstring(drawn(figure(series(x=np.arange(5.0), y=y, low=None, high=None))))
    path = next(p.get("d", "") for g in tree.iter("g") for p in g.iter("path"))
    assert path.count("M") == 2


def test_hostile_names_are_text() -> None:
    text = drawn(hostile_figure())
    tree = ElementTree.fromstring(text)
    assert {element.tag for element in tree.iter()} <= {"svg", "g", "path", "use", "text"}
    assert not [name for element in tree.iter() for name in element.attrib if name.startswith("on")]
    assert HOSTILE[:20] in " ".join(element.text or "" for element in tree.iter("text"))


def test_dollars_are_no_mathematics_and_controls_are_no_crash() -> None:
    tree = ElementTree.fromstring(drawn(figure(series(), x_label="a $x_1$ \x00\x1b \ud800")))
    assert any("$x_1$" in (element.text or "") for element in tree.iter("text"))


def test_texts_of_neighbouring_marks_do_not_touch() -> None:
    values = np.array([1.0, 2.0, 3.0, 1000.0, 1001.0, 50000.0])
    text = drawn(figure(series(x=values, y=values, low=None, high=None), x_log=True))
    marks = [e for e in ElementTree.fromstring(text).iter("text") if e.get("class") == "middle"]
    marks = [e for e in marks if e.text != "x"]
    ends = [(int(e.get("x", "0")), len(e.text or "") * svg.LETTER / 2) for e in marks]
    assert all(a + ha <= b - hb for (a, ha), (b, hb) in pairwise(ends))
    assert len(marks) >= 3


@settings(deadline=None, max_examples=40)
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
    ElementTree.fromstring(drawn(figure(*made, x_log=x_log, y_log=y_log)))


def test_the_figure_of_the_readme_is_that_of_the_committed_sample() -> None:
    path = Path(__file__).parents[3] / "docs" / "images" / "recovery.py"
    names = runpy.run_path(str(path))
    text = names["picture"]()
    assert text == names["TARGET"].read_text("utf-8")
    ElementTree.fromstring(text)
    assert "light-dark" in text
