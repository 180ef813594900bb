"""The powers of c by which derivatives scale if L(cw) = L(w) (LLA20, section 2)."""

from __future__ import annotations

GRADIENT_DEGREE = -1
"""grad L(cw) = c^-1 grad L(w)."""

HESSIAN_DEGREE = -2
"""H(cw) = c^-2 H(w)."""

COVARIANCE_DEGREE = -2
"""Sigma(cw) = c^-2 Sigma(w) for the covariance Sigma of minibatch gradients, which is quadratic in them."""


def euler_sum(degree: int, value: float) -> float:
    """Return <grad f(w), w> = degree f(w), which holds if f(cw) = c^degree f(w) (Euler's theorem).

    With f = L it says that the gradient is orthogonal to the weights. With f(w) = <v, grad L(w)>, which has
    degree -1, it says <v, H w> = -<v, grad L> for every v, that is H w = -grad L.
    """
    return degree * value
