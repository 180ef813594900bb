"""One step of SGD with weight decay on a scale-invariant loss: exact relations, no noise model."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def decay_factor(eta: ArrayLike, lam: ArrayLike) -> Array:
    """a = 1 - eta lam, the factor by which weight decay shrinks the weights in one step."""
    return np.asarray(1.0 - np.asarray(eta, dtype=np.float64) * np.asarray(lam, dtype=np.float64))


def next_squared_norm(r2: ArrayLike, g2: ArrayLike, eta: ArrayLike, lam: ArrayLike) -> Array:
    """r'^2 = a^2 r^2 + eta^2 ||g||^2, exact because <g, w> = 0 (LLA20, section 2; Pythagoras).

    ``r2`` and ``g2`` are the squared norms of the weights and of the gradient at the weights.
    """
    a = decay_factor(eta, lam)
    return np.asarray(a**2 * np.asarray(r2) + np.asarray(eta) ** 2 * np.asarray(g2))


def next_squared_norm_on_sphere(r2: ArrayLike, G2: ArrayLike, eta: ArrayLike, lam: ArrayLike) -> Array:
    """r'^2 = a^2 r^2 + eta^2 G^2 / r^2, G^2 the squared gradient at unit norm (gradients scale as 1/r)."""
    return next_squared_norm(r2, np.asarray(G2) / np.asarray(r2), eta, lam)


def rotation_cosine(r: ArrayLike, r_next: ArrayLike, eta: ArrayLike, lam: ArrayLike) -> Array:
    """cos(angle between w and w') = a r / r', exact for plain SGD (follows from the norm recursion)."""
    return np.asarray(decay_factor(eta, lam) * np.asarray(r) / np.asarray(r_next))


def squared_norm_path(r2_start: ArrayLike, G2: Array, eta: Array, lam: Array) -> Array:
    """The whole path r_0^2 .. r_T^2 that the recursion gives for a path of unit-sphere noise ``G2`` [T, ...].

    ``eta`` and ``lam`` broadcast against ``G2`` along time (first axis); returns [T + 1, ...].
    """
    steps = G2.shape[0]
    a2 = np.broadcast_to(decay_factor(eta, lam) ** 2, eta.shape)
    path = np.empty((steps + 1, *G2.shape[1:]))
    path[0] = r2_start
    for t in range(steps):
        path[t + 1] = a2[t] * path[t] + eta[t] ** 2 * G2[t] / path[t]
    return path
