"""The effect of the eps of a norm layer: the loss is scale-invariant in (w, sqrt(eps)) together and not in w
alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ilr_check.theory.sgd import decay_factor, next_squared_norm

Array = NDArray[np.float64]


def radial_product(eps: ArrayLike, slope: ArrayLike) -> Array:
    """Return <g, w> = -2 eps dL/d(eps), which is Euler's theorem for L(c w, c^2 eps) = L(w, eps).

    ``slope`` is dL/d(eps), summed over the norms that read w and over the layers tied to it.
    """
    return np.asarray(-2.0 * np.asarray(eps) * np.asarray(slope))


def next_squared_norm_with_eps(
    r2: ArrayLike, g2: ArrayLike, eta: ArrayLike, lam: ArrayLike, product: ArrayLike
) -> Array:
    """Return r'^2 = (a^2 - 2 eta a lam_eps) r^2 + eta^2 ||g||^2 with a = 1 - eta lam and lam_eps = <g, w> /
    r^2.

    This is the recursion of SGD if a norm has an eps: ``product`` is <g, w>, and it acts as an extra decay
    lam_eps.
    """
    a = decay_factor(eta, lam)
    lost = 2.0 * np.asarray(eta) * a * np.asarray(product)
    return np.asarray(next_squared_norm(r2, g2, eta, lam) - lost)
