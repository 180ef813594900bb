"""Compute common bins for the histograms of a figure, and the height of a vertical line over them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ilr_check.evidence import Figure, Series
from ilr_check.reporting.numbers import LARGEST

HISTOGRAM_BINS = 40

Array = NDArray[np.float64]


def common_bins(figure: Figure) -> Array | None:
    """Return common bins for all histograms of a figure."""
    samples = [s.y for s in figure.series if s.kind == "histogram" and s.y is not None]
    values = (
        np.concatenate([drawable(sample, figure.x_log) for sample in samples]) if samples else np.empty(0)
    )
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    low, high = float(values.min()), float(values.max())
    if figure.x_log:
        return np.geomspace(low, high if high > low else 2 * low, HISTOGRAM_BINS + 1)
    pad = 0.5 if high == low else 0.0
    return np.linspace(low - pad, high + pad, HISTOGRAM_BINS + 1)


def tallest_bar(figure: Figure, bins: Array | None) -> float:
    """Return the largest count in any bin; 0 where there is no histogram."""
    samples = [s.y for s in figure.series if s.kind == "histogram" and s.y is not None]
    if bins is None:
        return 0.0
    return max(float(np.histogram(drawable(sample, False), bins)[0].max()) for sample in samples)


def upright(series: Series, tallest: float) -> Series:
    """Return a vertical line that reaches the top of the histogram; its author could not know the counts."""
    if not tallest or series.kind != "line" or series.x is None or len(series.x) < 2 or np.ptp(series.x) > 0:
        return series
    return Series(
        name=series.name, kind="line", role=series.role, x=series.x[:2], y=np.array([0.0, 1.05 * tallest])
    )


def drawable(values: Array, log: bool) -> Array:
    """Return the values with NaN for those that the axis cannot show."""
    with np.errstate(invalid="ignore"):
        kept = np.abs(values) < LARGEST
        if log:
            kept &= values > 1 / LARGEST
    return np.where(kept, values, np.nan)
