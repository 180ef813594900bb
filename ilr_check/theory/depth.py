"""The effect of depth on a BatchNorm ReLU net: initial gradients, and the time that the norms need."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def gradient_growth() -> float:
    """Return pi / (pi - 1), the factor of ||gbar_l||^2 per layer towards the input (Yang et al. 2019).

    It holds for a wide ReLU net with BatchNorm at random weights. Half of the units pass a gradient on, and
    BatchNorm divides by the variance 1/2 - 1/(2 pi) of a rectified Gaussian: (1/2) / (1/2 - 1/(2 pi)).
    """
    return math.pi / (math.pi - 1.0)


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
