"""Equilibrium of adaptive optimizers whose gradients are independent, isotropic noise tangent to the sphere.

The optimizer adds updates of a fixed size, which are filtered from past gradients, and weight decay shrinks
the weights. The formulas presume that sqrt(v) has converged to the root mean square of the gradient, which
needs eta lam << 1 - beta2 << 1 (Kosson et al. 2024; the idea is from Wan et al. 2021). C is the number of
coordinates, eta lam is the decay of one step, and a = 1 - eta lam.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

MEMORY = 4000
"""The number of terms of a kernel that are summed. At beta = 0.99 the terms left out add up to 1e-18."""


def moving_average(beta1: float) -> Array:
    """Return h_k = (1 - beta1) beta1^k, the weight of the gradient k steps ago in Adam's update."""
    return np.asarray((1.0 - beta1) * beta1 ** np.arange(MEMORY))


def nadam_average(beta1: float, mu: float) -> Array:
    """Return the kernel of NAdam long after the start: (1 - mu) g + mu m, with mu = beta1 / 2 if
    momentum_decay = 0."""
    kernel = mu * moving_average(beta1)
    kernel[0] += 1.0 - mu
    return np.asarray(kernel)


def nesterov_average(mu: float) -> Array:
    """Return the kernel of what Muon orthogonalises, (1 - mu) g + mu m: h_0 = 1 - mu^2, h_k = (1 - mu)
    mu^(k+1)."""
    kernel = mu * moving_average(mu)
    kernel[0] += 1.0 - mu
    return np.asarray(kernel)


def correlations(kernel: Array) -> Array:
    """Return the autocorrelations rho_k, k = 1, 2, ..., of white noise that is filtered with ``kernel``."""
    power = np.abs(np.fft.rfft(kernel, 2 * len(kernel))) ** 2
    covariance = np.fft.irfft(power)[: len(kernel)]
    return np.asarray(covariance[1:] / covariance[0])


def lion_correlations(beta1: float, beta2: float) -> Array:
    """Return rho_k of the sign of Lion's average: (2/pi) arcsin of the average's correlation (Bussgang)."""
    average = beta1 * (1.0 - beta2) * beta2 ** np.arange(-1.0, MEMORY - 1.0)
    average[0] = 1.0 - beta1
    return np.asarray(2.0 / np.pi * np.arcsin(correlations(average)))


def normalised_autocovariances(kernel: Array, beta2: float) -> Array:
    """Return E u_t u_{t+k}, k = 0, 1, ..., of u = m / sqrt(v) for white normal noise of variance 1.

    m is the noise filtered with h = ``kernel``, and v = sum_k q_k g_{t-k}^2 with q_k = (1 - beta2) beta2^k.
    With v = 1 + d and u = m (1 - d/2 + 3 d^2/8), to first order in 1 - beta2,

        E u_t u_{t+k} = c_k [1 + V (3 + beta2^k)/4] - (1 + beta2^k) sum_i h_i h_{i+k} q_i,

    where c_k = sum_i h_i h_{i+k} and V = E d^2 = 2 (1 - beta2)/(1 + beta2). The last term is the correlation
    of m and v, which see the same gradients: a large one lengthens m and is divided by a larger v.
    """
    times = np.arange(len(kernel), dtype=np.float64)
    forgotten = beta2**times
    plain = _products(kernel, kernel)
    shared = _products(kernel * (1.0 - beta2) * forgotten, kernel)
    variance = 2.0 * (1.0 - beta2) / (1.0 + beta2)
    return plain * (1.0 + variance * (3.0 + forgotten) / 4.0) - (1.0 + forgotten) * shared


def _products(first: Array, second: Array) -> Array:
    """Return sum_i first_i second_{i+k} for k = 0, 1, ..."""
    size = len(first)
    spectrum = np.conj(np.fft.rfft(first, 2 * size)) * np.fft.rfft(second, 2 * size)
    return np.asarray(np.fft.irfft(spectrum)[:size])


