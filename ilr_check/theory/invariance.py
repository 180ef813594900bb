"""Consequences of L(cw) = L(w) for derivatives (LLA20, section 2): by which power of c each one scales."""

from __future__ import annotations

GRADIENT_DEGREE = -1
"""grad L(cw) = c^-1 grad L(w)."""

HESSIAN_DEGREE = -2
"""H(cw) = c^-2 H(w)."""

COVARIANCE_DEGREE = -2
"""Sigma(cw) = c^-2 Sigma(w), Sigma the covariance of minibatch gradients, quadratic in them."""


def euler_sum(degree: int, value: float) -> float:
    """<grad f(w), w> = degree f(w) for f(cw) = c^degree f(w) (Euler).

    With f = L it is gradient orthogonality; with f(w) = <v, grad L(w)>, of degree -1, it is <v, H w> =
    -<v, grad L>, for every v: H w = -grad L.
    """
    return degree * value
