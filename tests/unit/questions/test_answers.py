"""The numbers on the pages of the questions, worked out again from the closed forms."""

import math

import numpy as np
import pytest

from ilr_check.questions import select
from ilr_check.theory import relaxation, sgd


def answer(name: str) -> str:
    return select(name)[0].answer


@pytest.mark.parametrize(("k", "words"), [(2, "0.36"), (10, "0.91"), (100, "1.51")])
def test_times_of_recovery(k: int, words: str) -> None:
    lambda_e = 1e-6
    at_once = (
        k * k / k
    )  # gamma_0 over gamma* after the drop: the norm has not moved, gamma* is k times larger
    time = float(relaxation.time_to_within(lambda_e, at_once)) * lambda_e
    assert f"{time:.2f}" == words
    assert words in answer("R1.a")


def test_the_curve_on_the_page_is_that_of_the_code() -> None:
    k, t = 10.0, np.array([0.0, 50.0, 300.0])
    page = (k + (k * k - k) * np.exp(-4 * 0.001 * t)) ** -0.5
    np.testing.assert_allclose(page, relaxation.change_curve(k, 1.0, 0.001, t), rtol=1e-14)


def test_full_recovery_of_the_page() -> None:
    k, t = 4.0, np.array([0.0, 50.0, 3000.0])
    page = (1 + (k * k - 1) * np.exp(-4 * 0.001 * t)) ** -0.5
    np.testing.assert_allclose(page, relaxation.change_curve(k, 1 / k, 0.001, t), rtol=1e-14)


def test_epochs_of_the_usual_recipe() -> None:
    steps = 1 / float(relaxation.memory_rate(0.1 * 5e-4))
    assert steps == pytest.approx(5000, rel=1e-3)
    assert f"{steps / (50_000 // 128 + 1):.1f}" == "12.8"
    assert "12.8 epochs" in answer("R1.3")


def test_growth_of_exploding_gradients() -> None:
    growth = math.pi / (math.pi - 1)
    assert f"{growth:.3f}" == "1.467"
    assert f"{math.log(growth):.3f}" == "0.383"
    assert "1.467" in answer("R1.2")
    assert "0.383/(4λₑ)" in answer("R1.2")


def effective_lr(eta: float, lam: float, steps: int) -> float:
    """Of a constant schedule from r = 1 and G = 1, by the recursion of the norm."""
    r2 = np.array(1.0)
    for _ in range(steps):
        r2 = sgd.next_squared_norm_on_sphere(r2, 1.0, eta, lam)
    return eta / float(r2)


@pytest.mark.parametrize("steps", [200, 2000, 20_000])
def test_lr_outweighs_decay_by_the_memory_of_the_initial_norm(steps: int) -> None:
    eta, lam, h = 0.02, 0.005, 1e-3
    lambda_e = eta * lam

    def slope(of: int) -> float:
        up, down = ((eta * math.exp(s * h * (1 - of)), lam * math.exp(s * h * of)) for s in (1, -1))
        return (math.log(effective_lr(*up, steps)) - math.log(effective_lr(*down, steps))) / (2 * h)

    memory = (effective_lr(eta, lam, steps) / eta) ** 2 * math.exp(-4 * lambda_e * steps)
    # gamma_0/gamma_T = (effLR_T / effLR_0)^2 with effLR_0 = eta. The page is of order zero in lambda_e and in
    # eta G^2/r^2, which is at most eta; the recursion has both.
    assert slope(0) - slope(1) == pytest.approx(memory, abs=eta)


def test_where_the_norm_freezes_in_a_linear_decay_and_in_a_cosine() -> None:
    lambda_e, total = 1e-3, 4e6
    left = (2 * lambda_e * total) ** -0.5
    assert 4 * lambda_e * total * left**2 / 2 == pytest.approx(1)
    left = (3 / (math.pi**2 * lambda_e * total)) ** (1 / 3)
    # (1 + cos(pi t))/2 integrated over the last share x: (x - sin(pi x)/pi)/2, which is pi^2 x^3/12
    # up to pi^4 x^5/240.
    rest = (left - math.sin(math.pi * left) / math.pi) / 2
    assert 4 * lambda_e * total * rest == pytest.approx(
        1, abs=4 * lambda_e * total * math.pi**4 * left**5 / 240
    )


def test_rotation_of_a_run_by_both_forms_of_the_page() -> None:
    lambda_e, steps, start, end = 1e-3, 700.0, 2.0, 50.0
    final = end + (start - end) * math.exp(-4 * lambda_e * steps)
    first = lambda_e * steps + math.log(final / start) / 4
    second = math.log(1 + end / start * (math.exp(4 * lambda_e * steps) - 1)) / 4
    assert first == pytest.approx(second, rel=1e-12)


def test_the_floor_of_the_plain_distance() -> None:
    p = np.array([0.95] + [0.05 / 9] * 9)
    n = 500
    floor = float(np.sqrt(4 * p * (1 - p) / (math.pi * n)).sum())
    votes = np.random.default_rng(0).multinomial(n, p, size=(2, 4000)) / n
    measured = float(np.abs(votes[0] - votes[1]).sum(axis=1).mean())
    # 4000 pairs: the standard error is below 3e-4; the normal form is off by a few per cent at counts of 3.
    assert measured == pytest.approx(floor, rel=0.06)
    assert f"{floor:.2f}" == "0.04"
    assert "0.04" in answer("R1.6")


def test_the_clock_changes_and_the_path_does_not() -> None:
    """R2.5: with t' = eta t both equations have the same value at the same step."""
    eta, lam, G2, start = 0.1, 0.01, 3.0, 7.0
    steps = np.linspace(0, 2000, 9)

    def solution(rate: float, source: float, clock: np.ndarray) -> np.ndarray:
        return source / rate + (start - source / rate) * np.exp(-rate * clock)

    in_steps = solution(4 * eta * lam, 2 * G2, steps)
    in_lr = solution(4 * lam, 2 * G2 / eta, eta * steps)
    np.testing.assert_allclose(in_lr, in_steps, rtol=1e-13)


def test_offset_of_log_norms() -> None:
    lambda_e, G2 = 1e-3, 2.0
    radius = [(float(relaxation.equilibrium_gamma(lambda_e, G2)) * eta**2) ** 0.25 for eta in (0.4, 0.1)]
    assert math.log(radius[0] / radius[1]) == pytest.approx(0.5 * math.log(4), rel=1e-12)


def slope_of_time(gamma_start: float) -> float:
    """Of log T against log(1/lambda_e) between 1e-4 and 1e-2 at a fixed start; G = 1."""
    ends = np.array([1e-4, 1e-2])
    times = relaxation.time_to_within(ends, gamma_start / relaxation.equilibrium_gamma(ends, 1.0))
    return float(np.log(times[0] / times[1]) / np.log(ends[1] / ends[0]))


def test_a_raw_plot_of_time_is_flat_from_above_and_straight_at_equal_distance() -> None:
    assert slope_of_time(1e5) < 0.9
    assert "flatter than slope 1" in answer("R1.b")
    equally_far = relaxation.time_to_within(np.array([1e-4, 1e-2]), 20.0)
    assert equally_far[0] / equally_far[1] == pytest.approx(100, rel=1e-12)
