"""Figures as data. They are stored beside the verdicts, and every reporter can draw them."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from ilr_check.evidence import atomic

MAX_POINTS = 2000
"""The number of points that a series keeps, so that the HTML file stays small."""

MAX_BYTES = 64 * 2**20
"""The largest size of an unpacked figure, which is that of 1000 series. A larger file is refused, because it
could fill the memory."""

SeriesKind = Literal["line", "band", "points", "interval", "histogram"]
Role = Literal["measured", "predicted", "rival", "margin", "control", "reference"]


class Series(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One curve, band, set of points, set of intervals, or sample for a histogram.

    ``band`` uses ``x, low, high``. ``interval`` uses ``x, y`` with ``low, high`` as error bars along y.
    ``histogram`` uses only ``y``. ``role`` decides colour and order; each reporter chooses its own colours.
    """

    name: str
    kind: SeriesKind
    role: Role
    x: NDArray[np.float64] | None = None
    y: NDArray[np.float64] | None = None
    low: NDArray[np.float64] | None = None
    high: NDArray[np.float64] | None = None


class Figure(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """A figure has a title, series on one pair of axes, and a caption that says what to look for."""

    name: str
    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    caption: str = ""
    x_log: bool = False
    y_log: bool = False


_ARRAYS = ("x", "y", "low", "high")


def save(figure: Figure, folder: Path) -> Path:
    """Write ``folder/<name>.npz`` with the arrays, and the layout as one JSON string. It contains no
    pickle."""
    layout: dict[str, Any] = {
        "name": figure.name,
        "title": figure.title,
        "x_label": figure.x_label,
        "y_label": figure.y_label,
        "caption": figure.caption,
        "x_log": figure.x_log,
        "y_log": figure.y_log,
        "series": [{"name": s.name, "kind": s.kind, "role": s.role} for s in figure.series],
    }
    arrays: dict[str, NDArray[Any]] = {"layout": np.array(json.dumps(layout))}
    for number, series in enumerate(figure.series):
        for field in _ARRAYS:
            values = getattr(series, field)
            if values is not None:
                arrays[f"{field}{number}"] = _thin(np.asarray(values, dtype=np.float64), series.kind)
    packed = io.BytesIO()
    np.savez_compressed(packed, **arrays)  # type: ignore[arg-type]
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{figure.name}.npz"
    atomic.replace(target, packed.getvalue())
    return target


def load(path: Path) -> Figure:
    """Return the figure of a file. Raises ``ValueError`` if ``save`` did not write the file."""
    try:
        # The file is opened here, because numpy does not close a damaged file.
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            unpacked = sum(entry.file_size for entry in stored.zip.infolist())
            if unpacked > MAX_BYTES:
                raise ValueError(f"it unpacks to {unpacked} bytes, and a figure may have at most {MAX_BYTES}")
            layout = json.loads(str(stored["layout"]))
            series = tuple(
                Series(
                    name=entry["name"],
                    kind=entry["kind"],
                    role=entry["role"],
                    **{field: stored[f"{field}{i}"] for field in _ARRAYS if f"{field}{i}" in stored},
                )
                for i, entry in enumerate(layout.pop("series"))
            )
    except Exception as error:  # numpy and zipfile raise many kinds for a damaged file
        raise ValueError(f"{path} is not a readable figure: {error}") from error
    return Figure(series=series, **layout)


def _thin(values: NDArray[np.float64], kind: SeriesKind) -> NDArray[np.float64]:
    """Return at most ``MAX_POINTS`` points of a curve, evenly spaced. The last point always stays."""
    if len(values) <= MAX_POINTS or kind == "histogram":
        return values[:MAX_POINTS] if kind == "histogram" else values
    keep = np.unique(np.linspace(0, len(values) - 1, MAX_POINTS).round().astype(int))
    return np.asarray(values[keep])
