"""Equilibrium where the gradient has no variance: powers of lambda_e, and the linear equation that fails."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def effective_lr_exponent(tail: float) -> float:
    """p of effLR ~ lambda_e^p at equilibrium, P(||gbar|| > s) ~ s^-tail: 1/tail below 2, 1/2 above.

    With x = r^2/eta = lambda_e^(-1/tail) y the recursion is y' = a^2 y + (lambda_e^(1/tail) ||gbar||)^2 / y,
    and lambda_e^(1/tail) ||gbar|| exceeds s once in s^tail / lambda_e steps whatever lambda_e: y has one law.
    Beyond 2 the square has a mean, and LLA20, section 5, holds.
    """
    return 1.0 / min(tail, 2.0)


def end_of_drop(tail: float, factor: float) -> float:
    """Effective LR long after lr -> lr / factor over its old value: factor^(-p).

    The same power, since x = r^2/eta depends on lr through lambda_e alone.
    """
    return float(factor ** -effective_lr_exponent(tail))


def linear_gamma_path(gamma_start: ArrayLike, G2: Array, a2: ArrayLike) -> Array:
    """gamma_0 .. gamma_{T-1} of gamma' = a^4 gamma + 2 a^2 G^2: d gamma = -4 lambda_e gamma dt + 2 dS.

    S is the sum of G^2, a stable subordinator of index tail/2 in the limit (LLA20, Theorem 5.1, with noise
    for its mean). Same powers; but the term G^4/gamma that it leaves out is as large as gamma once in
    1/lambda_e steps where tail < 2, so that its level is off by a factor that does not tend to 1.
    """
    now = np.broadcast_to(np.asarray(gamma_start, dtype=np.float64), G2.shape[1:])
    shrink = np.asarray(a2, dtype=np.float64)
    path = np.empty_like(G2)
    for t in range(G2.shape[0]):
        path[t] = now
        now = shrink**2 * now + 2.0 * shrink * G2[t]
    return path