def decoupled(eta: float, lam: float, size2: float, rho: Array) -> tuple[float, float]:
    """Return (E r^2, cosine of the rotation) for w' = a w - eta u with E||u||^2 = ``size2``.

    ``rho`` has the correlations of u. E r^2 = eta^2 E||u||^2 / (1 - a^2) (1 + 2 D) with D = sum a^k rho_k,
    and cos = a + (1 - a^2) (D/a) / (1 + 2 D).
    """
    a = 1.0 - eta * lam
    lagged = float((a ** np.arange(1.0, len(rho) + 1.0) * rho).sum())
    norm2 = eta**2 * size2 / (1.0 - a * a) * (1.0 + 2.0 * lagged)
    return norm2, a + (1.0 - a * a) * (lagged / a) / (1.0 + 2.0 * lagged)


def balanced_norm(a: float, length2: Array, along: Array, change: Array) -> Array:
    """Return E r^2 from measured updates of w' = a w + u.

    E r'^2 = a^2 E r^2 + 2 a E<w, u> + E||u||^2. With ``length2`` = E||u||^2, ``along`` = E<w, u> and
    ``change`` = E r'^2 - E r^2, this gives (length2 + 2 a along - change) / (1 - a^2). No model of the
    updates enters.
    """
    return np.asarray((length2 + 2.0 * a * along - change) / (1.0 - a * a))


def turned_by(a: float, norm2: Array, length2: Array, along: Array) -> Array:
    """Return the squared tangent of the rotation: the part of u that is orthogonal to w over a w + along."""
    return np.asarray((length2 - along**2 / norm2) * norm2 / (a * norm2 + along) ** 2)


def adamw(eta: float, lam: float, coordinates: int, beta1: float, beta2: float = 1.0) -> tuple[float, float]:
    """Return (E r^2, cos) of AdamW: E r^2 is about eta C / (2 lam), and cos = (a + beta1) / (1 + a beta1).

    With ``beta2`` below 1 the fluctuation of v is in both numbers: at beta1 = 0.9 and beta2 = 0.98 the
    squared norm is 1.45 % smaller. This term vanishes with 1 - beta2; it does not depend on eta lam.
    """
    return _normalised(eta, lam, coordinates, moving_average(beta1), beta2)


def nadamw(eta: float, lam: float, coordinates: int, beta1: float, beta2: float = 1.0) -> tuple[float, float]:
    """Return (E r^2, cos) of NAdam with decoupled decay and momentum_decay = 0; ``beta2`` as in ``adamw``."""
    return _normalised(eta, lam, coordinates, nadam_average(beta1, 0.5 * beta1), beta2)


def _normalised(eta: float, lam: float, coordinates: int, kernel: Array, beta2: float) -> tuple[float, float]:
    covariances = normalised_autocovariances(kernel, beta2)
    return decoupled(eta, lam, coordinates * float(covariances[0]), covariances[1:] / covariances[0])


def lion(eta: float, lam: float, coordinates: int, beta1: float, beta2: float) -> tuple[float, float]:
    """Return (E r^2, cos) of Lion, whose update has length sqrt(C)."""
    return decoupled(eta, lam, float(coordinates), lion_correlations(beta1, beta2))


def adam_l2(eta: float, lam: float, coordinates: int, beta1: float, G: float) -> tuple[float, float]:
    """Return (E r^2, cos) of Adam with L2, or of RMSprop with L2 at beta1 = 0.

    G is the length of the gradient on the unit sphere. r^3 = eta sqrt(C) G / (2 lam), because the decay is
    divided by sqrt(v), which is G / (r sqrt(C)). 1 - cos = (1 - beta1)/(1 + beta1) eta^2 C / (2 r^2), so the
    rotation depends on G.
    """
    norm2 = (eta * coordinates**0.5 * G / (2.0 * lam)) ** (2.0 / 3.0)
    return norm2, 1.0 - 0.5 * (1.0 - beta1) / (1.0 + beta1) * eta**2 * coordinates / norm2


