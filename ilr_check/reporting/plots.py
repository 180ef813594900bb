"""Draw figures as Plotly JSON, for the interactive report; the page resolves the colours.

Nothing here imports plotly: its JSON is plain data, and only the page needs the script that draws it.
"""

from __future__ import annotations

import html
import json
import textwrap
from typing import Any

import numpy as np

from ilr_check.reporting import ticks
from ilr_check.reporting.histograms import Array
from ilr_check.reporting.prepared import Mark, Prepared

LONGEST_X_LINE, LONGEST_Y_LINE = 44, 30
"""Characters on a line of an axis title that fit on a phone, whose plots are 300 pixels wide and high."""
_SYMBOLS = {"triangle": "triangle-up"}
_WIDTHS = {"predicted": 2.5, "measured": 2.5, "reference": 1.2}


def payload(prepared: Prepared) -> dict[str, Any]:
    """Return the traces, one for each mark of the figure, and the layout."""
    figure = prepared.figure
    traces = [_trace(mark) for mark in prepared.marks]
    layout = {
        "xaxis": _axis(figure.x_label, LONGEST_X_LINE, figure.x_log, [trace["x"] for trace in traces]),
        "yaxis": _axis(figure.y_label, LONGEST_Y_LINE, figure.y_log, [trace["y"] for trace in traces]),
    }
    if any(mark.kind == "histogram" for mark in prepared.marks):
        layout["yaxis"]["rangemode"] = "tozero"
    return {"data": traces, "layout": layout}


def script(prepared: Prepared) -> str:
    """Return the payload as JSON that is inert inside a ``<script>`` element, whatever its names."""
    text = json.dumps(payload(prepared), allow_nan=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


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


def _trace(mark: Mark) -> dict[str, Any]:
    base: dict[str, Any] = {"type": "scatter", "name": _plain(mark.name), "showlegend": False}
    if mark.kind == "histogram":
        # Counted here, not in the page, and drawn as a filled staircase: small, and right on a log axis too.
        line = {"shape": "hv", "color": mark.colour, "width": 1.5, "dash": mark.dash}
        filled = {"fill": "tozeroy", "fillcolor": f"{mark.colour}/fill"}
        return base | {"x": _numbers(mark.x), "y": _numbers(mark.y), "mode": "lines", "line": line} | filled
    if mark.kind == "band":
        # One closed polygon: two curves with a fill between them break at the first gap.
        return base | {
            "x": _numbers(np.concatenate([mark.x, mark.x[::-1]])),
            "y": _numbers(np.concatenate([mark.high, mark.low[::-1]])),
            "mode": "lines",
            "line": {"width": 0, "color": mark.colour},
            "fill": "toself",
            "fillcolor": f"{mark.colour}/band",
            "hoverinfo": "skip",
        }
    trace = base | {"x": _numbers(mark.x), "y": _numbers(mark.y), "mode": "lines"}
    if mark.kind == "line":
        width = _WIDTHS.get(mark.role, 1.8)
        return trace | {"line": {"color": mark.colour, "width": width, "dash": mark.dash}}
    symbol = _SYMBOLS.get(mark.marker, mark.marker)
    trace |= {
        "mode": "markers",
        "marker": {"color": mark.colour, "size": 7, "symbol": symbol},
        "cliponaxis": False,
    }
    if mark.kind == "interval" and np.isfinite(np.concatenate([mark.low, mark.high])).any():
        trace["error_y"] = {
            "type": "data",
            "symmetric": False,
            "array": _numbers(mark.high - mark.y),
            "arrayminus": _numbers(mark.y - mark.low),
            "color": mark.colour,
            "thickness": 2,
            "width": 5,
        }
    return trace


def _numbers(values: Array) -> list[float | None]:
    """Round to six digits, which are finer than a pixel; ``null`` is Plotly's gap."""
    return [float(f"{v:.6g}") if np.isfinite(v) else None for v in values]
