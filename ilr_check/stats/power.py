"""What a design can detect, before there are any data: closed forms that the calibration checks.

The estimate is normal with standard error se. Its estimated error is se*S with S = chi/sqrt(df), independent
of it. For a critical value c, P(estimate - c*S*se > bound) depends on X - cS, which is very nearly normal
with mean delta - c*m and variance 1 + c^2 (1 - m^2), where m = E S. The non-central t distribution agrees
(this is checked), but it is unstable in these tails. Hall's interval makes c itself random, a function of the
sample skewness, which for normal runs is independent of the two others. So the result is averaged over c.
"""

from __future__ import annotations

import math

import numpy as np

from ilr_check.stats.intervals import DOUBTS, FURTHEST, Array, hall_point, student_quantile

POWER = 0.95
"""The probability with which ``detectable`` is detected."""
ALLOWANCE = 0.015
"""Planned on top of ``POWER``. The approximations above miss it by up to 0.003. One normal sample in 200 is
classified as not normal, which costs up to 0.01 with eight groups (measured)."""


def mean_chi(degrees_of_freedom: float) -> float:
    """Return E S = sqrt(2/df) Gamma((df+1)/2) / Gamma(df/2)."""
    return math.sqrt(2 / degrees_of_freedom) * math.exp(
        math.lgamma((degrees_of_freedom + 1) / 2) - math.lgamma(degrees_of_freedom / 2)
    )


def critical_values(tail: float, degrees_of_freedom: float) -> tuple[Array, Array]:
    """Return critical values and their weights, over the skewness of normal samples (Gauss-Hermite)."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(21)
    c = float(student_quantile(tail, degrees_of_freedom))
    skewness = (nodes + DOUBTS) * math.sqrt(6) / (degrees_of_freedom + 1)
    widened = -hall_point(np.full_like(nodes, -c), np.minimum(skewness, FURTHEST / c))
    return np.maximum(widened, c), weights / weights.sum()


def chance_of_reaching(room: float, tail: float, degrees_of_freedom: float) -> float:
    """Return P(the end of the interval goes beyond ``room`` standard errors from the truth)."""
    from scipy.special import ndtr

    if tail <= 0:
        return 1.0
    c, weights = critical_values(tail, degrees_of_freedom)
    m = mean_chi(degrees_of_freedom)
    return float(weights @ ndtr((c * m - room) / np.sqrt(1 + c * c * (1 - m * m))))


def needed_shift(tail: float, degrees_of_freedom: float, power: float = POWER + ALLOWANCE) -> float:
    """Return the distance from a bound, in standard errors, that exceeds it with probability ``power``."""
    from scipy.optimize import brentq

    if tail <= 0:
        return math.inf
    highest = 5 * float(student_quantile(tail, degrees_of_freedom)) + 20
    return float(
        brentq(lambda shift: chance_of_reaching(shift, tail, degrees_of_freedom) - (1 - power), -10, highest)
    )


def welch_degrees_of_freedom(weights: Array, runs: int) -> float:
    """Return the degrees of freedom to plan contrasts [..., n_groups] with: Welch's for equal variances.

    They are reduced by a tenth, because they are estimated themselves, which costs power (measured at 16 to
    64 runs).
    """
    square = np.asarray(weights) ** 2
    return 0.9 * float(np.min(square.sum(axis=-1) ** 2 / (square**2).sum(axis=-1))) * (runs - 1)
