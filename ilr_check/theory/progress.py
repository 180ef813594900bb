"""How far a training comes towards equilibrium of the norm: its progress s, and what remains of the initial
norm."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ilr_check.theory.momentum import intrinsic_lr

Array = NDArray[np.float64]


def sgd_progress(eta: ArrayLike, lam: ArrayLike, mu: ArrayLike, steps: ArrayLike) -> Array:
    """Return s = 4 lambda_e t with lambda_e = eta lam / (1 - mu): gamma has forgotten all but e^{-s} of its
    start.

    It follows from d gamma/dt = -4 lambda_e gamma + 2 G^2 (LLA20, Theorem 5.1), to first order in lambda_e.
    """
    return np.asarray(4.0 * intrinsic_lr(eta, lam, mu) * np.asarray(steps, dtype=np.float64))


def decoupled_progress(eta: ArrayLike, lam: ArrayLike, steps: ArrayLike) -> Array:
    """Return s = 2 eta lam t: r^2 has forgotten all but e^{-s} of its start.

    It holds for updates of a fixed size (AdamW, Lion, Muon).
    """
    return np.asarray(2.0 * np.asarray(eta) * np.asarray(lam) * np.asarray(steps, dtype=np.float64))


def memory(gamma_start: ArrayLike, gamma_now: ArrayLike, progress: ArrayLike) -> Array:
    """Return m = gamma_0 e^{-s} / gamma_t, the fraction of today's gamma that comes from the initial norm.

    It is also how much more the effective learning rate responds to eta than to lam: d log effLR / d log eta
    minus d log effLR / d log lam. It is 1 at the start and 0 at equilibrium.
    """
    start, now = np.asarray(gamma_start, dtype=np.float64), np.asarray(gamma_now, dtype=np.float64)
    return np.asarray(start * np.exp(-np.asarray(progress, dtype=np.float64)) / now)


def memory_in_constant_noise(gamma_ratio: ArrayLike, progress: ArrayLike) -> Array:
    """Return the same for constant noise, where gamma_t has a closed form and ``gamma_ratio`` = gamma_0 /
    gamma*.

    gamma_t = gamma* (1 - e^{-s}) + gamma_0 e^{-s} is the solution of LLA20, Theorem 5.1.
    """
    left = np.exp(-np.asarray(progress, dtype=np.float64))
    ratio = np.asarray(gamma_ratio, dtype=np.float64)
    return memory(ratio, 1.0 - left + ratio * left, progress)
