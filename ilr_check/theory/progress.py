"""How far a training gets towards equilibrium of the norm: progress s, and what is left of the first norm."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ilr_check.theory.momentum import intrinsic_lr

Array = NDArray[np.float64]


def sgd_progress(eta: ArrayLike, lam: ArrayLike, mu: ArrayLike, steps: ArrayLike) -> Array:
    """s = 4 lambda_e t with lambda_e = eta lam / (1 - mu): gamma has forgotten all but e^{-s} of its start.

    From d gamma/dt = -4 lambda_e gamma + 2 G^2 (LLA20, Theorem 5.1), to first order in lambda_e.
    """
    return np.asarray(4.0 * intrinsic_lr(eta, lam, mu) * np.asarray(steps, dtype=np.float64))


def decoupled_progress(eta: ArrayLike, lam: ArrayLike, steps: ArrayLike) -> Array:
    """s = 2 eta lam t: under updates of a fixed size (AdamW, Lion, Muon) r^2 forgets all but e^{-s}."""
    return np.asarray(2.0 * np.asarray(eta) * np.asarray(lam) * np.asarray(steps, dtype=np.float64))


def memory(gamma_start: ArrayLike, gamma_now: ArrayLike, progress: ArrayLike) -> Array:
    """m = gamma_0 e^{-s} / gamma_t: the share of the norm of today that the first norm still makes up.

    It is also by how much more the effective LR answers to eta than to lam, d log effLR / d log eta less
    d log effLR / d log lam, so 1 before equilibrium and 0 in it.
    """
    start, now = np.asarray(gamma_start, dtype=np.float64), np.asarray(gamma_now, dtype=np.float64)
    return np.asarray(start * np.exp(-np.asarray(progress, dtype=np.float64)) / now)


def memory_in_constant_noise(gamma_ratio: ArrayLike, progress: ArrayLike) -> Array:
    """The same for constant noise, from ``gamma_ratio`` = gamma_0 / gamma*: gamma_t in closed form.

    gamma_t = gamma* (1 - e^{-s}) + gamma_0 e^{-s}, the solution of LLA20's Theorem 5.1.
    """
    left = np.exp(-np.asarray(progress, dtype=np.float64))
    ratio = np.asarray(gamma_ratio, dtype=np.float64)
    return memory(ratio, 1.0 - left + ratio * left, progress)
