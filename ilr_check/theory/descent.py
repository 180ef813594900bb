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


def free_growth(lambda_e: ArrayLike) -> Array:
    """-2 log(1 - lambda_e), about 2 lambda_e: growth of log Phi in a step whose gradient is negligible.

    In any step it is that less log(1 + Phi^2 ||gbar||^2), gbar = r g the gradient at unit norm.
    """
    return np.asarray(-2.0 * np.log1p(-np.asarray(lambda_e, dtype=np.float64)))


def rise_above_the_edge(lambda_e: ArrayLike, edge_reached: ArrayLike) -> Array:
    """log of the growth of the unstable mode until Phi lambda_max / 2 has got to ``edge_reached``.

    Above the edge it grows by |1 - Phi lambda_max| = 2 s - 1 a step, s = Phi lambda_max / 2, and free decay
    raises log s by 2 lambda_e a step: the sum over steps is int_1^s log(2 x - 1) / (2 lambda_e x) dx, for s
    near 1 (s - 1)^2 / (2 lambda_e). So what the mode starts from (a floor of noise) moves the burst by the
    root of its logarithm, and the burst comes at the edge when lambda_e -> 0.
    """
    reached = np.asarray(edge_reached, dtype=np.float64)
    nodes, weights = np.polynomial.legendre.leggauss(24)
    x = 1.0 + 0.5 * (reached[..., None] - 1.0) * (1.0 + nodes)
    integral = 0.5 * (reached - 1.0) * np.sum(weights * np.log(2.0 * x - 1.0) / x, axis=-1)
    return np.asarray(integral / (2.0 * np.asarray(lambda_e, dtype=np.float64)))


def edge_at_burst(lambda_e: float, rise: float) -> float:
    """Phi lambda_max / 2 once the unstable mode has grown e^rise-fold: ``rise_above_the_edge`` inverted."""
    low, high = 1.0, 2.0
    while rise_above_the_edge(lambda_e, high) < rise:
        high *= 2.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if rise_above_the_edge(lambda_e, middle) < rise else (low, middle)
    return 0.5 * (low + high)


def edge_is_soft(second: ArrayLike, third: ArrayLike, fourth: ArrayLike) -> NDArray[np.bool_]:
    """Whether descent along one mode leaves its minimum gradually at the edge: 3 L'''^2 > L'' L''''.

    The map x' = x - Phi L'(x) flips where Phi L'' = 2. With f = x - Phi L', the sign of f''^2/2 + f'''/3 says
    whether an oscillation of small amplitude takes over (the run can sit on the edge) or none does (it is
    thrown out: a burst). A minimum that nothing fits, as sin^2, is soft; one between exponential tails, as
    cosh, is not.
    """
    b = np.asarray(third, dtype=np.float64)
    return np.asarray(3.0 * b**2 > np.asarray(second, dtype=float) * np.asarray(fourth, dtype=float))


def noise_that_holds_below_the_edge(lambda_e: ArrayLike, sharpness: ArrayLike) -> Array:
    """sqrt(2 lambda_e) lambda_max / 2: noise of that size at unit norm balances decay at Phi lambda_max = 2.

    From Phi size = sqrt(2 lambda_e), the equilibrium under noise alone; ``sharpness`` is at unit norm. Under
    more noise the norm stops shrinking before the edge, and there are no bursts.
    """
    return np.asarray(
        0.5 * np.sqrt(2.0 * np.asarray(lambda_e, dtype=np.float64)) * np.asarray(sharpness, dtype=np.float64)
    )
