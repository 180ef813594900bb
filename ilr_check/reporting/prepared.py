"""Prepare a figure for any drawing: the order, shade, dash and marker of its series, and what is left out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ilr_check.evidence import Figure, Series
from ilr_check.reporting.histograms import Array, common_bins, drawable, tallest_bar, upright

MAX_POINTS = 200
"""Points of one series in a drawing, which is about 500 pixels wide."""
SHADES = 3
"""Colours of a role; further series of the role repeat them with another dash or marker."""

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
DASH_ARRAYS = {
    "solid": "",
    "dash": "6 4",
    "dot": "2 3",
    "longdash": "10 4",
    "dashdot": "7 3 2 3",
    "longdashdot": "10 3 2 3",
}
# The same: four markers and three shades give twelve pairs.
_MARKERS = {
    "measured": ("circle", "square", "triangle", "cross"),
    "rival": ("diamond", "triangle", "cross", "square"),
    "control": ("square", "diamond", "circle", "triangle"),
    "predicted": ("triangle", "cross", "diamond", "circle"),
}


@dataclass(frozen=True)
class Mark:
    """One series that can be drawn; a value that its axis cannot show is NaN.

    A histogram has become a staircase: ``x`` has the edges of its bins and ``y`` the count after each edge.
    """

    name: str
    kind: str
    role: str
    shade: int
    dash: str
    marker: str
    x: Array
    y: Array
    low: Array
    high: Array

    @property
    def colour(self) -> str:
        """Return the name of its colour in the style sheet."""
        return f"{self.role}-{self.shade}"

    @property
    def entry(self) -> tuple[str, str, str, str]:
        """Return what a legend says of it."""
        return self.name, self.kind, self.colour, self.dash

    @property
    def dash_array(self) -> str:
        """Return its dashes as SVG writes them."""
        return DASH_ARRAYS[self.dash]


@dataclass(frozen=True)
class Prepared:
    """A figure with its series in the order of drawing, and sentences about what is not drawn."""

    figure: Figure
    marks: tuple[Mark, ...]
    notes: tuple[str, ...]

    @property
    def legend(self) -> tuple[tuple[int, Mark], ...]:
        """Return each mark with its number, in the order in which a reader looks for it."""
        return tuple(sorted(enumerate(self.marks), key=lambda pair: _LEGEND_ORDER.index(pair[1].role)))


def prepare(figure: Figure, most: int = MAX_POINTS) -> Prepared:
    """Prepare a figure; values that are not finite become gaps and are counted in the notes."""
    marks: list[Mark] = []
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
        arrays = _arrays(figure, upright(_thinned(series, most), tallest), bins)
        if arrays is None:
            notes.append(f"“{series.name}” has nothing that can be drawn.")
            continue
        dashes, markers = _DASHES[role], _MARKERS.get(role, ("cross",))
        marks.append(
            Mark(
                name=series.name,
                kind=series.kind,
                role=role,
                shade=nth % SHADES,
                dash="solid" if area else dashes[nth % len(dashes)],
                marker=markers[nth % len(markers)],
                x=arrays[0],
                y=arrays[1],
                low=arrays[2],
                high=arrays[3],
            )
        )
        if missing := _missing(figure, series):
            what = "zero, negative or not a number" if figure.x_log or figure.y_log else "not finite"
            notes.append(f"{missing} value{'s' * (missing > 1)} of “{series.name}”: {what}, not drawn.")
        if series.kind != "histogram" and series.x is not None and len(series.x) > most:
            thinned = max(thinned, len(series.x))
    if thinned:
        notes.append(f"Drawn with {most} of up to {thinned} points a curve.")
    return Prepared(figure, tuple(marks), tuple(notes))


def _arrays(figure: Figure, series: Series, bins: Array | None) -> tuple[Array, Array, Array, Array] | None:
    """Return x, y, low and high, or ``None`` where nothing can be drawn."""
    if series.kind == "histogram":
        return _staircase(series, bins)
    if series.x is None:
        return None
    x = drawable(series.x, figure.x_log)
    nothing = np.full(len(x), np.nan)
    if series.kind == "band":
        if series.low is None or series.high is None or not len(x) == len(series.low) == len(series.high):
            return None
        low, high = series.low, drawable(series.high, figure.y_log)
        if figure.y_log:
            positive = np.concatenate([low[low > 0], series.high[series.high > 0]])
            low = np.where(low <= 0, positive.min() if len(positive) else np.nan, low)
        low = drawable(low, figure.y_log)
        keep = np.isfinite(x) & np.isfinite(low) & np.isfinite(high)
        return (x[keep], nothing[keep], low[keep], high[keep]) if keep.any() else None
    if series.y is None or len(series.y) != len(x):
        return None
    y = drawable(series.y, figure.y_log)
    if not np.any(np.isfinite(x) & np.isfinite(y)):
        return None
    if series.kind == "interval" and series.low is not None and series.high is not None:
        return x, y, drawable(series.low, False), drawable(series.high, False)
    return x, y, nothing, nothing


def _staircase(series: Series, bins: Array | None) -> tuple[Array, Array, Array, Array] | None:
    if bins is None or series.y is None:
        return None
    counts, _ = np.histogram(series.y[np.isfinite(series.y)], bins)
    if not counts.any():
        return None
    nothing = np.full(len(bins), np.nan)
    return bins, np.append(counts, counts[-1]).astype(np.float64), nothing, nothing


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
