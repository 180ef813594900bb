"""Equilibria with momentum against a simulation in which gradients are what the derivation assumes."""

import numpy as np
import pytest

from ilr_check.theory.momentum import (
    heavy_ball_cosine,
    heavy_ball_gain,
    intrinsic_lr,
    nesterov_cosine,
    nesterov_gain,
)
from ilr_check.theory.relaxation import equilibrium_gamma


def simulated(
    eta: float, lam: float, mu: float, tau: float = 0.0, *, nesterov: bool = False
) -> tuple[float, float]:
    """Return r^4 / G^2 and E<w, w'> / E r^2 of simulated trajectories with g of length 1/r, orthogonal to
    w."""
    rng = np.random.default_rng(0)
    walks, dim, steps, burn_in = 256, 64, 1500, 500
    w = rng.normal(size=(walks, dim))
    start = (eta / (lam * (1 - mu))) ** 0.25
    w *= start / np.linalg.norm(w, axis=1, keepdims=True)
    buffer = np.zeros_like(w)
    fourth, inner, second = [], [], []
    for t in range(steps):
        r2 = (w * w).sum(axis=1, keepdims=True)
        noise = rng.normal(size=w.shape)
        noise -= w * (noise * w).sum(axis=1, keepdims=True) / r2
        g = noise / np.linalg.norm(noise, axis=1, keepdims=True) / np.sqrt(r2)
        d = g + lam * w
        buffer = d if t == 0 else mu * buffer + (1 - tau) * d
        new = w - eta * (d + mu * buffer if nesterov else buffer)
        if t >= burn_in:
            fourth.append((r2**2).mean())
            second.append(r2.mean())
            inner.append((new * w).sum(axis=1).mean())
        w = new
    return float(np.mean(fourth)), float(np.mean(inner) / np.mean(second))


@pytest.mark.parametrize("mu", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("tau", [0.0, 0.5])
def test_heavy_ball(mu: float, tau: float) -> None:
    eta, lam = 0.2 * (1 - mu), 0.1
    fourth, cosine = simulated(eta, lam, mu, tau if mu else 0.0)
    tau = tau if mu else 0.0
    # The simulation has 256 independent trajectories and 1000 correlated steps; 1 % is four standard errors.
    assert fourth == pytest.approx(float(heavy_ball_gain(eta, lam, mu, tau)), rel=0.01)
    assert 1 - cosine == pytest.approx(float(1 - heavy_ball_cosine(eta, lam, mu, tau)), rel=0.01)


@pytest.mark.parametrize("mu", [0.5, 0.9])
def test_nesterov(mu: float) -> None:
    eta, lam = 0.2 * (1 - mu), 0.1
    fourth, cosine = simulated(eta, lam, mu, nesterov=True)
    assert fourth == pytest.approx(float(nesterov_gain(eta, lam, mu)), rel=0.01)
    assert 1 - cosine == pytest.approx(float(1 - nesterov_cosine(eta, lam, mu)), rel=0.01)


def test_without_momentum_all_are_plain_sgd() -> None:
    eta, lam = 0.3, 0.05
    plain = eta**2 * float(equilibrium_gamma(eta * lam, 1.0))
    assert float(heavy_ball_gain(eta, lam, 0.0)) == pytest.approx(plain, rel=1e-12)
    assert float(nesterov_gain(eta, lam, 0.0)) == pytest.approx(plain, rel=1e-12)
    assert float(nesterov_cosine(eta, lam, 0.0)) == pytest.approx(1 - eta * lam, rel=1e-12)


def test_momentum_divides_the_time_constants() -> None:
    assert float(intrinsic_lr(0.1, 0.02, 0.9)) == pytest.approx(0.02)
    assert float(intrinsic_lr(0.1, 0.02, 0.9, 0.5)) == pytest.approx(0.01)


@pytest.mark.parametrize(("mu", "slope"), [(0.9, 0.7063), (0.5, 1.1667)])
def test_nesterov_turns_as_the_small_lambda_limit_says(mu: float, slope: float) -> None:
    eta, lam = 1e-4, 1e-2
    assert float(1 - nesterov_cosine(eta, lam, mu)) == pytest.approx(slope * eta * lam, rel=1e-3)
