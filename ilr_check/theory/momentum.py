"""Equilibrium of SGD with momentum on a scale-invariant loss: norm and rotation per step.

The formulas of the norm presume a constant G^2 and gradients that are uncorrelated with the past, so that
noise dominates the mean gradient. The rotation of heavy ball needs stationarity only. The form is that of
torch: the buffer starts as the whole gradient, the dampening tau multiplies what is added to it afterwards,
and eta stands outside the buffer.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def intrinsic_lr(eta: ArrayLike, lam: ArrayLike, mu: ArrayLike, tau: ArrayLike = 0.0) -> Array:
    """Return lambda_e = (1 - tau) eta lam / (1 - mu), which sets the time constants (LLA20 for mu = 0)."""
    return np.asarray((1.0 - np.asarray(tau)) * np.asarray(eta) * np.asarray(lam) / (1.0 - np.asarray(mu)))


def heavy_ball_gain(eta: ArrayLike, lam: ArrayLike, mu: ArrayLike, tau: ArrayLike = 0.0) -> Array:
    """Return r^4 / G^2 at equilibrium: h / (lam (1 - mu) (2 - h lam / (1 + mu))) with h = (1 - tau) eta.

    It follows from the stationary second moments of x' = (1 + mu - h lam) x - mu x_before - h g (Wan et al.
    2021, Theorem 1, at tau = 0). mu = tau = 0 gives plain SGD.
    """
    h = (1.0 - np.asarray(tau, dtype=np.float64)) * np.asarray(eta)
    mu, lam = np.asarray(mu, dtype=np.float64), np.asarray(lam, dtype=np.float64)
    return np.asarray(h / (lam * (1.0 - mu) * (2.0 - h * lam / (1.0 + mu))))


def heavy_ball_cosine(eta: ArrayLike, lam: ArrayLike, mu: ArrayLike, tau: ArrayLike = 0.0) -> Array:
    """Return E<w, w'> / E r^2 = 1 - h lam / (1 + mu) at equilibrium, with h = (1 - tau) eta, for any noise.

    It is the mean of <w', w> = (1 + mu - h lam) r^2 - mu <w, w_before>, and it is exact for plain SGD too.
    """
    h = (1.0 - np.asarray(tau, dtype=np.float64)) * np.asarray(eta)
    return np.asarray(1.0 - h * np.asarray(lam) / (1.0 + np.asarray(mu)))


def nesterov_gain(eta: ArrayLike, lam: ArrayLike, mu: ArrayLike) -> Array:
    """Return r^4 / G^2 at equilibrium for Nesterov's form.

    x' = A1 x - A2 x_before - eta (1 + mu) g + eta mu g_before with A1 = (1 + mu) a and A2 = mu a is an
    ARMA(2, 1) process. The result is its stationary second moment over that of g.
    """
    return _nesterov(eta, lam, mu)[0]


def nesterov_cosine(eta: ArrayLike, lam: ArrayLike, mu: ArrayLike) -> Array:
    """Return E<w, w'> / E r^2 at equilibrium for Nesterov's form, under the assumptions of its norm."""
    return _nesterov(eta, lam, mu)[1]


def _nesterov(eta: ArrayLike, lam: ArrayLike, mu: ArrayLike) -> tuple[Array, Array]:
    eta, lam, mu = (np.asarray(v, dtype=np.float64) for v in (eta, lam, mu))
    a = 1.0 - eta * lam
    a1, a2, b0, b1 = (1.0 + mu) * a, mu * a, eta * (1.0 + mu), eta * mu
    # Yule-Walker equations of x' = a1 x - a2 y - b0 g + b1 g_before: E<x', x> (1 + a2) = a1 R - b0 b1,
    # because <g_before, x> = -b0 in the units of G^2 / R.
    noise = b0**2 + b1**2 - 2.0 * b0 * b1 * a1 + 2.0 * a1 * a2 * b0 * b1 / (1.0 + a2)
    gain = noise / (1.0 - a1**2 - a2**2 + 2.0 * a1**2 * a2 / (1.0 + a2))
    return np.asarray(gain), np.asarray((a1 - b0 * b1 / gain) / (1.0 + a2))
