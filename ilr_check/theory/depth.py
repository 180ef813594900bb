"""The effect of depth on a BatchNorm ReLU net: initial gradients, and the time that the norms need."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def gradient_growth(batch_size: int | None = None) -> float:
    """Return the factor of ||gbar_l||^2 per layer towards the input, pi / (pi - 1) in the limit of large
    batches.

    It holds for a wide ReLU net with BatchNorm at random weights, where the examples of a batch have become
    equally far from each other (Yang et al. 2019). Half of the units pass a gradient on, and BatchNorm
    divides by the variance 1/2 - 1/(2 pi) of a rectified Gaussian: (1/2) / (1/2 - 1/(2 pi)).

    With B examples in a batch, the normalised values y of a unit are uniform on the sphere |y|^2 = B in the
    space orthogonal to (1, .., 1), independent of the standard deviation that BatchNorm divides by; it has a
    chi^2 distribution with B - 1 degrees of freedom, whose mean inverse is 1/(B - 3). So the factor is

        B E tr(P D C D P) / ((1/2 - c) (B - 3) (B - 1)),

    where D = diag(y > 0), C subtracts the mean over the batch, P projects on what is orthogonal to both
    (1, .., 1) and y, and c is E relu(y_1) relu(y_2) at the correlation -1/(B - 1). The trace follows from
    P(y_1, y_2 > 0) and c. The factor is 1 + 1.1/B times that of the limit for large B.
    """
    if batch_size is None:
        return math.pi / (math.pi - 1.0)
    if batch_size < 4:
        raise ValueError(f"the growth needs batches of 4 or more, got {batch_size}")
    n, correlation = float(batch_size), -1.0 / (batch_size - 1)
    sine = math.sqrt(1.0 - correlation**2)
    product = (sine + correlation * (math.pi - math.acos(correlation))) / (2.0 * math.pi)
    both_positive = 0.25 + math.asin(correlation) / (2.0 * math.pi)
    positive2 = n / 2.0 + n * (n - 1.0) * both_positive
    along_ones = (n / 2.0 - positive2 / n) / n
    along_y = 0.5 - (0.5 + (n - 1.0) * product) / n
    trace = (n - 1.0) / 2.0 - along_ones - along_y
    return n * trace / ((0.5 - product) * (n - 3.0) * (n - 1.0))


def equilibration_time(eta: float, lam: float, G2: ArrayLike, r2: ArrayLike) -> Array:
    """Return the steps until a norm that its first step inflated is back: log(2 lambda_e gamma_1/G^2) / (4
    lambda_e).

    The first step takes r^2 to eta^2 G^2 / r^2. Hence gamma_1 = eta^2 G^4 / r^4, and gamma at equilibrium is
    G^2/(2 lambda_e). The excess falls at the rate 4 lambda_e. The time grows by log(gradient_growth()) / (4
    lambda_e) per layer. It is 0 if the first step inflated nothing.
    """
    lambda_e = eta * lam
    excess = 2.0 * lambda_e * eta**2 * np.asarray(G2, dtype=np.float64) / np.asarray(r2) ** 2
    return np.asarray(np.maximum(0.0, np.log(excess)) / (4.0 * lambda_e))
