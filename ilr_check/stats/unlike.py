"""Runs that are not like the others: a mean may lie in its margin although few runs obey another law.

A run counts where it deviates by more than twice the margin *and* lies farther from the others than normal
runs do. Wide scatter, or a small difference that a mean shows better, does not count: where the others
scatter by more than the margin, one run says nothing.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ilr_check.stats.intervals import student_quantile

Array = npt.NDArray[np.float64]

LEVEL = 1e-5
"""P(some run counts) of one decision at most, for normal runs."""
MOST = 0.15
"""The largest share of runs that are looked for. More of them move the mean itself."""
MARGINS = 2.0


def unlike(runs: Array, low: Array, high: Array) -> npt.NDArray[np.intp]:
    """Return which runs [n, points] are unlike the others and outside of [low, high] at some point.

    ``low`` and ``high`` are twice the margin away from theory. An end may be infinite.

    It is Rosner's test for several outliers (Technometrics 25, 1983, 165), a point at a time: runs are taken
    away one after another, the farthest from the mean of the rest first, and all up to the last one that is
    too far are outliers. So they do not hide one another.
    """
    found: set[int] = set()
    for column, bottom, top in zip(runs.T, low, high, strict=True):
        beyond = (column < bottom) | (column > top)
        if not beyond.any():
            continue
        outliers = _outliers(column, LEVEL / len(low))
        if np.delete(column, outliers).std(ddof=1) <= (top - bottom) / (2.0 * MARGINS):
            found |= set(outliers) & set(np.flatnonzero(beyond).tolist())
    return np.array(sorted(found), dtype=np.intp)


def _outliers(x: Array, level: float) -> list[int]:
    left, taken, last = list(range(len(x))), [], 0
    for number in range(1, math.floor(MOST * len(x)) + 1):
        rest = x[left]
        spread = rest.std(ddof=1)
        if not spread > 0:
            break
        apart = np.abs(rest - rest.mean())
        worst = int(apart.argmax())
        count = len(left)
        t = float(student_quantile(level / (2.0 * count), count - 2.0))
        critical = t * (count - 1) / math.sqrt((count - 2 + t * t) * count)
        if apart[worst] > critical * spread:
            last = number
        taken.append(left.pop(worst))
    return taken[:last]
