"""Full-batch gradient descent with weight decay: where it leaves gradient flow and why it never rests."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def edge(eta: ArrayLike, lam: ArrayLike, sharpness: ArrayLike) -> Array:
    """Return Phi lambda_max / 2 with Phi = eta / (a r^2). The descent of the direction is unstable above 1.

    ``sharpness`` is the largest eigenvalue of the Hessian at the weights. It is lambda_max / r^2, because
    H(cw) = H(w)/c^2. Near a minimum u* the step is u' - u* = (1 - Phi H)(u - u*), and the top mode of this
    map grows where Phi lambda_max > 2.
    """
    eta = np.asarray(eta, dtype=np.float64)
    return np.asarray(0.5 * eta / (1.0 - eta * np.asarray(lam)) * np.asarray(sharpness))


def first_crossing(edge_start: ArrayLike, lambda_e: ArrayLike) -> Array:
    """Return the steps of free decay until the edge: K* = -log(edge_start) / (-2 log(1 - lambda_e)).

    Where the gradient is negligible, r^2 shrinks by the factor a^2 per step and Phi grows by the same factor.
    This is the discrete form of (1/(2 lambda_e)) ln(2 r0^2 / (eta lambda_max)). Measured in the time of
    gradient flow, it grows only like a logarithm as eta -> 0. So a smaller learning rate does not make
    descent follow the flow for ever.
    """
    return np.asarray(
        np.log(np.asarray(edge_start, dtype=np.float64))
        / (2.0 * np.log1p(-np.asarray(lambda_e, dtype=float)))
    )


def mean_rotation(lambda_e: ArrayLike) -> Array:
    """Return -log(1 - lambda_e), the mean of -log cos(rotation) over steps that end at the norm of their
    start.

    It follows from sum -log cos = -T log a + log(r_T/r_0). A direction that converges would need a norm that
    goes to 0.
    """
    return np.asarray(-np.log1p(-np.asarray(lambda_e, dtype=np.float64)))


def free_growth(lambda_e: ArrayLike) -> Array:
    """Return -2 log(1 - lambda_e), about 2 lambda_e: the growth of log Phi in a step of negligible gradient.

    In any other step the growth is smaller by log(1 + Phi^2 ||gbar||^2), where gbar = r g is the gradient at
    unit norm.
    """
    return np.asarray(-2.0 * np.log1p(-np.asarray(lambda_e, dtype=np.float64)))


def rise_above_the_edge(lambda_e: ArrayLike, edge_reached: ArrayLike) -> Array:
    """Return the log growth of the unstable mode until Phi lambda_max / 2 has reached ``edge_reached``.

    With s = Phi lambda_max / 2, the mode grows above the edge by the factor |1 - Phi lambda_max| = 2 s - 1
    per step, and free decay raises log s by 2 lambda_e per step. The sum over steps is int_1^s log(2 x - 1) /
    (2 lambda_e x) dx, which is (s - 1)^2 / (2 lambda_e) for s near 1. So the initial size of the mode (a
    floor of noise) moves the loss spike by the square root of its logarithm, and the spike comes at the edge
    when lambda_e -> 0.
    """
    reached = np.asarray(edge_reached, dtype=np.float64)
    nodes, weights = np.polynomial.legendre.leggauss(24)
    x = 1.0 + 0.5 * (reached[..., None] - 1.0) * (1.0 + nodes)
    integral = 0.5 * (reached - 1.0) * np.sum(weights * np.log(2.0 * x - 1.0) / x, axis=-1)
    return np.asarray(integral / (2.0 * np.asarray(lambda_e, dtype=np.float64)))


def edge_at_spike(lambda_e: float, rise: float) -> float:
    """Return Phi lambda_max / 2 after the unstable mode grew e^rise-fold (inverse of
    ``rise_above_the_edge``)."""
    low, high = 1.0, 2.0
    while rise_above_the_edge(lambda_e, high) < rise:
        high *= 2.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if rise_above_the_edge(lambda_e, middle) < rise else (low, middle)
    return 0.5 * (low + high)


def edge_is_soft(second: ArrayLike, third: ArrayLike, fourth: ArrayLike) -> NDArray[np.bool_]:
    """Return whether descent along one mode can stay at the edge of stability: 3 L'''^2 > L'' L''''.

    The map x' = x - Phi L'(x) flips where Phi L'' = 2. With f = x - Phi L', the sign of f''^2/2 + f'''/3
    decides. Either an oscillation of small amplitude is stable, and the run can stay at the edge; or none is,
    and the run is thrown out in a loss spike. A minimum of data that the net cannot fit, such as sin^2, is
    soft. A minimum between exponential tails, such as cosh, is not.
    """
    b = np.asarray(third, dtype=np.float64)
    return np.asarray(3.0 * b**2 > np.asarray(second, dtype=float) * np.asarray(fourth, dtype=float))


def noise_that_holds_below_the_edge(lambda_e: ArrayLike, sharpness: ArrayLike) -> Array:
    """Return sqrt(2 lambda_e) lambda_max / 2: noise of this size at unit norm balances decay at the edge.

    It follows from Phi size = sqrt(2 lambda_e), the equilibrium under noise alone, and Phi lambda_max = 2 at
    the edge. ``sharpness`` is lambda_max at unit norm. Under more noise the norm stops shrinking before the
    edge, and there are no loss spikes.
    """
    return np.asarray(
        0.5 * np.sqrt(2.0 * np.asarray(lambda_e, dtype=np.float64)) * np.asarray(sharpness, dtype=np.float64)
    )
