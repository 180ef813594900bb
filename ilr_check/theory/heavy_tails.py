"""Equilibrium where the gradient has no variance: the powers of lambda_e, and the linear equation that is
wrong there."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def effective_lr_exponent(tail: float) -> float:
    """Return p of effLR ~ lambda_e^p at equilibrium if P(||gbar|| > s) ~ s^-tail: 1/tail below 2, and 1/2
    above.

    With x = r^2/eta = lambda_e^(-1/tail) y the recursion becomes y' = a^2 y + (lambda_e^(1/tail) ||gbar||)^2
    / y. The size lambda_e^(1/tail) ||gbar|| exceeds s once in s^tail / lambda_e steps for every lambda_e, so
    y always has the same distribution. For a tail index above 2 the square has a mean, and LLA20, section 5,
    holds.
    """
    return 1.0 / min(tail, 2.0)


def end_of_drop(tail: float, factor: float) -> float:
    """Return the effective learning rate long after lr -> lr / factor, over its old value: factor^(-p).

    The power is the same, because x = r^2/eta depends on lr through lambda_e alone.
    """
    return float(factor ** -effective_lr_exponent(tail))


def linear_gamma_path(gamma_start: ArrayLike, G2: Array, a2: ArrayLike) -> Array:
    """Return gamma_0 .. gamma_{T-1} of gamma' = a^4 gamma + 2 a^2 G^2, that is d gamma = -4 lambda_e gamma dt
    + 2 dS.

    S is the sum of G^2, in the limit a stable subordinator of index tail/2 (LLA20, Theorem 5.1, with the
    noise in place of its mean). The equation gives the same powers. It leaves out the term G^4/gamma, which
    for tail < 2 is as large as gamma once in 1/lambda_e steps. So its level is wrong by a factor that does
    not tend to 1.
    """
    now = np.broadcast_to(np.asarray(gamma_start, dtype=np.float64), G2.shape[1:])
    shrink = np.asarray(a2, dtype=np.float64)
    path = np.empty_like(G2)
    for t in range(G2.shape[0]):
        path[t] = now
        now = shrink**2 * now + 2.0 * shrink * G2[t]
    return path