def adamw_without_correlation(eta: float, lam: float, coordinates: int, beta1: float) -> float:
    """Return eta C / (2 lam) (1 - beta1)/(1 + beta1), the squared norm of AdamW if <u, w> were 0.

    This is a common mistake, and it serves as a rival.
    """
    return 0.5 * eta * coordinates / lam * (1.0 - beta1) / (1.0 + beta1)


def decoupled_drop(lr_factor: float, before: float, after: float, eta_lam_after: float, steps: int) -> Array:
    """Return the relative update eta/r over its value before eta -> eta/k, for t = 0 .. steps and decoupled
    decay.

    r^2 goes from ``before`` to ``after``, both E r^2 at equilibrium, and each step multiplies the distance by
    a^2 with a = 1 - ``eta_lam_after``. To first order the curve is [k + (k^2 - k) exp(-2 lambda_e'
    t)]^(-1/2): 1/k at once, and 1/sqrt(k) in the end.
    """
    forget = (1.0 - eta_lam_after) ** (2.0 * np.arange(steps + 1))
    return np.asarray((before / (after + (before - after) * forget)) ** 0.5 / lr_factor)


def adam_l2_drop(lr_factor: float, eta: float, lam: float, coordinates: int, G: float, steps: int) -> Array:
    """Return the same curve for Adam and RMSprop with L2: 1/k at once, and k^(-2/3) in the end.

    With R = r^2, R' = R - 2 eta lam R^(3/2) sqrt(C)/G + eta^2 C, because the decay is divided by sqrt(v) =
    G/(r sqrt(C)).
    """
    path = np.empty(steps + 1)
    path[0] = (eta * coordinates**0.5 * G / (2.0 * lam)) ** (2.0 / 3.0)
    new = eta / lr_factor
    for t in range(steps):
        pull = 2.0 * new * lam * path[t] ** 1.5 * coordinates**0.5 / G
        path[t + 1] = path[t] - pull + new**2 * coordinates
    return np.asarray((path[0] / path) ** 0.5 / lr_factor)


def changing_norm(eta: Array, lam: Array, rho: Array, start: float | None = None) -> Array:
    """Return E r^2 over E||u||^2 before each step and after the last, [T + 1], while eta and lam change.

    For w' = a_t w - eta_t u_t, where the u_t have one length and the autocorrelations ``rho`` [K], k = 1, 2,
    ..., the square of w_t = -sum_s eta_s (prod of later a) u_s gives

        R' = a^2 R + eta_t^2 + 2 a eta_t X_t,    X_t = sum_k rho_k eta_(t-k) (prod of the a in between).

    Before the first step the training was at equilibrium with eta_0 and lam_0, unless ``start`` gives R_0.
    Then the weights of step 0 have no correlation with later updates.
    """
    lags = np.arange(1, len(rho) + 1)
    a = 1.0 - eta * lam
    # moved[k - 1] is the part of w_t per -u_(t-k): eta_(t-k) times the decays since.
    moved = eta[0] * a[0] ** (lags - 1.0) if start is None else np.zeros(len(rho))
    path = np.empty(len(eta) + 1)
    path[0] = decoupled(eta[0], lam[0], 1.0, rho)[0] if start is None else start
    for t, (step, keep) in enumerate(zip(eta, a, strict=True)):
        path[t + 1] = keep**2 * path[t] + step**2 + 2.0 * keep * step * float(rho @ moved)
        moved = np.concatenate([[step], keep * moved[:-1]])
    return path


