"""Predictions from noise that is measured on other runs than the judged ones; so they can fail."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ilr_check.theory.relaxation import gamma_path, memory_rate
from ilr_check.theory.sgd import squared_norm_path

Array = NDArray[np.float64]


def predicted_from(
    reference_G2: Array, lr: Array, weight_decay: Array, r2_start: float, read: Callable[[Array], Array]
) -> tuple[Array, Array]:
    """Return the prediction from the mean noise, [...], and jackknife pseudo-values, [noise references, ...].

    ``reference_G2`` [steps, noise references] are squared gradients at unit norm of independent runs. Their
    mean drives the recursion of the norm. ``read`` takes what is compared from the path of r^2
    [steps + 1, ...]. The mean of the pseudo-values is the prediction less its first-order bias. Their spread
    says how well the noise references determine it. Therefore they are judged like one number for each run
    (Efron and Tibshirani 1993, chapter 11).
    """
    noise_references = reference_G2.shape[1]
    noise = np.concatenate([reference_G2.mean(axis=1, keepdims=True), _leave_one_out(reference_G2)], axis=1)
    path = squared_norm_path(r2_start, noise, lr[:, None], weight_decay[:, None])
    values = np.moveaxis(read(path), -1, 0)
    return np.asarray(values[0]), np.asarray(
        noise_references * values[0] - (noise_references - 1) * values[1:]
    )


def relaxation_rates(
    norm2: Array, reference_G2: Array, *, lr: float, intrinsic_lr: float, start2: float, points: int = 200
) -> Array:
    """Return log(rate / theory) of the relaxation of the norm, for each pair of run and noise reference, [n].

    ``norm2`` [T, n] are squared norms of the judged runs, ``reference_G2`` [T, n] squared gradients at unit
    norm of the noise references. The model is the recursion gamma' = (a^2 gamma + G^2)^2 / gamma with
    a = exp(-rate / 4), driven by the mean of the noise references. Its rate is fitted to the log gamma of
    each run by least squares at ``points`` times over the whole path (Gauss-Newton, linearised at the mean
    over runs). The influence of each noise reference on the fit is added to that of a run as a jackknife
    pseudo-value, the last one to the first run, so that a defect of the same runs of both does not cancel.
    """
    theory, m = float(memory_rate(intrinsic_lr)), reference_G2.shape[1]
    times = np.unique(np.linspace(0, norm2.shape[0] - 1, points).round().astype(int))
    target = 2.0 * np.log(norm2[times] / lr)
    noise = np.concatenate([reference_G2.mean(axis=1, keepdims=True), _leave_one_out(reference_G2)], axis=1)
    start = (start2 / lr) ** 2

    def model(log_ratio: float) -> Array:
        a2 = np.exp(-0.5 * theory * np.exp(log_ratio))
        return np.asarray(np.log(gamma_path(start, noise, a2)[times]))

    centre, nudge = 0.0, 1e-4
    for _ in range(GAUSS_NEWTON_STEPS):
        at = model(centre)
        slope = (model(centre + nudge)[:, 0] - at[:, 0]) / nudge
        weight = slope / (slope @ slope)
        fitted = centre + weight @ (target - at[:, :1])
        moved = weight @ (at[:, 1:] - at[:, :1])
        centre = float(fitted.mean())
    pseudo = (m - 1) * moved
    return np.asarray(fitted + pseudo[::-1] - pseudo.mean())


GAUSS_NEWTON_STEPS = 8
"""If the rate is wrong by a factor of 2, as under the farthest rival, six steps reach rounding errors."""


def _leave_one_out(values: Array) -> Array:
    """Return, for each column, the mean of all other columns."""
    count = values.shape[1]
    return np.asarray((values.sum(axis=1, keepdims=True) - values) / (count - 1))
