"""The closed forms of relaxation against the recursion, the differential equation, limits and simulation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from ilr_check.theory.relaxation import (
    change_curve,
    change_curve_discrete,
    equilibrium_effective_lr,
    equilibrium_gamma,
    gamma,
    gamma_path,
    memory_rate,
    relaxation_rate,
    time_to_within,
)
from ilr_check.theory.sgd import squared_norm_path

intrinsic = st.floats(1e-6, 0.2)
traces = st.floats(1e-4, 1e4)


def next_gamma(now: float, G2: float, lambda_e: float) -> float:
    return ((1.0 - lambda_e) ** 2 * now + G2) ** 2 / now


@given(r2=st.floats(1e-3, 1e3), eta=st.floats(1e-3, 10.0))
def test_gamma_and_the_effective_lr_are_two_views_of_one_number(r2: float, eta: float) -> None:
    assert float(gamma(r2, eta)) ** -0.5 == pytest.approx(eta / r2, rel=1e-13)


@given(lambda_e=intrinsic, G2=traces)
def test_equilibrium_is_a_fixed_point_of_the_recursion(lambda_e: float, G2: float) -> None:
    at = float(equilibrium_gamma(lambda_e, G2))
    # 1 - a^2 loses digits as lambda_e falls: u / (2 lambda_e).
    assert next_gamma(at, G2, lambda_e) == pytest.approx(at, rel=1e-13 + 4e-16 / lambda_e)


@pytest.mark.parametrize("factor", [1e-3, 0.1, 10.0, 1e3])
def test_every_start_ends_at_equilibrium(factor: float) -> None:
    end = float(equilibrium_gamma(0.02, 3.0))
    path = gamma_path(factor * end, np.full(1000, 3.0), (1 - 0.02) ** 2)
    assert path[-1] == pytest.approx(end, rel=1e-10)


@pytest.mark.parametrize("lambda_e", [1e-2, 1e-3, 1e-4])
def test_for_small_lambda_the_effective_lr_is_sqrt_of_two_lambda_over_G2(lambda_e: float) -> None:
    ratio = float(equilibrium_effective_lr(lambda_e, 5.0)) / math.sqrt(2 * lambda_e / 5.0)
    # sqrt(1 - lambda_e / 2) exactly, so the limit is approached at the rate lambda_e / 4.
    assert ratio == pytest.approx(1 - lambda_e / 4, abs=lambda_e**2)


@pytest.mark.parametrize("lambda_e", [0.1, 0.01, 0.001])
def test_the_memory_rate_is_that_of_the_recursion_far_above_equilibrium(lambda_e: float) -> None:
    far = 1e12 * float(equilibrium_gamma(lambda_e, 1.0))
    measured = -math.log(next_gamma(far, 1.0, lambda_e) / far)
    assert float(memory_rate(lambda_e)) == pytest.approx(measured, rel=1e-9)


@pytest.mark.parametrize("lambda_e", [0.1, 0.01, 0.001])
def test_the_relaxation_rate_is_that_of_the_recursion_near_equilibrium(lambda_e: float) -> None:
    end = float(equilibrium_gamma(lambda_e, 1.0))
    up, down = (next_gamma(end * (1 + d), 1.0, lambda_e) for d in (1e-5, -1e-5))
    # A central difference: its error is of second order in the displacement.
    measured = -math.log((up - down) / (2e-5 * end))
    assert float(relaxation_rate(lambda_e)) == pytest.approx(measured, rel=1e-7)


@pytest.mark.parametrize("lambda_e", [1e-2, 1e-3, 1e-4])
def test_the_relaxation_rate_starts_four_lambda_plus_six_lambda_squared(lambda_e: float) -> None:
    assert float(relaxation_rate(lambda_e)) == pytest.approx(
        4 * lambda_e + 6 * lambda_e**2, abs=20 * lambda_e**3
    )


@pytest.mark.parametrize("lambda_e", [1e-2, 1e-3, 1e-4])
def test_the_memory_rate_starts_four_lambda_plus_two_lambda_squared(lambda_e: float) -> None:
    assert float(memory_rate(lambda_e)) == pytest.approx(4 * lambda_e + 2 * lambda_e**2, abs=2 * lambda_e**3)


@pytest.mark.parametrize(
    ("steps_in_units", "expected"),
    # [10 + 90 exp(-4 tau)]^(-1/2), worked out by hand: at once, tau = ln(9)/4 (20 under the root),
    # tau = ln(90)/4 (11), for ever.
    [(0.0, 0.1), (math.log(9) / 4, 20**-0.5), (math.log(90) / 4, 11**-0.5), (1e3, 10**-0.5)],
)
def test_the_curve_after_a_tenfold_drop(steps_in_units: float, expected: float) -> None:
    assert float(change_curve(10.0, 1.0, 1e-4, steps_in_units / 1e-4)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("k", [0.5, 2.0, 10.0, 100.0])
@pytest.mark.parametrize("decay", [1.0, 10.0, 0.1])
def test_the_curve_solves_the_differential_equation(k: float, decay: float) -> None:
    after, G2 = 1e-3, 1.7
    before = G2 / (2 * after * k * decay)
    times = np.linspace(0, 2000, 50)
    solved = solve_ivp(
        lambda t, y: -4 * after * y + 2 * G2, (0, 2000), [before * k * k], t_eval=times, rtol=1e-10, atol=1e-9
    )
    assert change_curve(k, decay, after, times) == pytest.approx((solved.y[0] / before) ** -0.5, rel=1e-7)


@pytest.mark.parametrize(("k", "decay"), [(2.0, 1.0), (10.0, 1.0), (1.0, 10.0), (10.0, 0.1)])
def test_the_discrete_curve_is_the_norm_recursion(k: float, decay: float) -> None:
    eta, lam, steps = 0.4, 0.05, 400
    start = math.sqrt(float(equilibrium_gamma(eta * lam, 1.0))) * eta
    path = squared_norm_path(start, np.ones(steps), np.full(steps, eta / k), np.full(steps, lam / decay))
    curve = change_curve_discrete(k, decay, eta * lam, steps)
    assert curve == pytest.approx((eta / k / path) / (eta / start))


def test_the_discrete_curve_tends_to_the_continuous_one_at_first_order() -> None:
    def distance(lambda_e: float) -> float:
        steps = round(30 / lambda_e)
        gap = change_curve_discrete(10.0, 1.0, lambda_e, steps) / change_curve(
            10.0, 1.0, lambda_e / 10, np.arange(steps + 1)
        )
        return float(np.abs(gap - 1).max())

    coarse, fine = distance(4e-2), distance(1e-2)
    assert fine < 0.01
    assert coarse / fine == pytest.approx(4.0, rel=0.1)


def test_random_noise_relaxes_along_the_curve_on_average() -> None:
    # d gamma = (-4 lambda_e gamma + 2 G^2) dt is linear in the noise, so that the mean over runs follows the
    # curve whatever the distribution of G^2; here G^2 is exponential, the roughest that gradients have.
    lambda_e, k, runs, steps = 1e-2, 4.0, 4000, 600
    rng = np.random.default_rng(3)
    noise = rng.exponential(1.0, (steps, runs))
    start = float(equilibrium_gamma(lambda_e, 1.0)) * k * k
    path = gamma_path(start, noise, (1 - lambda_e / k) ** 2)
    ratio = path / (start / k / k)
    mean, error = ratio.mean(axis=1), ratio.std(axis=1) / math.sqrt(runs)
    curve = change_curve(k, 1.0, lambda_e / k, np.arange(steps)) ** -2
    # E[G^4] = 2 and the discrete step add at most G^4 / gamma a step against 2 G^2: below lambda_e, plus six
    # standard errors.
    assert (np.abs(mean - curve) <= 6 * error + 2.0 * lambda_e * curve).all()


@given(ratio=st.floats(1.3, 1e4), lambda_e=st.floats(1e-4, 1e-2), tolerance=st.floats(0.01, 0.11))
def test_from_above_the_time_ends_where_the_curve_enters_the_band(
    ratio: float, lambda_e: float, tolerance: float
) -> None:
    t = float(time_to_within(lambda_e, ratio, tolerance))
    at_t = 1 + (ratio - 1) * math.exp(-4 * lambda_e * t)
    assert at_t**-0.5 == pytest.approx(1 - tolerance, rel=1e-9)


@given(ratio=st.floats(1e-4, 0.75), lambda_e=st.floats(1e-4, 1e-2), tolerance=st.floats(0.01, 0.11))
def test_from_below_the_time_ends_where_the_curve_enters_the_band(
    ratio: float, lambda_e: float, tolerance: float
) -> None:
    t = float(time_to_within(lambda_e, ratio, tolerance))
    at_t = 1 + (ratio - 1) * math.exp(-4 * lambda_e * t)
    assert at_t**-0.5 == pytest.approx(1 + tolerance, rel=1e-9)


@pytest.mark.parametrize("ratio", [0.9, 1.0, 1.1])
def test_a_start_inside_the_band_takes_no_time(ratio: float) -> None:
    assert float(time_to_within(1e-3, ratio, 0.1)) == 0.0


@pytest.mark.parametrize("ratio", [0.1, 5.0, 500.0])
def test_the_time_is_inverse_in_lambda_at_a_fixed_ratio(ratio: float) -> None:
    slow, fast = time_to_within(np.array([1e-4, 1e-2]), ratio)
    assert slow / fast == pytest.approx(100.0)


def test_a_gamma_path_is_the_norm_recursion() -> None:
    rng = np.random.default_rng(1)
    noise = rng.uniform(0.2, 2.0, (50, 3))
    eta, lam, start = 0.7, 0.03, 2.5
    norms = squared_norm_path(start, noise, np.full((50, 1), eta), np.full((50, 1), lam))
    path = gamma_path(float(gamma(start, eta)), noise, (1 - eta * lam) ** 2)
    assert path == pytest.approx(gamma(norms[:-1], eta), rel=1e-12)
