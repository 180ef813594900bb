"""Maps over two axes in equal ratios, as one HTML page without scripts.

On such axes the places with an equal product are straight lines, from the top left to the bottom right.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

from ilr_check.reporting import numbers, ticks

Array = NDArray[np.float64]
WIDTH, HEIGHT = 420, 320
"""The pixels of a map without its labels."""
LEVELS = 40
"""The number of colours. Cells of one colour are one path, which keeps the file small."""
PALETTE = ((0x44, 0x01, 0x54), (0x3B, 0x52, 0x8B), (0x21, 0x91, 0x8C), (0x5E, 0xC9, 0x62), (0xFD, 0xE7, 0x25))
"""Viridis: it is read in grey and by the colour-blind."""
DIVIDED = ((0x21, 0x66, 0xAC), (0x92, 0xC5, 0xDE), (0xF7, 0xF7, 0xF7), (0xF4, 0xA5, 0x82), (0xB2, 0x18, 0x2B))
"""Blue below, white at, and red above the predicted value."""


@dataclass(frozen=True, eq=False)
class HeatMap:
    """``values`` [x, y]; NaN is an empty cell. With ``centre`` the colours are even around 1."""

    title: str
    caption: str
    values: Array
    log: bool = True
    centre: bool = False


@dataclass(frozen=True)
class Axis:
    """The name and the values of an axis, in equal ratios."""

    name: str
    values: tuple[float, ...]

    def edges(self) -> tuple[float, float]:
        """Return the logarithms of both ends; a value is in the middle of its cell."""
        logs = np.log10(np.array(self.values))
        half = (logs[-1] - logs[0]) / (len(logs) - 1) / 2 if len(logs) > 1 else 0.5
        return float(logs[0] - half), float(logs[-1] + half)


def page(
    title: str, paragraphs: Sequence[str], maps: Sequence[HeatMap], x: Axis, y: Axis, boundary: float
) -> str:
    """Return the page. ``boundary`` is a product of both axes that gets a dashed line."""
    drawn = "\n".join(
        f"<figure><figcaption><strong>{escape(m.title)}</strong><br>{escape(m.caption)}</figcaption>"
        f"{_svg(m, x, y, boundary)}</figure>"
        for m in maps
    )
    told = "\n".join(f"<p>{escape(paragraph)}</p>" for paragraph in paragraphs)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="generator" content="ilr-check sweep">
<meta name="viewport" content="width=device-width"><title>{escape(title)}</title>
<style>
body {{ font: 1rem/1.5 system-ui, sans-serif; margin: 1.5rem auto; max-width: 70rem; padding: 0 1rem;
  color: #17202b; background: #fff }}
main {{ display: flex; flex-wrap: wrap; gap: 1.5rem }}
figure {{ margin: 0; width: 32rem; max-width: 100% }}
svg {{ width: 100%; height: auto }} text {{ font: 12px system-ui, sans-serif; fill: #17202b }}
.line {{ stroke: #111; stroke-width: 1; fill: none }} .halo {{ stroke: #fff; stroke-width: 3; fill: none }}
.dash {{ stroke-dasharray: 6 4; stroke-width: 2 }}
.tag {{ paint-order: stroke; stroke: #fff; stroke-width: 3px }}
</style></head><body><h1>{escape(title)}</h1>
{told}
<main>
{drawn}
</main></body></html>
"""


def _svg(heat: HeatMap, x: Axis, y: Axis, boundary: float) -> str:
    left, top, right, bottom = 70, 10, 80, 50
    low, high = _range(heat)
    parts = [
        f'<svg viewBox="0 0 {left + WIDTH + right} {top + HEIGHT + bottom}" role="img" '
        f'aria-label="{escape(heat.title)}">',
        f'<g transform="translate({left} {top})">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ddd"/>',
        *_cells(heat, low, high),
        *_lines(x, y, boundary),
        *_axes(x, y),
        *_scale(heat, low, high),
        "</g></svg>",
    ]
    return "".join(parts)


