"""Draw a figure as a small SVG that takes its colours from the page.

Matplotlib computes the drawing. What is kept of its output are rounded paths, places of markers and texts;
colours, widths and fonts are rules of the style sheet, so that one file serves light, dark and paper.
"""

from __future__ import annotations

import io
import logging
import math
import re
import textwrap
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import numpy as np

from ilr_check.reporting import numbers, ticks
from ilr_check.reporting.escaping import page_text, xml_text
from ilr_check.reporting.histograms import Array
from ilr_check.reporting.prepared import Mark, Prepared

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH, HEIGHT = 1000, 640
"""The units of a drawing: about half a pixel, so that whole numbers are fine enough for its paths."""
FONT = 30
LETTER = 17
"""The width of a letter, which leaves room for fonts that are wider than the usual ones."""
LONGEST_LINE = 52
"""Characters of an axis title on one line."""

_SVG = "{http://www.w3.org/2000/svg}"
_LINK = "{http://www.w3.org/1999/xlink}href"
_NUMBER = re.compile(r"[MLzZ]|-?\d+(?:\.\d+)?(?:e-?\d+)?")
_SETTINGS = {
    "svg.fonttype": "none",
    "svg.hashsalt": "ilr-check",
    "text.parse_math": False,
    "font.size": FONT,
    "path.simplify": True,
    "path.simplify_threshold": 0.4,
    "axes.unicode_minus": False,
}
_METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}


def draw(prepared: Prepared) -> str:
    """Return a figure as an ``<svg>`` element without colours; the same figure gives the same text."""
    # Its notes about fonts and caches are of no use to a reader of reports.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = prepared.figure
    with matplotlib.rc_context(_SETTINGS):  # type: ignore[arg-type]
        x_limits, y_limits = _limits(prepared.marks, x=True), _limits(prepared.marks, x=False)
        x_limits, y_limits = _padded(x_limits, figure.x_log, 0.02), _padded(y_limits, figure.y_log, 0.05)
        y_marks = _ticks(y_limits, figure.y_log, _values(prepared.marks, x=False))
        x_title, y_title = _wrapped(figure.x_label), _wrapped(figure.y_label)
        left = 20 + LETTER * max((len(text) for _, text in y_marks), default=1)
        bottom, top = 60 + 36 * len(x_title), 20 + 36 * len(y_title)
        canvas = Figure(figsize=(WIDTH / 72, HEIGHT / 72))
        axes = canvas.add_axes(
            (
                left / WIDTH,
                bottom / HEIGHT,
                (WIDTH - left - 20) / WIDTH,
                (HEIGHT - bottom - top) / HEIGHT,
            )
        )
        axes.set_xscale("log" if figure.x_log else "linear")
        axes.set_yscale("log" if figure.y_log else "linear")
        axes.set_xlim(*x_limits)
        axes.set_ylim(*y_limits)
        x_marks = _ticks(x_limits, figure.x_log, _values(prepared.marks, x=True))
        x_marks = _apart(x_marks, x_limits, figure.x_log, WIDTH - left - 20)
        for axis, marks in ((axes.xaxis, x_marks), (axes.yaxis, y_marks)):
            axis.set_ticks([place for place, _ in marks], [text for _, text in marks])
            axis.set_ticks([], minor=True)
        axes.tick_params(length=0, pad=10)
        axes.grid(True)
        for spine in axes.spines.values():
            spine.set_visible(False)
        for number, line in enumerate(x_title):
            y = bottom - 52 - 36 * (number + 1) + 8
            canvas.text((left + WIDTH - 20) / 2 / WIDTH, y / HEIGHT, line, ha="center", va="baseline")
        for number, line in enumerate(y_title):
            canvas.text(0, 1 - (34 + 36 * number) / HEIGHT, line, ha="left", va="baseline")
        for number, mark in enumerate(prepared.marks):
            _add(axes, mark, f"s{number}", y_limits)
        written = io.StringIO()
        FigureCanvasSVG(canvas)
        canvas.savefig(written, format="svg", metadata=_METADATA)
    return _compact(written.getvalue(), prepared)


