"""Degrees and Euler sums of derivatives, for an explicit function of the direction alone."""

import numpy as np
import pytest

from ilr_check.theory.invariance import COVARIANCE_DEGREE, GRADIENT_DEGREE, HESSIAN_DEGREE, euler_sum

V = np.array([0.3, -1.2, 0.7])


def gradient(w: np.ndarray) -> np.ndarray:
    """Of L(w) = <v, w>^2 / ||w||^2."""
    along, r2 = V @ w, w @ w
    return 2 * along / r2 * (V - along / r2 * w)


def hessian_times(w: np.ndarray, d: np.ndarray) -> np.ndarray:
    h = 1e-6
    return (gradient(w + h * d) - gradient(w - h * d)) / (2 * h)


W = np.array([1.0, 0.5, -2.0])


@pytest.mark.parametrize("c", [2.0, 0.5, 1.7])
def test_derivatives_scale_by_their_degrees(c: float) -> None:
    d = np.array([0.2, 0.1, 1.0])
    assert gradient(c * W) == pytest.approx(c**GRADIENT_DEGREE * gradient(W), rel=1e-12)
    assert hessian_times(c * W, d) == pytest.approx(c**HESSIAN_DEGREE * hessian_times(W, d), rel=1e-7)
    assert np.outer(gradient(c * W), gradient(c * W)) == pytest.approx(
        c**COVARIANCE_DEGREE * np.outer(gradient(W), gradient(W)), rel=1e-12
    )


@pytest.mark.parametrize("d", [np.array([1.0, 0.0, 0.0]), np.array([0.3, -0.4, 2.0]), W])
def test_the_hessian_turns_the_weights_into_minus_the_gradient(d: np.ndarray) -> None:
    assert hessian_times(W, W) @ d == pytest.approx(euler_sum(GRADIENT_DEGREE, gradient(W) @ d), abs=1e-8)
