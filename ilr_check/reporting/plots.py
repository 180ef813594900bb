"""Draw figures as Plotly JSON: one rule per kind of series; the page resolves the colours.

Nothing here imports plotly: its JSON is plain data, and only the page needs the script that draws it.
"""

from __future__ import annotations

import html
import json
import textwrap
from dataclasses import dataclass
from typing import Any

import numpy as np

from ilr_check.evidence import Figure, Series
from ilr_check.reporting import ticks
from ilr_check.reporting.histograms import Array, common_bins, drawable, tallest_bar, upright

POINT_BUDGET = 48_000
"""The most points of a whole page: about 1 MB of JSON, next to 4.8 MB of Plotly."""
MAX_POINTS, MIN_POINTS = 600, 100
"""Limits per series: a figure is about 800 pixels wide."""
LONGEST_X_LINE, LONGEST_Y_LINE = 44, 30
"""Characters on a line of an axis title that fit on a phone, whose plots are 300 pixels wide and high."""
SHADES = 3
"""Colours per role; further series of a role repeat them, and lines do so with another dash."""

_LAYER = {"margin": 0, "reference": 1, "rival": 2, "control": 3, "measured": 4, "predicted": 5}
_LEGEND_ORDER = ("measured", "predicted", "margin", "rival", "control", "reference")
# As many as have no divisor in common with SHADES, so that no two lines of a figure look alike.
_DASHES = {
    "measured": ("solid", "longdash", "dot", "dashdot"),
    "predicted": ("solid", "dash", "dot", "dashdot"),
    "rival": ("dash", "dot", "longdashdot", "longdash"),
    "margin": ("dot",),
    "control": ("dashdot", "dot"),
    "reference": ("dot", "dash"),
}
_SVG_DASHES = {
    "solid": "",
    "dash": "6 4",
    "dot": "2 3",
    "longdash": "10 4",
    "dashdot": "7 3 2 3",
    "longdashdot": "10 3 2 3",
}
_MARKERS = {"measured": "circle", "rival": "diamond", "control": "square", "predicted": "triangle-up"}


@dataclass(frozen=True)
class LegendEntry:
    """One line of the legend, which the page writes as HTML beside the drawing."""

    name: str
    role: str
    shade: int
    kind: str
    dash: str
    marker: str
    trace: int


@dataclass(frozen=True)
class Plot:
    """A drawable figure: Plotly traces and layout, the legend, and what could not be drawn."""

    name: str
    payload: dict[str, Any]
    legend: tuple[LegendEntry, ...]
    notes: tuple[str, ...]

    def json(self) -> str:
        """Return the payload as JSON that is inert inside a ``<script>`` element, whatever its names."""
        text = json.dumps(self.payload, allow_nan=False, separators=(",", ":"))
        return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def draw(figure: Figure, max_points: int = MAX_POINTS) -> Plot:
    """Turn a figure into Plotly JSON; values that are not finite become gaps and are counted."""
    traces: list[dict[str, Any]] = []
    legend: list[LegendEntry] = []
    notes: list[str] = []
    seen: dict[tuple[str, bool], int] = {}
    bins = common_bins(figure)
    tallest = tallest_bar(figure, bins)
    thinned = 0
    for series in sorted(figure.series, key=lambda s: _LAYER.get(s.role, 9) + 10 * (s.kind != "band")):
        # A newer or an edited file can have a role that this version does not know.
        role = series.role if series.role in _DASHES else "reference"
        # Bands are counted apart: a mean curve has the colour of the band around it.
        area = series.kind in ("band", "histogram")
        nth = seen.get((role, area), 0)
        seen[role, area] = nth + 1
        dash = "solid" if area else _DASHES[role][nth % len(_DASHES[role])]
        drawn = _trace(figure, upright(_thinned(series, max_points), tallest), role, nth, dash, bins)
        if drawn is None:
            notes.append(f"“{series.name}” has nothing that can be drawn.")
            continue
        legend.append(
            LegendEntry(
                name=series.name,
                role=role,
                shade=nth % SHADES,
                kind=series.kind,
                dash=_SVG_DASHES[dash],
                marker=_MARKERS.get(role, "cross"),
                trace=len(traces),
            )
        )
        traces.append(drawn)
        missing = _missing(figure, series)
        if missing:
            what = "zero, negative or not a number" if figure.x_log or figure.y_log else "not finite"
            notes.append(f"{missing} value{'s' * (missing > 1)} of “{series.name}”: {what}, not drawn.")
        if series.kind != "histogram" and series.x is not None and len(series.x) > max_points:
            thinned = max(thinned, len(series.x))
    if thinned:
        notes.append(f"Drawn with {max_points} of up to {thinned} points a curve.")
    layout = {
        "xaxis": _axis(figure.x_label, LONGEST_X_LINE, figure.x_log, [trace["x"] for trace in traces]),
        "yaxis": _axis(figure.y_label, LONGEST_Y_LINE, figure.y_log, [trace["y"] for trace in traces]),
    }
    if tallest:
        layout["yaxis"]["rangemode"] = "tozero"
    legend.sort(key=lambda entry: _LEGEND_ORDER.index(entry.role))
    return Plot(figure.name, {"data": traces, "layout": layout}, tuple(legend), tuple(notes))