def _wrapped(label: str) -> list[str]:
    return [xml_text(page_text(line)) for line in textwrap.wrap(label, LONGEST_LINE)][:3]


def _values(marks: Sequence[Mark], *, x: bool) -> Array:
    arrays = [v for m in marks for v in ((m.x,) if x else (m.y, m.low, m.high))]
    found = np.concatenate(arrays) if arrays else np.empty(0)
    return found[np.isfinite(found)]


def _limits(marks: Sequence[Mark], *, x: bool) -> tuple[float, float]:
    """Return the range of the drawn values; where an interval leaves a log axis, its value stays."""
    found = [_values(marks, x=x)]
    if not x and any(mark.kind == "histogram" for mark in marks):
        found.append(np.zeros(1))
    values = np.concatenate(found)
    return (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)


def _padded(limits: tuple[float, float], log: bool, share: float) -> tuple[float, float]:
    low, high = limits
    if log:
        if low <= 0:
            low = min(high, 1.0) / 10 if high > 0 else 0.1
        high = max(high, low)
        start, end = math.log10(low), math.log10(high)
        room = (end - start) * share or 0.3
        return 10.0 ** (start - room), 10.0 ** (end + room)
    room = (high - low) * share
    if room <= 1e-12 * max(abs(low), abs(high)):
        room = 0.1 * max(abs(low), abs(high)) or 0.5
    return (low if low == 0 else low - room), high + room


def _ticks(limits: tuple[float, float], log: bool, values: Array) -> list[tuple[float, str]]:
    low, high = limits
    if log:
        own = ticks.settings(sorted(set(values[values > 0].tolist()))) if len(values) < 5000 else []
        marks = own or ticks.decades(low, high)
        return [(mark, ticks.power(mark)) for mark in marks if low <= mark <= high]
    if ticks.numbered(values.tolist() if len(values) < 5000 else []):
        marks = sorted(set(values.tolist()))
    else:
        marks = ticks.round_numbers(low, high, log=False)
    return [(mark, numbers.number(mark)) for mark in marks]


def _apart(
    marks: list[tuple[float, str]], limits: tuple[float, float], log: bool, width: int
) -> list[tuple[float, str]]:
    """Leave out the text of a mark that would touch the one before."""

    def scaled(value: float) -> float:
        return math.log10(value) if log else value

    start, end = map(scaled, limits)
    kept, reached = [], -math.inf
    for place, text in marks:
        middle = width * (scaled(place) - start) / (end - start)
        half = LETTER * (len(text) + 1) / 2
        free = middle - half > reached
        kept.append((place, text if free else ""))
        reached = middle + half if free else reached
    return kept


def _add(axes: Axes, mark: Mark, name: str, y_limits: tuple[float, float]) -> None:
    """Give one series to matplotlib; the name finds its paths again."""
    if mark.kind == "band":
        x, y = np.concatenate([mark.x, mark.x[::-1]]), np.concatenate([mark.high, mark.low[::-1]])
        axes.fill(x, y, gid=name, clip_on=False, linewidth=0)
        return
    if mark.kind == "histogram":
        x, y = np.repeat(mark.x, 2), np.concatenate([[0.0], np.repeat(mark.y[:-1], 2), [0.0]])
        axes.fill(x, y, gid=name, clip_on=False, linewidth=0)
        return
    if mark.kind == "line":
        axes.plot(mark.x, mark.y, gid=name, clip_on=False)
        return
    if np.isfinite(mark.low).any() or np.isfinite(mark.high).any():
        low = np.where(np.isfinite(mark.low), np.maximum(mark.low, y_limits[0]), mark.y)
        high = np.where(np.isfinite(mark.high), np.minimum(mark.high, y_limits[1]), mark.y)
        gap = np.full(len(mark.x), np.nan)
        x = np.column_stack([mark.x, mark.x, gap]).ravel()
        axes.plot(x, np.column_stack([low, high, gap]).ravel(), gid=name + "i", clip_on=False)
    axes.plot(mark.x, mark.y, "o", gid=name, clip_on=False)


