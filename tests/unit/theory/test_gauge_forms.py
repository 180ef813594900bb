"""Other lr and weight decay for the same directions, checked on numbers that were computed in another way."""

import numpy as np
import pytest

from ilr_check.theory.gauge import corrected_buffer, gauge_rates, growth_factor


@pytest.mark.parametrize(
    ("eta", "lam", "mu"), [(0.1, 0.01, 0.9), (0.5, 0.1, 0.25), (1.0, 0.3, 0.0), (2.0, 0.0, 0.5)]
)
def test_growth_factor_is_the_larger_root(eta: float, lam: float, mu: float) -> None:
    roots = np.roots([1.0, -(1.0 + mu - eta * lam), mu])
    assert growth_factor(eta, lam, mu) == pytest.approx(max(roots.real), rel=1e-12)


@pytest.mark.parametrize("gap", [1e-3, 1e-8, 2.0**-53])
def test_without_momentum_no_digit_is_lost_where_eta_lam_is_nearly_one(gap: float) -> None:
    assert growth_factor(1.0, 1.0 - gap, 0.0) == 1.0 - (1.0 - gap)


def test_without_decay_nothing_grows_exactly() -> None:
    assert growth_factor(1.0, 0.0, 0.99) == 1.0


def test_complex_roots_are_refused() -> None:
    with pytest.raises(ValueError, match="must be at most"):
        growth_factor(1.0, 0.1, 0.9)


def test_gauge_rates_on_one_number() -> None:
    # w = 2, g = 3, eta = .1, lam = .5: w' = 2 - .1 (3 + 1) = 1.6. With c = 2, c' = 5.
    eta, lam = gauge_rates(0.1, 0.5, 2.0, 5.0)
    assert 4.0 - eta * (1.5 + lam * 4.0) == pytest.approx(5.0 * 1.6)


@pytest.mark.parametrize("mu", [0.0, 0.5, 0.9])
def test_a_run_with_momentum_and_decay_is_one_without_decay(mu: float) -> None:
    eta, lam = 0.2, 0.01
    alpha = growth_factor(eta, lam, mu)
    gradients = np.random.default_rng(0).normal(size=20)
    w, v = 1.5, 0.0
    free, buffer = w, corrected_buffer(v, w, eta, alpha) / alpha
    for t, g in enumerate(gradients):
        v = mu * v + g + lam * w
        w = w - eta * v
        buffer = mu * buffer + alpha**t * g
        free = free - eta * alpha ** (-2 * t - 1) * buffer
    assert free * alpha ** len(gradients) == pytest.approx(w, rel=1e-12)
