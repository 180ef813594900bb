"""One step of SGD with weight decay on a scale-invariant loss. The relations are exact and need no noise
model."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def decay_factor(eta: ArrayLike, lam: ArrayLike) -> Array:
    """Return a = 1 - eta lam, the factor by which weight decay shrinks the weights in one step."""
    return np.asarray(1.0 - np.asarray(eta, dtype=np.float64) * np.asarray(lam, dtype=np.float64))


def next_squared_norm(r2: ArrayLike, g2: ArrayLike, eta: ArrayLike, lam: ArrayLike) -> Array:
    """Return r'^2 = a^2 r^2 + eta^2 ||g||^2, exact because <g, w> = 0 (LLA20, section 2; Pythagoras).

    ``r2`` and ``g2`` are the squared norms of the weights and of the gradient at the weights.
    """
    a = decay_factor(eta, lam)
    return np.asarray(a**2 * np.asarray(r2) + np.asarray(eta) ** 2 * np.asarray(g2))


def next_squared_norm_on_sphere(r2: ArrayLike, G2: ArrayLike, eta: ArrayLike, lam: ArrayLike) -> Array:
    """Return r'^2 = a^2 r^2 + eta^2 G^2 / r^2, where G^2 is the squared gradient at unit norm (gradients
    scale as 1/r)."""
    return next_squared_norm(r2, np.asarray(G2) / np.asarray(r2), eta, lam)


def rotation_cosine(r: ArrayLike, r_next: ArrayLike, eta: ArrayLike, lam: ArrayLike) -> Array:
    """Return cos(angle between w and w') = a r / r', exact for plain SGD (it follows from the norm
    recursion)."""
    return np.asarray(decay_factor(eta, lam) * np.asarray(r) / np.asarray(r_next))


def rotation_sine(r_next: ArrayLike, g: ArrayLike, eta: ArrayLike) -> Array:
    """Return sin(angle between w and w') = eta ||g|| / r', exact for plain SGD and sharp at small angles."""
    return np.asarray(np.asarray(eta) * np.asarray(g) / np.asarray(r_next))


def direction_speed(r2: ArrayLike, eta: ArrayLike, lam: ArrayLike) -> Array:
    """Return Phi = eta / (a r^2). tan(rotation) = Phi ||gbar||, where gbar = r g is the gradient at unit
    norm."""
    return np.asarray(np.asarray(eta) / (decay_factor(eta, lam) * np.asarray(r2)))


def next_direction(u: Array, gbar: Array, effective_lr: float, a: float) -> Array:
    """Return u' = (u - Phi gbar) / sqrt(1 + Phi^2 ||gbar||^2), times the sign of a.

    ``effective_lr`` is a Phi = eta / r^2. The formula is multiplied through by a, so a = 0, where Phi is
    infinite, needs no special case.
    """
    turned = a * u - effective_lr * gbar
    return np.asarray(turned / np.sqrt(a * a + effective_lr**2 * (gbar @ gbar)))


def next_direction_speed(phi: ArrayLike, G2: ArrayLike, growth: ArrayLike) -> Array:
    """Return Phi' = B Phi / (1 + Phi^2 G^2), B being ``growth`` and G^2 = ||gbar||^2 (from the norm
    recursion)."""
    phi = np.asarray(phi, dtype=np.float64)
    return np.asarray(np.asarray(growth) * phi / (1.0 + phi**2 * np.asarray(G2)))


def direction_speed_growth(eta: ArrayLike, lam: ArrayLike, eta_next: ArrayLike, lam_next: ArrayLike) -> Array:
    """Return B = eta' / (eta a a'), which is (1 - eta lam)^-2 for constant hyper-parameters."""
    return np.asarray(
        np.asarray(eta_next) / (np.asarray(eta) * decay_factor(eta, lam) * decay_factor(eta_next, lam_next))
    )


def rotation_budget(r_start: ArrayLike, r_end: ArrayLike, eta: ArrayLike, lam: ArrayLike) -> Array:
    """Return sum_t -log|cos theta_t| = -sum_t log|1 - eta_t lam_t| + log(r_T / r_0), the sum of the rotation
    law.

    The first axis of ``eta`` and ``lam`` is time.
    """
    decayed = -np.log(np.abs(decay_factor(eta, lam))).sum(axis=0)
    return np.asarray(decayed + np.log(np.asarray(r_end) / np.asarray(r_start)))


def effective_lr_of_rotation(
    tangent: ArrayLike, r: ArrayLike, g: ArrayLike, eta: ArrayLike, lam: ArrayLike
) -> Array:
    """Return eta / r^2 = a tan(rotation) / (r g), the effective learning rate that a step shows, whatever its
    lr says."""
    return np.asarray(decay_factor(eta, lam) * np.asarray(tangent) / (np.asarray(r) * np.asarray(g)))


def effective_lr_ceiling(unit_gradient: ArrayLike, eta: ArrayLike, lam: ArrayLike) -> Array:
    """Return 1 / (2 |a| ||gbar||), the largest possible eta / r'^2 after any step.

    It follows from the norm recursion and x + y >= 2 sqrt(xy), and it is attained where |a| r^2 = eta
    ||gbar||. No step at the same eta gives a larger effective learning rate.
    """
    return np.asarray(0.5 / (np.abs(decay_factor(eta, lam)) * np.asarray(unit_gradient)))


def squared_norm_path(r2_start: ArrayLike, G2: Array, eta: Array, lam: Array) -> Array:
    """Return the whole path r_0^2 .. r_T^2 of the recursion for a path of unit-sphere noise ``G2`` [T, ...].

    ``eta`` and ``lam`` broadcast against ``G2``; their first axis is time. The result has shape [T + 1, ...].
    """
    steps = G2.shape[0]
    a2 = np.broadcast_to(decay_factor(eta, lam) ** 2, eta.shape)
    path = np.empty((steps + 1, *G2.shape[1:]))
    path[0] = r2_start
    for t in range(steps):
        path[t + 1] = a2[t] * path[t] + eta[t] ** 2 * G2[t] / path[t]
    return path
