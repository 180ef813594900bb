"""Batch size and SVAG at equilibrium. SVAG splits a step of SGD into smaller and noisier ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ilr_check.theory.relaxation import equilibrium_gamma

Array = NDArray[np.float64]


def batch_trace(trace: ArrayLike, B: ArrayLike) -> Array:
    """Return Tr Sigma_B = Tr Sigma_1 / B. A batch drawn with replacement is a mean of B independent
    gradients."""
    return np.asarray(np.asarray(trace, dtype=np.float64) / np.asarray(B))


def scaled_fourth_power(ratio: ArrayLike, k: ArrayLike) -> Array:
    """Return r'^4 / r^4 = (k ||grad L||^2 + Tr Sigma) / (||grad L||^2 + Tr Sigma) for B -> kB, eta -> k eta.

    ``ratio`` is ||grad L||^2 / Tr Sigma at B. The formula follows from r^4 = eta (||grad L||^2 + Tr Sigma_B)
    / (2 lam). It is 1 while noise dominates, so the linear scaling rule fails at about k = 1 / ratio. The
    criterion of Li, Malladi, Arora 2021 has this form.
    """
    h = np.asarray(ratio, dtype=np.float64)
    return np.asarray((np.asarray(k) * h + 1.0) / (h + 1.0))


def svag_fourth_power(
    trace: ArrayLike, mean2: ArrayLike, eta: ArrayLike, lam: ArrayLike, order: ArrayLike
) -> Array:
    """Return r*^4 = eta (Tr Sigma + ||grad L||^2 / l) / (lam (2 - eta lam / l)) of SVAG of order l.

    A step has learning rate eta / l, and its squared gradient on the unit sphere is ||grad L||^2 + l Tr
    Sigma. The result is linear in 1/l up to the last factor. l = 1 is SGD, and l -> infinity gives eta Tr
    Sigma / (2 lam), the value of the SDE.
    """
    step = np.asarray(eta, dtype=np.float64) / np.asarray(order)
    G2 = np.asarray(mean2, dtype=np.float64) + np.asarray(order) * np.asarray(trace)
    return np.asarray(step**2 * equilibrium_gamma(step * np.asarray(lam), G2))
