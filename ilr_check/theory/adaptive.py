"""Equilibrium of adaptive optimizers whose gradients are independent noise, isotropic and tangent.

An update of fixed size, filtered out of past gradients, meets weight decay: sqrt(v) has converged to the
gradient's root mean square, so that eta lam << 1 - beta2 << 1 is presumed (Kosson et al. 2024; Wan et al.
2021 for the idea). C is the number of coordinates, eta lam the decay of one step, a = 1 - eta lam.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

MEMORY = 4000
"""Terms of a kernel that are summed; beta = 0.99 leaves 1e-18 of it behind."""


def moving_average(beta1: float) -> Array:
    """h_k = (1 - beta1) beta1^k, the weight of the gradient k steps ago in Adam's update."""
    return np.asarray((1.0 - beta1) * beta1 ** np.arange(MEMORY))


def nadam_average(beta1: float, mu: float) -> Array:
    """NAdam's kernel long after the start: (1 - mu) g + mu m, with mu = beta1 / 2 for momentum_decay = 0."""
    kernel = mu * moving_average(beta1)
    kernel[0] += 1.0 - mu
    return np.asarray(kernel)


def nesterov_average(mu: float) -> Array:
    """What Muon orthogonalises, (1 - mu) g + mu m: h_0 = 1 - mu^2, h_k = (1 - mu) mu^(k+1)."""
    kernel = mu * moving_average(mu)
    kernel[0] += 1.0 - mu
    return np.asarray(kernel)


def correlations(kernel: Array) -> Array:
    """rho_k of a filtered white noise, k = 1, 2, ..."""
    power = np.abs(np.fft.rfft(kernel, 2 * len(kernel))) ** 2
    covariance = np.fft.irfft(power)[: len(kernel)]
    return np.asarray(covariance[1:] / covariance[0])


def lion_correlations(beta1: float, beta2: float) -> Array:
    """rho_k of the sign of Lion's average: (2/pi) arcsin of the average's own correlation (Bussgang)."""
    average = beta1 * (1.0 - beta2) * beta2 ** np.arange(-1.0, MEMORY - 1.0)
    average[0] = 1.0 - beta1
    return np.asarray(2.0 / np.pi * np.arcsin(correlations(average)))


def decoupled(eta: float, lam: float, size2: float, rho: Array) -> tuple[float, float]:
    """(E r^2, cos of the rotation) for w' = a w - eta u with E||u||^2 = ``size2`` and correlations ``rho``.

    R = eta^2 U^2 / (1 - a^2) (1 + 2 D) with D = sum a^k rho_k; cos = a + (1 - a^2) (D/a) / (1 + 2 D).
    """
    a = 1.0 - eta * lam
    lagged = float((a ** np.arange(1.0, len(rho) + 1.0) * rho).sum())
    norm2 = eta**2 * size2 / (1.0 - a * a) * (1.0 + 2.0 * lagged)
    return norm2, a + (1.0 - a * a) * (lagged / a) / (1.0 + 2.0 * lagged)


def adamw(eta: float, lam: float, coordinates: int, beta1: float) -> tuple[float, float]:
    """(E r^2, cos) of AdamW: about eta C / (2 lam), and cos = (a + beta1) / (1 + a beta1)."""
    kernel = moving_average(beta1)
    return decoupled(eta, lam, coordinates * float((kernel**2).sum()), correlations(kernel))


def nadamw(eta: float, lam: float, coordinates: int, beta1: float) -> tuple[float, float]:
    """(E r^2, cos) of NAdam with decoupled decay and momentum_decay = 0."""
    kernel = nadam_average(beta1, 0.5 * beta1)
    return decoupled(eta, lam, coordinates * float((kernel**2).sum()), correlations(kernel))


def lion(eta: float, lam: float, coordinates: int, beta1: float, beta2: float) -> tuple[float, float]:
    """(E r^2, cos) of Lion, whose update has the length sqrt(C)."""
    return decoupled(eta, lam, float(coordinates), lion_correlations(beta1, beta2))


def adam_l2(eta: float, lam: float, coordinates: int, beta1: float, G: float) -> tuple[float, float]:
    """(E r^2, cos) of Adam with L2, of RMSprop with L2 at beta1 = 0; G is the unit-sphere gradient's size.

    r^3 = eta sqrt(C) G / (2 lam): decay passes through 1/sqrt(v), which is r sqrt(C) / G; and
    1 - cos = (1 - beta1)/(1 + beta1) eta^2 C / (2 r^2), so that the rotation depends on G.
    """
    norm2 = (eta * coordinates**0.5 * G / (2.0 * lam)) ** (2.0 / 3.0)
    return norm2, 1.0 - 0.5 * (1.0 - beta1) / (1.0 + beta1) * eta**2 * coordinates / norm2


def adamw_without_correlation(eta: float, lam: float, coordinates: int, beta1: float) -> float:
    """The norm^2 that <u, w> = 0 would give, eta C / (2 lam) (1 - beta1)/(1 + beta1): a tempting mistake."""
    return 0.5 * eta * coordinates / lam * (1.0 - beta1) / (1.0 + beta1)


def decoupled_drop(lr_factor: float, before: float, after: float, eta_lam_after: float, steps: int) -> Array:
    """Relative update eta/r over its value before eta -> eta/k, t = 0 .. steps, decoupled decay.

    r^2 forgets by a^2 a step, a = 1 - ``eta_lam_after``, and goes from ``before`` to ``after``, both E r^2 at
    equilibrium: [k + (k^2 - k) exp(-2 lambda_e' t)]^(-1/2) to first order; 1/k at once, 1/sqrt(k) in the end.
    """
    forget = (1.0 - eta_lam_after) ** (2.0 * np.arange(steps + 1))
    return np.asarray((before / (after + (before - after) * forget)) ** 0.5 / lr_factor)


def adam_l2_drop(lr_factor: float, eta: float, lam: float, coordinates: int, G: float, steps: int) -> Array:
    """The same for Adam and RMSprop with L2: 1/k at once, k^(-2/3) in the end.

    R' = R - 2 eta lam R^(3/2) sqrt(C)/G + eta^2 C, R = r^2: decay is divided by sqrt(v) = G/(r sqrt(C)).
    """
    path = np.empty(steps + 1)
    path[0] = (eta * coordinates**0.5 * G / (2.0 * lam)) ** (2.0 / 3.0)
    new = eta / lr_factor
    for t in range(steps):
        pull = 2.0 * new * lam * path[t] ** 1.5 * coordinates**0.5 / G
        path[t + 1] = path[t] - pull + new**2 * coordinates
    return np.asarray((path[0] / path) ** 0.5 / lr_factor)
