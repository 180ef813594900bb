"""Bounds on what rounding alone can do to an exact relation; every exact claim is judged against one.

Model: fl(x op y) = (x op y)(1 + d), |d| <= u, and a sum of n terms in any order errs by at most
gamma_n = n u / (1 - n u) times the sum of absolute terms (Higham, Accuracy and Stability, section 3.1).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

UNIT_ROUNDOFF = {"float64": 2.0**-53, "float32": 2.0**-24, "bfloat16": 2.0**-8, "float16": 2.0**-11}

UNDERFLOW = {"float64": 2.0**-1074, "float32": 2.0**-149}
"""The smallest positive number: twice what one product or quotient can lose where its result is subnormal."""


def accumulated(n: int, dtype: str) -> float:
    """gamma_n = n u / (1 - n u), the relative error of a sum of n terms."""
    nu = n * UNIT_ROUNDOFF[dtype]
    if nu >= 0.5:
        raise ValueError(f"a sum of {n} terms in {dtype} has no useful bound; use float64")
    return nu / (1.0 - nu)


def norm_recursion_bound(
    *,
    r: ArrayLike,
    g: ArrayLike,
    eta: ArrayLike,
    lam: ArrayLike,
    inner_product_bound: ArrayLike,
    count: int,
    dtype: str,
) -> Array:
    """How far |r'^2 - a^2 r^2 - eta^2 ||g||^2| can be from zero when SGD and the algebra are exact.

    The step computes w' = w - eta (g + lam w) with at most 6 roundings an entry (eta and lam to the dtype of
    the weights, two products, two sums), each relative to the terms
    as they stand before anything cancels: |e_i| <= 6u (|w_i| + eta |g_i| + eta lam |w_i|). Hence
    ||w'||^2 errs by at most 2 ||w'|| ||e|| + ||e||^2 <= 13u S^2 with S = r (1 + |eta lam|) + eta ||g||.
    The three squared norms are taken in float64 and add 3 gamma_count S^2. Exactness of Pythagoras needs
    <g, w> = 0; its own rounding enters as 2 eta |a| times ``inner_product_bound``. Entries that underflow
    lose up to one smallest number a rounding instead, sqrt(count) 6 of them in ||e||.
    """
    r, g, eta, lam = (np.asarray(v, dtype=np.float64) for v in (r, g, eta, lam))
    size = r * (1.0 + np.abs(eta * lam)) + np.abs(eta) * g
    rounding = (13.0 * UNIT_ROUNDOFF[dtype] + 3.0 * accumulated(count + 4, "float64")) * size**2
    rounding = rounding + 12.0 * np.sqrt(count) * UNDERFLOW[dtype] * size
    a = 1.0 - eta * lam
    return np.asarray(rounding + 2.0 * np.abs(eta * a) * np.asarray(inner_product_bound))
