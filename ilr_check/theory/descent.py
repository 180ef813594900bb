"""Full-batch gradient descent with weight decay: where it leaves gradient flow, and that it never rests."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def edge(eta: ArrayLike, lam: ArrayLike, sharpness: ArrayLike) -> Array:
    """Phi lambda_max / 2, Phi = eta / (a r^2): the direction's descent is unstable above 1.

    ``sharpness`` is the Hessian's largest eigenvalue at the weights: lambda_max / r^2, as H(cw) = H(w)/c^2.
    Near a minimum u' - u* = (1 - Phi H)(u - u*), a map whose top mode grows where Phi lambda_max > 2.
    """
    eta = np.asarray(eta, dtype=np.float64)
    return np.asarray(0.5 * eta / (1.0 - eta * np.asarray(lam)) * np.asarray(sharpness))


def first_crossing(edge_start: ArrayLike, lambda_e: ArrayLike) -> Array:
    """Steps of free decay until the edge: K* = -log(edge_start) / (-2 log(1 - lambda_e)).

    Where the gradient is negligible r^2 shrinks by a^2 a step, and Phi grows by as much: the discrete form of
    (1/(2 lambda_e)) ln(2 r0^2 / (eta lambda_max)). In the time of gradient flow it grows only as a logarithm
    when eta -> 0, so a smaller LR does not make descent the flow for good.
    """
    return np.asarray(
        np.log(np.asarray(edge_start, dtype=np.float64))
        / (2.0 * np.log1p(-np.asarray(lambda_e, dtype=float)))
    )


def mean_rotation(lambda_e: ArrayLike) -> Array:
    """-log(1 - lambda_e): the mean of -log cos(rotation) over steps after which the norm is what it was.

    From sum -log cos = -T log a + log(r_T/r_0): a direction that converges would need a norm that goes to 0.
    """
    return np.asarray(-np.log1p(-np.asarray(lambda_e, dtype=np.float64)))
