"""How a direction forgets where it was, if nothing holds it."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def free_cosine(lambda_e: ArrayLike, lag: ArrayLike) -> Array:
    """E<u_t, u_{t+D}> = (1 - lambda_e)^D at equilibrium if the gradient has no memory; e^{-lambda_e D}.

    Every step turns the direction by cos = 1 - lambda_e in the mean, orthogonally to where it stands.
    """
    return np.asarray((1.0 - np.asarray(lambda_e, dtype=np.float64)) ** np.asarray(lag, dtype=np.float64))
