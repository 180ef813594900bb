"""Intervals for linear contrasts of independent group means, safe against skewness and heavy tails.

Everything works on arrays [..., n]: the last axis is runs, and leading axes are replicates or points.
Student's interval alone is not enough at small rates: for skewed data and 32 runs its real tail at 1e-4 was 7
to 42 times the nominal one. So the interval is the union of Student's (Welch's) interval and Hall's, which
removes the skewness by a cubic transformation (P. Hall 1992, J. R. Statist. Soc. B 54, 221). The skewness
itself is estimated from few runs and is too small as often as too large, so Hall's interval allows for an
error in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

DOUBTS = 1.5
"""The standard errors of the sample skewness that Hall's interval allows for. With 0, the measured tail at
0.001 was up to 3 times too large for runs as skewed as gamma(2) or exponential; with 1.5 it is right."""
FURTHEST = 0.875


class Moments(NamedTuple):
    """The centres of groups [..., n_groups], and the variance, degrees of freedom and third cumulant of each
    centre."""

    centre: Array
    variance: Array
    degrees_of_freedom: Array
    third: Array


class Contrast(NamedTuple):
    """A linear combination of group centres: its value, standard error, degrees of freedom and skewness (the
    third standardised cumulant of the estimator). ``doubt`` is the standard error of the skewness for normal
    runs."""

    estimate: Array
    error: Array
    degrees_of_freedom: Array
    skewness: Array
    doubt: Array


def student_quantile(tail: npt.ArrayLike, degrees_of_freedom: npt.ArrayLike) -> Array:
    """Return t with P(T > t) = ``tail``. It is infinite if ``tail`` is 0."""
    from scipy.special import stdtrit

    degrees_of_freedom = np.asarray(degrees_of_freedom, float)
    if degrees_of_freedom.size > 1 and degrees_of_freedom.min() == degrees_of_freedom.max():
        degrees_of_freedom = degrees_of_freedom.flat[0]  # one inversion instead of one per replicate
    tail = np.asarray(tail, float)
    return np.where(
        tail > 0, -stdtrit(degrees_of_freedom, tail), np.inf
    )  # stdtrit(df, 0) is +inf, the wrong end


def student_tail(value: npt.ArrayLike, degrees_of_freedom: npt.ArrayLike) -> Array:
    """Return P(T > ``value``)."""
    from scipy.special import stdtr

    return np.asarray(stdtr(np.asarray(degrees_of_freedom, float), -np.asarray(value, float)))


def moments(groups: Sequence[Array]) -> Moments:
    """Return mean, s^2/n, n - 1 and the unbiased third cumulant of the mean, k3/n^2, of groups [..., n_k]."""
    columns = []
    for x in groups:
        n = x.shape[-1]
        mean = x.mean(axis=-1)
        centred = x - mean[..., None]
        square = centred * centred
        second = square.sum(axis=-1)
        third = (square * centred).sum(axis=-1) * (n / ((n - 1) * max(n - 2, 1)))
        columns.append((mean, second / ((n - 1) * n), np.full_like(mean, n - 1.0), third / n**2))
    return Moments(*(np.stack(parts, axis=-1) for parts in zip(*columns, strict=True)))


def trimmed_moments(groups: Sequence[Array], *, trim: float = 0.1) -> Moments:
    """Return the same for trimmed means: Winsorised variance and h - 1 degrees of freedom (Tukey and
    McLaughlin 1963; Yuen 1974). The third cumulant is set to 0."""
    columns = []
    for x in groups:
        n = x.shape[-1]
        cut = int(trim * n)
        kept = n - 2 * cut
        ordered = np.sort(x, axis=-1)
        core = ordered[..., cut : n - cut]
        winsorised = np.clip(ordered, core[..., :1], core[..., -1:])
        squares = winsorised.var(axis=-1) * n
        centre = core.mean(axis=-1)
        columns.append(
            (centre, squares / (kept * (kept - 1)), np.full_like(centre, kept - 1.0), np.zeros_like(centre))
        )
    return Moments(*(np.stack(parts, axis=-1) for parts in zip(*columns, strict=True)))


def contrast(groups: Moments, weights: npt.ArrayLike) -> Contrast:
    """Return sum_k w_k centre_k with Welch and Satterthwaite's degrees of freedom.

    ``weights`` is [n_groups] or [n_contrasts, n_groups]. The result has shape [...] or [..., n_contrasts].
    """
    w = np.asarray(weights, float).T
    variance = groups.variance @ w**2
    with np.errstate(divide="ignore", invalid="ignore"):
        degrees_of_freedom = variance**2 / ((groups.variance**2 / groups.degrees_of_freedom) @ w**4)
        skewness = (groups.third @ w**3) / variance**1.5
        # The k3 of n normal runs has variance 6 s^6/n, so that of k3/n^2 is 6 (s^2/n)^3/n^2.
        doubt = np.sqrt(
            6 * ((groups.variance**3 / (groups.degrees_of_freedom + 1) ** 2) @ w**6) / variance**3
        )
    fewest = groups.degrees_of_freedom.min(axis=-1)
    degrees_of_freedom = np.where(
        variance > 0, degrees_of_freedom, fewest if w.ndim == 1 else fewest[..., None]
    )
    skewness, doubt = (np.where(variance > 0, part, 0.0) for part in (skewness, doubt))
    return Contrast(groups.centre @ w, np.sqrt(variance), degrees_of_freedom, skewness, doubt)


def student(value: Contrast, tail: npt.ArrayLike) -> tuple[Array, Array]:
    """Return Student's (Welch's) interval with ``tail`` on either side."""
    half = value.error * student_quantile(tail, value.degrees_of_freedom)
    return value.estimate - half, value.estimate + half


def hall_point(quantile: Array, skewness: Array) -> Array:
    """Return Hall's inverse transformation: the T with T + aT^2/3 + a^2 T^3/27 + a/6 = ``quantile``.

    ``a`` is the skewness of the estimator (that of the data over sqrt(n)). The cubic is ((1 + aT/3)^3 - 1)/a
    + a/6, so the inverse is (3/a)(cbrt(1 + a(q - a/6)) - 1), which is monotone for every a.
    """
    small = np.abs(skewness) < 1e-6
    a = np.where(small, 1.0, skewness)
    with np.errstate(over="ignore", invalid="ignore"):
        exact = 3.0 / a * (np.cbrt(1.0 + a * (quantile - a / 6.0)) - 1.0)
    return np.where(small | ~np.isfinite(quantile), quantile, exact)


def hall(value: Contrast, tail: npt.ArrayLike, *, doubts: float = DOUBTS) -> tuple[Array, Array]:
    """Return Hall's interval: T = (estimate - truth)/error, made symmetric by his cubic.

    The skewness may be wrong by ``doubts`` times its standard error in either direction, and each end takes
    the worse case. The inverse transformation is largest, at 4 quantiles, where 1 + aq = -1/8, and decreases
    beyond. The skewness is cut off there, so that more skewness never gives a shorter interval.
    """
    quantile = np.broadcast_to(student_quantile(tail, value.degrees_of_freedom), value.estimate.shape)
    furthest = FURTHEST / quantile
    left = np.maximum(value.skewness - doubts * value.doubt, -furthest)
    right = np.minimum(value.skewness + doubts * value.doubt, furthest)
    low = value.estimate - value.error * hall_point(quantile, left)
    high = value.estimate - value.error * hall_point(-quantile, right)
    return low, high


def union(*intervals: tuple[Array, Array]) -> tuple[Array, Array]:
    """Return the smallest interval that contains all of ``intervals``."""
    lows, highs = zip(*intervals, strict=True)
    low, high = lows[0], highs[0]
    for other_low, other_high in zip(lows[1:], highs[1:], strict=True):
        low, high = np.minimum(low, other_low), np.maximum(high, other_high)
    return low, high