def points_per_series(figures: list[Figure]) -> int:
    """Return how many points each series may keep, so that a page of many figures stays small."""
    count = sum(len(figure.series) for figure in figures)
    return max(MIN_POINTS, min(MAX_POINTS, POINT_BUDGET // max(count, 1)))


def _axis(label: str, longest: int, log: bool, data: list[list[float | None]]) -> dict[str, Any]:
    lines = textwrap.wrap(label, longest)
    axis: dict[str, Any] = {"title": {"text": "<br>".join(map(_plain, lines))}}
    values = [value for series in data for value in series if value is not None]
    if not log and ticks.numbered(values):
        axis |= {"tickmode": "linear", "tick0": 1, "dtick": 1}
    if log:
        axis["type"] = "log"
        values = [value for value in values if value > 0]
        if values:
            marks = ticks.settings(values) or ticks.decades(min(values), max(values))
            axis |= {
                "tickmode": "array",
                "tickvals": marks,
                "ticktext": [ticks.power(mark) for mark in marks],
            }
    return axis


def _plain(text: str) -> str:
    """Escape a label, because Plotly interprets a little HTML in it."""
    return html.escape(text, quote=False)


def _trace(
    figure: Figure, series: Series, role: str, nth: int, dash: str, bins: Array | None
) -> dict[str, Any] | None:
    colour = f"{role}-{nth % SHADES}"
    base: dict[str, Any] = {"type": "scatter", "name": _plain(series.name), "showlegend": False}
    if series.kind == "histogram":
        return _histogram(base, series, colour, dash, bins)
    if series.kind == "band":
        return _band(base, figure, series, colour)
    if series.x is None or series.y is None or len(series.x) != len(series.y):
        return None
    x, y = drawable(series.x, figure.x_log), drawable(series.y, figure.y_log)
    if not np.any(np.isfinite(x) & np.isfinite(y)):
        return None
    trace = base | {"x": _numbers(x), "y": _numbers(y), "mode": "lines"}
    if series.kind == "line":
        width = {"predicted": 2.5, "measured": 2.5, "reference": 1.2}.get(role, 1.8)
        return trace | {"line": {"color": colour, "width": width, "dash": dash}}
    marker = {"color": colour, "size": 7, "symbol": _MARKERS.get(role, "cross")}
    trace |= {"mode": "markers", "marker": marker, "cliponaxis": False}
    if series.kind == "interval" and series.low is not None and series.high is not None:
        trace["error_y"] = {
            "type": "data",
            "symmetric": False,
            "array": _numbers(drawable(series.high, False) - y),
            "arrayminus": _numbers(y - drawable(series.low, False)),
            "color": colour,
            "thickness": 2,
            "width": 5,
        }
    return trace


def _band(base: dict[str, Any], figure: Figure, series: Series, colour: str) -> dict[str, Any] | None:
    """Draw a band as one closed polygon: two curves with a fill between them break at the first gap."""
    if series.x is None or series.low is None or series.high is None:
        return None
    if not len(series.x) == len(series.low) == len(series.high):
        return None
    low, high = series.low, series.high
    if figure.y_log:
        positive = np.concatenate([low[low > 0], high[high > 0]])
        low = np.where(low <= 0, positive.min() if len(positive) else np.nan, low)
    x, high = drawable(series.x, figure.x_log), drawable(high, figure.y_log)
    keep = np.isfinite(x) & np.isfinite(low) & np.isfinite(high)
    if not keep.any():
        return None
    return base | {
        "x": _numbers(np.concatenate([x[keep], x[keep][::-1]])),
        "y": _numbers(np.concatenate([high[keep], low[keep][::-1]])),
        "mode": "lines",
        "line": {"width": 0, "color": colour},
        "fill": "toself",
        "fillcolor": f"{colour}/band",
        "hoverinfo": "skip",
    }


def _histogram(
    base: dict[str, Any], series: Series, colour: str, dash: str, bins: Array | None
) -> dict[str, Any] | None:
    """Count here, not in the page, and draw a filled staircase: small, and right on a log axis too."""
    if bins is None or series.y is None:
        return None
    counts, _ = np.histogram(series.y[np.isfinite(series.y)], bins)
    if not counts.any():
        return None
    heights = np.append(counts, counts[-1]).astype(np.float64)
    return base | {
        "x": _numbers(bins),
        "y": _numbers(heights),
        "mode": "lines",
        "line": {"shape": "hv", "color": colour, "width": 1.5, "dash": dash},
        "fill": "tozeroy",
        "fillcolor": f"{colour}/fill",
    }


def _missing(figure: Figure, series: Series) -> int:
    log = figure.x_log if series.kind == "histogram" else figure.y_log
    values = [v for v in (series.y, series.low, series.high) if v is not None and series.kind != "interval"]
    if series.kind == "interval" and series.y is not None:
        values = [series.y]
    lost = [~np.isfinite(drawable(v, log and series.kind != "band")) for v in values]
    return int(sum(mask.sum() for mask in lost))


def _thinned(series: Series, most: int) -> Series:
    if series.kind == "histogram":
        return series
    fields = {name: getattr(series, name) for name in ("x", "y", "low", "high")}
    size = max((len(v) for v in fields.values() if v is not None), default=0)
    if size > most:
        keep = np.unique(np.linspace(0, size - 1, most).round().astype(int))
        fields = {k: v[keep] if v is not None and len(v) == size else v for k, v in fields.items()}
    return Series(name=series.name, kind=series.kind, role=series.role, **fields)


def _numbers(values: Array) -> list[float | None]:
    """Round to six digits, which are finer than a pixel; ``null`` is Plotly's gap."""
    return [float(f"{v:.6g}") if np.isfinite(v) else None for v in values]