def _compact(text: str, prepared: Prepared) -> str:
    tree = ElementTree.fromstring(text)
    groups = {group.get("id", ""): group for group in tree.iter(f"{_SVG}g")}
    grid = [
        _path(path.get("d", ""))
        for name, group in groups.items()
        if re.fullmatch(r"[xy]tick_\d+", name)
        for path in group.iter(f"{_SVG}path")
        if path.get("clip-path")
    ]
    label = f"{prepared.figure.title}: {prepared.figure.y_label} against {prepared.figure.x_label}"
    parts = [
        f'<svg class="fig" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{_safe(label)}">',
        f'<path class="grid" d="{"".join(grid)}"/>',
    ]
    for number, mark in enumerate(prepared.marks):
        parts.append(_series(mark, number, groups))
    parts += [_text(found) for found in tree.iter(f"{_SVG}text") if found.text]
    return "".join([*parts, "</svg>"])


def _series(mark: Mark, number: int, groups: dict[str, ElementTree.Element]) -> str:
    own = groups.get(f"s{number}")
    drawn = []
    bars = groups.get(f"s{number}i")
    if bars is not None:
        drawn += [f'<path class="bar" d="{_path(p.get("d", ""))}"/>' for p in bars.iter(f"{_SVG}path")]
    if own is not None and mark.kind in ("points", "interval"):
        places = [(_whole(u.get("x", "0")), _whole(u.get("y", "0"))) for u in own.iter(f"{_SVG}use")]
        drawn += [f'<use href="#m-{mark.marker}" x="{x}" y="{y}"/>' for x, y in dict.fromkeys(places)]
    elif own is not None:
        kind = {"band": ' class="area"', "histogram": ' class="area"'}.get(mark.kind, "")
        dash = "".join(f"{2 * int(part)} " for part in mark.dash_array.split()).strip()
        style = f' stroke-dasharray="{dash}"' if dash else ""
        drawn += [f'<path{kind}{style} d="{_path(p.get("d", ""))}"/>' for p in own.iter(f"{_SVG}path")]
    return f'<g class="{mark.colour} {mark.role}" data-series="{number}">{"".join(drawn)}</g>'


def _path(data: str) -> str:
    """Return a path of whole numbers, in steps from point to point; a step of length 0 is left out."""
    words = _NUMBER.findall(data)
    out: list[str] = []
    at, number = (0, 0), 0
    command = ""
    inside = False
    while number < len(words):
        if words[number] in "MLzZ":
            command = words[number]
            number += 1
            if command in "zZ":
                out.append("z")
                inside = False
            continue
        x, y = _whole(words[number]), _whole(words[number + 1])
        number += 2
        if command == "M":
            out.append(f"M{x}{_joined(y)}")
            inside = False
        elif (x, y) != at:
            dx, dy = x - at[0], y - at[1]
            out.append((_joined(dx) if inside else f"l{dx}") + _joined(dy))
            inside = True
        at = (x, y)
    return "".join(out)


def _joined(value: int) -> str:
    return str(value) if value < 0 else f" {value}"


def _whole(text: str) -> int:
    return round(float(text))


def _text(found: ElementTree.Element) -> str:
    style = found.get("style", "")
    anchor = re.search(r"text-anchor: (\w+)", style)
    kind = f' class="{anchor[1]}"' if anchor and anchor[1] in ("middle", "end") else ""
    x, y = _whole(found.get("x", "0")), _whole(found.get("y", "0"))
    return f'<text{kind} x="{x}" y="{y}">{_safe(found.text or "")}</text>'


def _safe(text: str) -> str:
    return escape(page_text(text), quote=True)
