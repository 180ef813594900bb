"""What a design can see, before any data: closed forms that the calibration checks.

The estimate is normal with standard error se, its estimated error se*S with S = chi/sqrt(df). P(estimate -
c*S*se > bound) then depends on X - cS, which is very nearly normal with mean delta - c*m and variance 1 + c^2
(1 - m^2), m = E S; the non-central t distribution says the same (checked against it) but is unstable at these
tails.
"""

from __future__ import annotations

import math

from ilr_check.stats.intervals import student_quantile

POWER = 0.95
"""The probability with which ``detectable`` is detected."""


def mean_chi(freedom: float) -> float:
    """Return E S = sqrt(2/df) Gamma((df+1)/2) / Gamma(df/2)."""
    return math.sqrt(2 / freedom) * math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2))


def effective_quantile(tail: float, freedom: float) -> float:
    """Return Student's quantile, widened by what Hall's correction costs a normal sample.

    To first order Hall moves one end by a(2c^2 + 1)/6, a the sample skewness over sqrt(n). Its root mean
    square over normal samples is sqrt(6)/n.
    """
    if tail <= 0:
        return math.inf
    c = float(student_quantile(tail, freedom))
    return c + math.sqrt(6) / (freedom + 1) * (2 * c * c + 1) / 6


def _spread(c: float, freedom: float) -> float:
    return math.sqrt(1 + c * c * (1 - mean_chi(freedom) ** 2))


def needed_shift(tail: float, freedom: float, power: float = POWER) -> float:
    """Return the distance from a bound, in standard errors, that clears it with probability ``power``."""
    from scipy.special import ndtri

    c = effective_quantile(tail, freedom)
    return math.inf if math.isinf(c) else c * mean_chi(freedom) + float(ndtri(power)) * _spread(c, freedom)


def chance_of_reaching(room: float, tail: float, freedom: float) -> float:
    """Return P(the end of the interval goes beyond ``room`` standard errors from the truth)."""
    from scipy.special import ndtr

    c = effective_quantile(tail, freedom)
    if math.isinf(c):
        return 1.0
    return float(ndtr((c * mean_chi(freedom) - room) / _spread(c, freedom)))
