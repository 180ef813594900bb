"""What depth does to a BatchNorm ReLU net: gradients at the start, and how long the norms need."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def gradient_growth() -> float:
    """pi / (pi - 1), by which ||gbar_l||^2 grows a layer towards the input (Yang et al. 2019).

    Of a wide ReLU net with BatchNorm at random weights: half of the units pass a gradient on, and BatchNorm
    divides by the variance 1/2 - 1/(2 pi) of a rectified Gaussian: (1/2) / (1/2 - 1/(2 pi)).
    """
    return math.pi / (math.pi - 1.0)


def equilibration_time(eta: float, lam: float, G2: ArrayLike, r2: ArrayLike) -> Array:
    """Steps until a norm blown up by its first step is back: log(2 lambda_e gamma_1/G^2) / (4 lambda_e).

    The first step takes r^2 to eta^2 G^2 / r^2, so that gamma_1 = eta^2 G^4 / r^4 against G^2/(2 lambda_e)
    at equilibrium; the excess fades at 4 lambda_e. In depth it grows by log(gradient_growth()) a layer over
    4 lambda_e. 0 where nothing was blown up.
    """
    lambda_e = eta * lam
    excess = 2.0 * lambda_e * eta**2 * np.asarray(G2, dtype=np.float64) / np.asarray(r2) ** 2
    return np.asarray(np.maximum(0.0, np.log(excess)) / (4.0 * lambda_e))
