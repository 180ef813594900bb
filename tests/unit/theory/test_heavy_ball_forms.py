"""The inner products of heavy ball, against an explicit trajectory."""

import math

import numpy as np
import pytest

from ilr_check.theory.heavy_ball import has_complex_roots, next_inner_product, next_inner_product_from_buffer


def walk(mu: float, etas: list[float], lam: float) -> tuple[np.ndarray, np.ndarray]:
    """Weights and buffers (before each step) of a heavy ball whose gradients are tangent, in 5 dimensions."""
    rng = np.random.default_rng(3)
    w, b = rng.standard_normal(5), np.zeros(5)
    weights, buffers = [w], [b]
    for eta in etas:
        g = rng.standard_normal(5)
        g -= w * (g @ w) / (w @ w)
        b = mu * b + g + lam * w
        w = w - eta * b
        weights.append(w)
        buffers.append(b)
    return np.array(weights), np.array(buffers)


ETAS = [0.3, 0.1, 0.5, 0.2, 0.4, 0.05]


@pytest.mark.parametrize("mu", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("t", range(1, len(ETAS)))
def test_both_forms_give_the_inner_product_of_the_walk(mu: float, t: int) -> None:
    lam = 0.2
    w, b = walk(mu, ETAS, lam)
    r2, expected = float(w[t] @ w[t]), float(w[t + 1] @ w[t])
    in_weights = next_inner_product(
        r2=r2, inner=float(w[t] @ w[t - 1]), mu=mu, eta=ETAS[t], eta_before=ETAS[t - 1], lam=lam
    )
    from_buffer = next_inner_product_from_buffer(r2=r2, along=float(b[t] @ w[t]), mu=mu, eta=ETAS[t], lam=lam)
    assert in_weights == pytest.approx(expected, rel=1e-12)
    assert from_buffer == pytest.approx(expected, rel=1e-12)


def test_the_buffer_form_goes_through_steps_of_lr_0() -> None:
    w, b = walk(0.9, [0.3, 0.0, 0.5], 0.2)
    found = next_inner_product_from_buffer(
        r2=float(w[2] @ w[2]), along=float(b[2] @ w[2]), mu=0.9, eta=0.5, lam=0.2
    )
    assert found == pytest.approx(float(w[3] @ w[2]), rel=1e-12)


@pytest.mark.parametrize("mu", [0.1, 0.5, 0.9])
def test_roots_become_complex_at_the_known_decay(mu: float) -> None:
    edge = (1.0 - math.sqrt(mu)) ** 2
    assert not has_complex_roots(mu=mu, eta=1.0, lam=0.99 * edge)
    assert has_complex_roots(mu=mu, eta=1.0, lam=1.01 * edge)