def _range(heat: HeatMap) -> tuple[float, float]:
    found = heat.values[np.isfinite(heat.values)]
    if heat.log:
        found = np.log10(found[found > 0])
    if not len(found):
        return 0.0, 1.0
    low, high = float(found.min()), float(found.max())
    if heat.centre:
        # At least 10 %, so that noise does not look like a difference.
        most = max(-low, high, math.log10(1.1))
        return -most, most
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _cells(heat: HeatMap, low: float, high: float) -> list[str]:
    with np.errstate(all="ignore"):
        values = np.log10(heat.values) if heat.log else heat.values
    columns, rows = values.shape
    level = np.full(values.shape, -1)
    fits = np.isfinite(values)
    level[fits] = np.clip((values[fits] - low) / (high - low) * LEVELS, 0, LEVELS - 1).astype(int)
    scale = f"scale({WIDTH / columns:.6g} {HEIGHT / rows:.6g})"
    found = [f'<g transform="{scale}" shape-rendering="crispEdges">']
    for number in np.unique(level[fits]):
        # Row 0 is the lowest value, which is drawn at the bottom.
        places = "".join(f"M{i} {rows - 1 - j}h1v1h-1z" for i, j in np.argwhere(level == number))
        found.append(f'<path fill="{_colour(heat, (number + 0.5) / LEVELS)}" d="{places}"/>')
    return [*found, "</g>"]


def _colour(heat: HeatMap, place: float) -> str:
    anchors = DIVIDED if heat.centre else PALETTE
    number = min(int(place * (len(anchors) - 1)), len(anchors) - 2)
    part = place * (len(anchors) - 1) - number
    mixed = (round(a + part * (b - a)) for a, b in zip(anchors[number], anchors[number + 1], strict=True))
    return "#" + "".join(f"{value:02x}" for value in mixed)


def _lines(x: Axis, y: Axis, boundary: float) -> list[str]:
    """Return the lines of equal product: one for each power of ten, and the dashed one."""
    (x0, x1), (y0, y1) = x.edges(), y.edges()
    powers = range(math.ceil(x0 + y0), math.floor(x1 + y1) + 1)
    found = []
    for product, text, dashed in [
        *((float(power), f"1e{power}", False) for power in powers),
        (math.log10(boundary), "", True),
    ]:
        start, end = max(x0, product - y1), min(x1, product - y0)
        if start >= end:
            continue
        ends = [(u, product - u) for u in (start, end)]
        (ax, ay), (bx, by) = (((u - x0) / (x1 - x0) * WIDTH, (y1 - v) / (y1 - y0) * HEIGHT) for u, v in ends)
        path = f'd="M{ax:.1f} {ay:.1f}L{bx:.1f} {by:.1f}"'
        found.append(f'<path class="halo" {path}/><path class="line{" dash" * dashed}" {path}/>')
        if text and bx - ax > 40:
            found.append(
                f'<text class="tag" x="{(ax + bx) / 2 + 4:.1f}" y="{(ay + by) / 2 - 4:.1f}">{text}</text>'
            )
    return found


def _axes(x: Axis, y: Axis) -> list[str]:
    found = []
    for axis, across in ((x, True), (y, False)):
        low, high = axis.edges()
        marks = [m for m in ticks.decades(10**low, 10**high) if low <= math.log10(m) <= high]
        for mark in marks or [axis.values[0]]:
            part = (math.log10(mark) - low) / (high - low)
            place = (
                f'x="{part * WIDTH:.1f}" y="{HEIGHT + 16}" text-anchor="middle"'
                if across
                else f'x="-6" y="{(1 - part) * HEIGHT + 4:.1f}" text-anchor="end"'
            )
            found.append(f"<text {place}>{escape(ticks.power(mark))}</text>")
    found.append(f'<text x="{WIDTH / 2}" y="{HEIGHT + 38}" text-anchor="middle">{escape(x.name)}</text>')
    turned = f'transform="translate(-56 {HEIGHT / 2}) rotate(-90)" text-anchor="middle"'
    return [*found, f"<text {turned}>{escape(y.name)}</text>"]


def _scale(heat: HeatMap, low: float, high: float) -> list[str]:
    step = HEIGHT / LEVELS
    found = [
        f'<rect x="{WIDTH + 14}" y="{HEIGHT - (n + 1) * step:.1f}" width="12" height="{step + 0.5:.1f}" '
        f'fill="{_colour(heat, (n + 0.5) / LEVELS)}"/>'
        for n in range(LEVELS)
    ]
    for part in (0.0, 0.5, 1.0):
        value = low + part * (high - low)
        text = numbers.number(10**value if heat.log else value, 3)
        found.append(f'<text x="{WIDTH + 30}" y="{(1 - part) * (HEIGHT - 8) + 9:.1f}">{text}</text>')
    return found
