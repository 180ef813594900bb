"""How the norm forgets its start: equilibrium, relaxation rate, and the recovery after a drop of the learning
rate."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def gamma(r2: ArrayLike, eta: ArrayLike) -> Array:
    """Return gamma = r^4 / eta^2. The effective learning rate is gamma^(-1/2) (LLA20, Theorem 5.1)."""
    return np.asarray((np.asarray(r2) / np.asarray(eta)) ** 2)


def equilibrium_gamma(lambda_e: ArrayLike, G2: ArrayLike) -> Array:
    """Return gamma* = G^2 / (1 - a^2), the fixed point of the recursion. It tends to G^2/(2 lambda_e) as
    lambda_e -> 0."""
    a2 = (1.0 - np.asarray(lambda_e, dtype=np.float64)) ** 2
    return np.asarray(np.asarray(G2) / (1.0 - a2))


def equilibrium_effective_lr(lambda_e: ArrayLike, G2: ArrayLike) -> Array:
    """Return eta / r^2 at equilibrium: sqrt((1 - a^2) / G^2), about sqrt(2 lambda_e / G^2) (LLA20, section
    5)."""
    return np.asarray(equilibrium_gamma(lambda_e, G2) ** -0.5)


def memory_rate(lambda_e: ArrayLike) -> Array:
    """Return -4 log a, the rate per step at which gamma forgets its start far above equilibrium (about 4
    lambda_e)."""
    return np.asarray(-4.0 * np.log1p(-np.asarray(lambda_e, dtype=np.float64)))


def relaxation_rate(lambda_e: ArrayLike) -> Array:
    """Return -log(2 a^2 - 1), the rate per step near equilibrium: 4 lambda_e + 6 lambda_e^2 + ...

    The linear form of gamma' = a^4 gamma + 2 a^2 G^2 + G^4/gamma at its fixed point has the factor 2 a^2 - 1.
    """
    a2 = (1.0 - np.asarray(lambda_e, dtype=np.float64)) ** 2
    return np.asarray(-np.log(2.0 * a2 - 1.0))


def change_curve(lr_factor: float, decay_factor: float, lambda_e_after: float, t: ArrayLike) -> Array:
    """Return the effective learning rate t steps after a change, over its value before the change.

    The change is eta -> eta/lr_factor and lam -> lam/decay_factor. For fixed noise the curve is [K +
    (lr_factor^2 - K) exp(-4 lambda_e' t)]^(-1/2) with K = lr_factor * decay_factor. It is 1/lr_factor at
    once, because gamma = r^4/eta^2 and r has not moved, and 1/sqrt(K) in the end (LLA20, section 5).
    """
    end, at_once = lr_factor * decay_factor, lr_factor * lr_factor
    decay = np.exp(-4.0 * lambda_e_after * np.asarray(t, dtype=np.float64))
    return np.asarray((end + (at_once - end) * decay) ** -0.5)


def change_curve_discrete(lr_factor: float, decay_factor: float, lambda_e: float, steps: int) -> Array:
    """Return the same curve [steps + 1] from the recursion, which starts at the exact equilibrium of
    ``lambda_e``.

    It has no O(lambda_e) error as the differential equation has. The noise is constant, G^2 = 1.
    """
    a2 = (1.0 - lambda_e / (lr_factor * decay_factor)) ** 2
    start = float(equilibrium_gamma(lambda_e, 1.0))
    path = np.empty(steps + 1)
    path[0] = start * lr_factor * lr_factor
    for t in range(steps):
        path[t + 1] = (a2 * path[t] + 1.0) ** 2 / path[t]
    return np.asarray((path / start) ** -0.5)


def time_to_within(lambda_e: ArrayLike, gamma_ratio: ArrayLike, tolerance: float = 0.1) -> Array:
    """Return the steps until the effective learning rate is within ``tolerance`` of its final value (LLA20).

    ``gamma_ratio`` is gamma_0/gamma*. T = log(|gamma_0/gamma* - 1| / delta) / (4 lambda_e), with delta = (1 -
    tol)^-2 - 1 from above and 1 - (1 + tol)^-2 from below. The logarithm explains why a raw plot of T against
    1/lambda_e at a fixed initialisation has a slope below 1: gamma* itself changes with lambda_e.
    """
    ratio = np.asarray(gamma_ratio, dtype=np.float64)
    delta = np.where(ratio > 1.0, (1.0 - tolerance) ** -2 - 1.0, 1.0 - (1.0 + tolerance) ** -2)
    distance = np.maximum(np.abs(ratio - 1.0) / delta, 1.0)
    return np.asarray(np.log(distance) / (4.0 * np.asarray(lambda_e, dtype=np.float64)))


def gamma_path(gamma_start: ArrayLike, G2: Array, a2: ArrayLike) -> Array:
    """Return gamma_0 .. gamma_{T-1} of gamma' = (a^2 gamma + G^2)^2 / gamma for a path of noise ``G2`` [T,
    ...].

    It is the discrete form of d gamma/dt = -4 lambda_e gamma + 2 G^2 (LLA20, Theorem 5.1) at constant eta.
    """
    now = np.broadcast_to(np.asarray(gamma_start, dtype=np.float64), G2.shape[1:])
    shrink = np.asarray(a2, dtype=np.float64)
    path = np.empty_like(G2)
    for t in range(G2.shape[0]):
        path[t] = now
        now = (shrink * now + G2[t]) ** 2 / now
    return path
