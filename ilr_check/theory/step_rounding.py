"""Bounds on rounding in one SGD step: its rotation, its direction and its effective learning rate.

The step is w' = a w - eta g + e with a = 1 - eta lam. Every bound below follows from this line by division
and multiplication. u is the unit roundoff of the weights. gamma_n is that of ``rounding``, always for
float64, because every measured number is a sum over the group in float64.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from ilr_check.theory.rounding import UNDERFLOW, UNIT_ROUNDOFF, accumulated, norm_recursion_bound


class StepSizes(NamedTuple):
    """Sizes in one step of one group: r = ||w||, r' = ||w'||, g = ||gradient||, and what decides rounding.

    ``inner`` is B >= |<g, w>|, the part of the inner product of gradient and weights that rounding can cause.
    ``entries`` is n, the number of entries of the group, and ``dtype`` is that of the weights.
    """

    r: float
    r_next: float
    g: float
    eta: float
    lam: float
    inner: float
    entries: int
    dtype: str

    @property
    def a(self) -> float:
        """a = 1 - eta lam."""
        return 1.0 - self.eta * self.lam

    def gamma(self, extra: int) -> float:
        """Return gamma_{n + extra} for a sum over the group with ``extra`` more roundings."""
        return accumulated(self.entries + extra, "float64")


def roundings(size: float, count: int, dtype: str) -> float:
    """Return the norm of the error of a vector of ``count`` entries with 6 roundings each on terms of norm
    ``size``.

    It is 6u size. Each rounding loses at most h, the smallest positive number, if the result is subnormal.
    """
    return 6.0 * (UNIT_ROUNDOFF[dtype] * size + math.sqrt(count) * UNDERFLOW[dtype])


def step_error(s: StepSizes) -> float:
    """Return a bound of ||e||: 6u (r (1 + |eta lam|) + eta g), and underflow.

    There are 6 roundings per entry: eta and lam are rounded to the dtype of the weights, and there are two
    products and two sums. Each is relative to the terms before anything cancels.
    """
    return roundings(s.r * (1.0 + abs(s.eta * s.lam)) + s.eta * s.g, s.entries, s.dtype)


def squared_norm_error(s: StepSizes) -> float:
    """Return a bound of |measured r'^2 - a^2 r^2 - eta^2 g^2|: ``norm_recursion_bound`` of these sizes."""
    bound = norm_recursion_bound(
        r=s.r, g=s.g, eta=s.eta, lam=s.lam, inner_product_bound=s.inner, count=s.entries, dtype=s.dtype
    )
    return float(bound)


def inner_product_error(s: StepSizes) -> float:
    """Return a bound of |measured <w, w'> - a r^2|: eta B + r ||e|| + gamma_{n+4} (r r' + (1 + |eta lam|)
    r^2).

    The first two terms bound <w, -eta g> and <w, e>. The last one covers the two measured sums, and a itself
    in float64.
    """
    summed = s.gamma(4) * (s.r * s.r_next + (1.0 + abs(s.eta * s.lam)) * s.r * s.r)
    return s.eta * s.inner + s.r * step_error(s) + summed


def turned_error(s: StepSizes) -> float:
    """Return a bound of the error of the measured length of the part of w' that is orthogonal to w (eta g).

    It is eta B/r + ||e|| + gamma_{n+8} (2r' + eta g). The gradient is orthogonal to w up to B. The projection
    w' - (<w, w'> / r^2) w in float64 has two terms of length at most r', and the norms are sums.
    """
    return s.eta * s.inner / s.r + step_error(s) + s.gamma(8) * (2.0 * s.r_next + s.eta * s.g)


def cosine_error(s: StepSizes) -> float:
    """Return a bound of |measured cos - a r / r'|.

    It is the error of the inner product over r r', and gamma_{n+8} for the norms.
    """
    return inner_product_error(s) / (s.r * s.r_next) + s.gamma(8) * (1.0 + abs(s.a) * s.r / s.r_next)


