"""How a direction forgets its start if no basin of the loss holds it."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def free_cosine(lambda_e: ArrayLike, lag: ArrayLike) -> Array:
    """Return E<u_t, u_{t+D}> = (1 - lambda_e)^D, about e^{-lambda_e D}, at equilibrium if the gradient has no
    memory.

    Every step rotates the direction by cos = 1 - lambda_e on average, orthogonally to its present value.
    """
    return np.asarray((1.0 - np.asarray(lambda_e, dtype=np.float64)) ** np.asarray(lag, dtype=np.float64))


def rotation_of_a_run(lambda_e: ArrayLike, steps: ArrayLike, gamma_start: ArrayLike, G2: ArrayLike) -> Array:
    """Return Q_T = lambda_e T + log(gamma_T/gamma_0)/4 = log(1 + (gamma*/gamma_0)(e^{4 lambda_e T} - 1))/4.

    This is the rotation law, with gamma from the differential equation at constant noise and gamma* = G^2/(2
    lambda_e). Without decay it is log(1 + 2 G^2 T/gamma_0)/4. A free direction keeps e^{-Q} of its start, so
    it has not mixed while Q < 1.
    """
    level, t = np.asarray(lambda_e, dtype=np.float64), np.asarray(steps, dtype=np.float64)
    s = 4.0 * level * t
    # The limit of expm1(s)/s without decay is 1.
    growth = np.where(s > 0.0, np.expm1(s) / np.where(s > 0.0, s, 1.0), 1.0)
    return np.asarray(0.25 * np.log1p(2.0 * np.asarray(G2) * t * growth / np.asarray(gamma_start)))


def threshold_of_mixing(steps: float, gamma_start: float, G2: float, rotation: float = 1.0) -> float:
    """Return the lambda_e at which a run of ``steps`` rotates by ``rotation``, or 0 if it does so without
    decay."""
    low, high = 0.0, rotation / steps + 1.0
    if rotation_of_a_run(0.0, steps, gamma_start, G2) >= rotation:
        return 0.0
    # The root is at most lambda_e T = Q + log(gamma_0/gamma_T)/4. The bisection does not need this bound.
    for _ in range(200):
        middle = 0.5 * (low + high)
        with np.errstate(over="ignore"):
            short = rotation_of_a_run(middle, steps, gamma_start, G2) < rotation
        low, high = (middle, high) if short else (low, middle)
    return 0.5 * (low + high)