def adamw_norm(eta: Array, lam: Array, beta1: float, beta2: float) -> Array:
    """Return E r^2 / C of AdamW before each step and after the last, [T + 1], while eta and lam change.

    The gradient is white noise tangent to the sphere, of variance 1/r^2 in each coordinate. With R = r^2 / C,
    M = E m^2, X = E <w, m> / C and V = E v,

        M' = beta1^2 M + (1 - beta1)^2 / R,    V' = beta2 V + (1 - beta2) / R,
        R' = a^2 R - 2 a eta beta1 X / sqrt(V') + eta^2 M' / V',    X' = a beta1 X - eta M' / sqrt(V').

    V lags behind a norm that changes, and so does M. Therefore the norm forgets its start at the rate 2 eta
    lam / (1 + 2 eta lam (beta2/(1 - beta2) - beta1/(1 - beta1))), to first order in eta lam: more slowly than
    at 2 eta lam if beta2 is the longer memory. Before the first step the training was at equilibrium with
    eta_0 and lam_0. The fluctuation of v is left out.
    """
    norm2, _ = adamw(float(eta[0]), float(lam[0]), 1, beta1)
    square = 1.0 / norm2
    mean = square * (1.0 - beta1) / (1.0 + beta1)
    keep = 1.0 - eta[0] * lam[0]
    inner = -eta[0] * mean / square**0.5 / (1.0 - keep * beta1)
    path = np.empty(len(eta) + 1)
    path[0] = norm2
    for t, (step, a) in enumerate(zip(eta, 1.0 - eta * lam, strict=True)):
        mean = beta1**2 * mean + (1.0 - beta1) ** 2 / path[t]
        square = beta2 * square + (1.0 - beta2) / path[t]
        root = square**0.5
        path[t + 1] = a**2 * path[t] - 2.0 * a * step * beta1 * inner / root + step**2 * mean / square
        inner = a * beta1 * inner - step * mean / root
    return path


def lion_norm(eta: Array, lam: Array, beta1: float, beta2: float) -> Array:
    """Return E r^2 / C of Lion before each step and after the last, [T + 1], while eta and lam change.

    The gradient is white noise of variance 1/r^2 in each coordinate. With m' = beta2 m + (1 - beta2) g, the
    update is the sign of c = beta1 m + (1 - beta1) g. For s < t, with V = E m^2 before a step,

        E c_t c_s = beta1 beta2^(t-1-s) (beta1 beta2 V_s + (1 - beta1)(1 - beta2) / R_s),
        E u_t u_s = (2/pi) arcsin(E c_t c_s / sqrt(E c_t^2 E c_s^2)),

    and R' = a^2 R + eta^2 + 2 a eta X, where X is the sum of E u_t u_s times what is left of step s in the
    weights. Before the first step the training was at equilibrium with eta_0 and lam_0. Gradients from before
    the norm changed weigh otherwise in m, which ``changing_norm`` leaves out.
    """
    past = int(np.ceil(np.log(1e-8) / np.log(beta2)))
    a = 1.0 - eta * lam
    start, _ = lion(float(eta[0]), float(lam[0]), 1, beta1, beta2)
    fresh, kept = (1.0 - beta1) * (1.0 - beta2), beta1 * beta2
    square = (1.0 - beta2) / (1.0 + beta2) / start
    total = len(eta) + past
    # The first ``past`` entries are steps at equilibrium, of which beta2^past = 1e-8 is left.
    moved = np.zeros(total)
    moved[:past] = eta[0] * a[0] ** np.arange(past - 1.0, -1.0, -1.0)
    shared, size = np.empty(total), np.empty(total)
    shared[:past] = beta1 * (kept * square + fresh / start)
    size[:past] = beta1**2 * square + (1.0 - beta1) ** 2 / start
    path = np.empty(len(eta) + 1)
    path[0] = start
    for t, (step, keep) in enumerate(zip(eta, a, strict=True)):
        now = past + t
        size[now] = beta1**2 * square + (1.0 - beta1) ** 2 / path[t]
        shared[now] = beta1 * (kept * square + fresh / path[t])
        square = beta2**2 * square + (1.0 - beta2) ** 2 / path[t]
        lags = beta2 ** np.arange(now - 1.0, -1.0, -1.0)
        correlation = lags * shared[:now] / np.sqrt(size[now] * size[:now])
        along = float(2.0 / np.pi * np.arcsin(correlation) @ moved[:now])
        path[t + 1] = keep**2 * path[t] + step**2 + 2.0 * keep * step * along
        moved[:now] *= keep
        moved[now] = step
    return path