def sine_error(s: StepSizes) -> float:
    """Return a bound of |measured sin - eta g / r'|.

    It is the error of the orthogonal part over r', and gamma_{n+8} for the norms.
    """
    return turned_error(s) / s.r_next + s.gamma(8) * (1.0 + s.eta * s.g / s.r_next)


def direction_error(s: StepSizes) -> float:
    """Return a bound of ||u' - (a u - eta g / r) / N|| where N^2 = a^2 + (eta g / r)^2.

    The first term is 2 ||e|| / r', because |x/|x| - y/|y|| <= 2 |x - y| / |x|. The second is 2 eta |a| B / (r
    N)^2, because the length of a w - eta g is r N only up to that. The third covers the prediction in
    float64: 3 sums and 10 roundings on terms whose sizes add up to (|a| r + eta g) / (r N) <= sqrt(2).
    """
    length = math.hypot(s.a * s.r, s.eta * s.g)
    computed = math.sqrt(2.0) * (3.0 * s.gamma(4) + 10.0 * UNIT_ROUNDOFF["float64"])
    return 2.0 * step_error(s) / s.r_next + 2.0 * s.eta * abs(s.a) * s.inner / length / length + computed


def effective_lr_error(s: StepSizes) -> float:
    """Return a bound of the error of the log of the effective learning rate, measured as a tan(rotation) / (r
    g).

    It is inf where the measured number is mere rounding. The tangent is a quotient of two measured lengths,
    so the relative errors add up to x = turned_error / (eta g) + inner_product_error / (|a| r^2) +
    gamma_{n+8}, the last for the norms, and |log(1 + x)| < 4x/3 for |x| <= 1/4.
    """
    if s.eta * s.g <= 0.0 or s.a == 0.0:
        return math.inf
    along = inner_product_error(s) / (abs(s.a) * s.r * s.r)
    return _of_log(turned_error(s) / (s.eta * s.g) + along + s.gamma(8))


def log_cosine_error(s: StepSizes) -> float:
    """Return a bound of the error of -log|cos| against -log|a| + log(r'/r) in one step.

    It is inf where the measured cosine is mere rounding. The relative error of the inner product is
    inner_product_error / (|a| r^2), which includes that of a. The norms and three logarithms in float64 add
    gamma_{n+8} times (1 + their size).
    """
    if s.a == 0.0:
        return math.inf
    logs = 1.0 + abs(math.log(abs(s.a))) + abs(math.log(s.r_next / s.r))
    return _of_log(inner_product_error(s) / (abs(s.a) * s.r * s.r)) + 4.0 * s.gamma(8) * logs


def _of_log(relative: float) -> float:
    return 4.0 / 3.0 * relative if relative <= 0.25 else math.inf


def buffer_error(s: StepSizes, *, mu: float, b: float, before: float) -> float:
    """Return a bound of the error of the momentum buffer b' = mu b + g + lam w.

    b has norm ``b`` and error ``before``. The bound is mu times the old error, and 6 roundings per entry (mu
    and lam to the dtype, two products, two sums).
    """
    size = mu * (b + before) + s.g + abs(s.lam) * s.r
    return mu * before + roundings(size, s.entries, s.dtype)


def momentum_error(s: StepSizes, *, b: float, error: float) -> float:
    """Return a bound of the error of the measured <w, w'> against r^2 - eta (mu <b, w> + lam r^2).

    The new buffer b' has norm ``b`` and error ``error``. The gradient and the buffer give eta (B + r error).
    There are 6 roundings per entry on r + eta ||b'||. Every measured product adds gamma_{n+8} times its size:
    r r', r^2, and those of the parts of eta b' with w, at most 2 eta (r ||b'|| + B).
    """
    moved = roundings(s.r + s.eta * (b + error), s.entries, s.dtype)
    products = s.r * (s.r + s.r_next) + 2.0 * s.eta * (s.r * (b + error) + s.inner)
    return s.eta * (s.inner + s.r * error) + s.r * moved + s.gamma(8) * products
