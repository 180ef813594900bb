"""The reading of data: two intervals and where they lie, for one estimand or for many points at once."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ilr_check.stats.intervals import Array, Bools
from ilr_check.stats.robust import Summary
from ilr_check.stats.verdicts import Band


class Reading(NamedTuple):
    """Both intervals, with any leading replicate axes, and where they lie.

    ``expected``, ``room`` (the distance from theory to the end of the margin) and ``margin`` replace those of
    the design if they depend on the data, that is on the control or on the point of a curve.
    """

    estimate: Array
    error: Array
    low: Array
    high: Array
    fail_low: Array
    fail_high: Array
    inside: Bools
    outside: Bools
    caution: Any
    band: Band | None = None
    notes: tuple[str, ...] = ()
    expected: float | None = None
    room: float | None = None
    margin: tuple[float | None, float | None] | None = None


def read_one(
    summary: Summary, interval: tuple[Array, Array], fail: tuple[Array, Array], margin: tuple[float, float]
) -> Reading:
    """Return the reading of a single estimand, from intervals [..., 1]."""
    low, high, fail_low, fail_high = (end[..., 0] for end in (*interval, *fail))
    return Reading(
        summary.plain.estimate[..., 0],
        summary.plain.error[..., 0],
        low,
        high,
        fail_low,
        fail_high,
        np.asarray((low > margin[0]) & (high < margin[1])),
        np.asarray((fail_low > margin[1]) | (fail_high < margin[0])),
        summary.caution,
    )


def read_points(
    estimate: Array,
    error: Array,
    interval: tuple[Array, Array],
    fail: tuple[Array, Array],
    bounds: tuple[Array, Array],
    caution: Any,
    *,
    what: str,
) -> Reading:
    """Return the reading of many points [..., points] judged at once, reported at the worst placed point.

    ``inside`` means at every point, and ``outside`` at some point. Without replicate axes the whole band is
    included.
    """
    (low, high), (fail_low, fail_high), (bottom, top) = interval, fail, bounds
    inside = np.asarray(((low > bottom) & (high < top)).all(axis=-1))
    outside = np.asarray(((fail_low > top) | (fail_high < bottom)).any(axis=-1))
    beyond = np.maximum((high - top) / top, (bottom - low) / -bottom)
    fails = np.maximum((fail_low - top) / top, (bottom - fail_high) / -bottom)
    worst = np.where(outside, np.argmax(fails, axis=-1), np.argmax(beyond, axis=-1))

    def at(part: Array) -> Array:
        return np.asarray(np.take_along_axis(part, worst[..., None], axis=-1)[..., 0])

    ends = at(estimate), at(error), at(low), at(high), at(fail_low), at(fail_high)
    reading = Reading(*ends, inside, outside, caution)
    if estimate.ndim > 1:
        return reading

    def numbers(array: Array) -> tuple[float, ...]:
        return tuple(float(value) for value in array)

    return reading._replace(
        band=Band(
            estimate=numbers(estimate),
            low=numbers(low),
            high=numbers(high),
            fail_low=numbers(fail_low),
            fail_high=numbers(fail_high),
            margin_low=numbers(bottom),
            margin_high=numbers(top),
        ),
        notes=(f"reported at {what} {int(worst)} of {estimate.size}, counted from 0",),
        room=float(max(top[worst], -bottom[worst])),
        margin=(float(bottom[worst]), float(top[worst])),
    )


def outside_band(expected: Array, band: Band | None) -> bool:
    """Return whether a curve leaves the band that decides ``holds`` at some point."""
    if band is None:
        return False
    return bool(np.any((expected < np.array(band.low)) | (expected > np.array(band.high))))


def finite(name: str, data: Any, *, ndim: int) -> Array:
    """Return ``data`` as a float array.

    Raises ``ValueError`` for another number of axes, fewer than 4 runs, NaN or infinities.
    """
    array = np.asarray(data, float)
    if array.ndim != ndim:
        raise ValueError(f"{name} must have {ndim} axes with runs first, got shape {array.shape}")
    if array.shape[0] < 4:
        raise ValueError(f"{name}: {array.shape[0]} runs; an estimate needs at least 4")
    bad = int(np.sum(~np.isfinite(array.reshape(array.shape[0], -1)).all(axis=1)))
    if bad:
        raise ValueError(
            f"{name}: {bad} of {array.shape[0]} runs are not finite; drop diverged runs first, and report it"
        )
    return array
