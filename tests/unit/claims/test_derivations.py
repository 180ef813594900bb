"""The derivations beside the margins of statistical claims, each against a small simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from ilr_check.claims.function_space import wd_threshold
from ilr_check.claims.function_space.function_mixing_time import LEFT_MARGIN
from ilr_check.claims.function_space.trainings.forgetting import THETA as FORGETTING
from ilr_check.claims.mean_field import mixing_time
from ilr_check.claims.mean_field.no_decay_growth import TOLERANCE as GROWTH_TOLERANCE
from ilr_check.claims.mean_field.no_decay_growth import Growth
from ilr_check.claims.mean_field.sqrt_recovery import OTHER_FACTORS, control_by
from ilr_check.claims.mean_field.trainings.batch_noise import TOLERANCE as TRACE_TOLERANCE
from ilr_check.claims.mean_field.trainings.recovery import CONSTANT_NOISE
from ilr_check.claims.settings.subjects import DIGITS
from ilr_check.stats import pairwise_distances
from ilr_check.theory.relaxation import change_curve, equilibrium_gamma, gamma_path
from ilr_check.theory.sgd import squared_norm_path

Array = NDArray[np.float64]


def energy_distance(first: Array, second: Array) -> float:
    n = len(first)
    distances = pairwise_distances(np.concatenate([first, second]))
    own = (distances[:n, :n].sum() + distances[n:, n:].sum()) / (n * (n - 1))
    return float(2.0 * distances[:n, n:].mean() - own)


def population(log_level: float, seed: int, runs: int = 400) -> Array:
    """Predictions whose mean moves in proportion to log lambda_e, and with it less than their spread."""
    rng = np.random.default_rng(seed)
    direction = np.ones(20) / math.sqrt(20)
    return rng.standard_normal((runs, 20)) + 0.3 * log_level * direction


def share_of_the_control(factor: float) -> float:
    """The energy distance that a factor in lambda_e makes, over that of the control, eight times lambda_e."""
    pairs = [
        [energy_distance(population(0.0, 2 * s), population(math.log(x), 2 * s + 1)) for s in range(12)]
        for x in (factor, 8.0)
    ]
    return float(np.mean(pairs[0]) / np.mean(pairs[1]))


def test_a_quarter_of_the_controls_energy_distance_is_a_factor_of_2_8() -> None:
    """An energy distance is quadratic in a small shift; a factor of 1.7 makes a sixteenth, not a quarter."""
    assert share_of_the_control(8.0**0.5) == pytest.approx(mixing_time.THETA, abs=0.04)
    assert share_of_the_control(8.0**0.25) == pytest.approx(1 / 16, abs=0.04)


def test_what_the_record_says_about_that_margin() -> None:
    sweep = mixing_time.experiments("quick", 0)[0]
    reasons = {what: make(sweep, 1e-3).margin_reason for what, make in mixing_time.DESIGNS.items()}
    assert "a factor of 2.8 in lambda_e" in reasons["predictions"]
    assert "a factor of 1.7 in lambda_e" in reasons["loss"]


def test_a_tenth_of_an_energy_distance_is_less_than_a_third_of_the_difference() -> None:
    """equilibrium-forgets and its neighbours: the control is four times lambda_e."""
    share = FORGETTING["probabilities"]
    assert share**0.5 < 1 / 3
    third = share_of_the_control(8.0 ** (1 / 3))
    assert third == pytest.approx(1 / 9, abs=0.04)


@pytest.mark.parametrize("spread", [0.3, 1.0, 2.0])
@pytest.mark.parametrize("level", [4e-3, 1.6e-2])
def test_the_variance_of_the_noise_moves_gamma_by_lambda_e_times_v(level: float, spread: float) -> None:
    """gamma* grows by lambda_e V, V = Var(G^2)/E(G^2)^2, and the effective LR falls by half of it."""
    rng = np.random.default_rng(0)
    steps, runs = round(4.0 / level), 400
    noise = rng.gamma(spread**-2, spread**2, size=(steps, runs))
    start, a2 = float(equilibrium_gamma(level, 1.0)), (1.0 - level) ** 2
    # Both are compared with the recursion that is linear in the noise, which takes most of the chance out.
    shifts = [
        (gamma_path(start, row, a2) - linear_path(start, row, a2))[steps // 2 :].mean() / start
        for row in (noise, np.ones((steps, 1)))
    ]
    assert shifts[0] - shifts[1] == pytest.approx(level * spread**2, rel=0.1, abs=2e-4)


def linear_path(start: float, noise: Array, a2: float) -> Array:
    """The recursion without its last term: gamma' = a^4 gamma + 2 a^2 G^2."""
    gamma, path = np.full(noise.shape[1], start), []
    for row in noise:
        path.append(gamma)
        gamma = a2 * a2 * gamma + 2.0 * a2 * row
    return np.array(path)


def test_a_change_of_the_noise_changes_the_effective_lr_by_half_of_its_logarithm() -> None:
    """The premise of the control: 0.04 of log G^2 is half of the tolerance, in log effective LR."""
    before, after = (float(equilibrium_gamma(4e-3, noise)) for noise in (1.0, math.exp(CONSTANT_NOISE)))
    assert 0.5 * math.log(after / before) == pytest.approx(0.5 * CONSTANT_NOISE, rel=1e-6)


@pytest.mark.parametrize("factor", OTHER_FACTORS)
def test_a_control_with_another_factor_is_long_enough(factor: float) -> None:
    """At its end the transient in gamma is below 5 % of gamma, and below 2.5 % of the effective LR."""
    drop = control_by(factor)
    end = float(change_curve(factor, 1.0, drop.intrinsic_lr / factor, drop.after))
    assert abs(math.log(end * math.sqrt(factor))) < 0.026


@pytest.mark.parametrize("spread", [0.1, 0.5])
def test_the_noise_of_the_first_step_hardly_changes_the_exponent_of_growth(spread: float) -> None:
    """no-decay-growth: it takes up to a quarter of the tolerance, and the later steps take nothing."""
    growth = Growth(**DIGITS._asdict())
    noise = 10.0 * np.random.default_rng(0).gamma(1.0 / spread, spread, size=(growth.steps, 1000))
    constant = np.full((growth.steps, 1), 10.0)

    def exponent(squares: Array) -> float:
        lr, decay = growth.schedule()[:, None], growth.decays()[:, None]
        path = squared_norm_path(growth.initial_norm**2, squares, lr, decay)
        return float(growth.exponents(path[growth.grid()]).mean())

    assert 0.0 < exponent(noise) - exponent(constant) < 0.3 * GROWTH_TOLERANCE
    noise[:5] = 10.0
    assert abs(exponent(noise) - exponent(constant)) < 0.02 * GROWTH_TOLERANCE


def test_the_norm_leaves_e_to_the_minus_four_which_enters_a_distance_squared() -> None:
    """function-mixing-time: less than a tenth of the margin is left by theory after 1/lambda_e."""
    level, ratio = 1.0 / 256.0, 0.2
    path = gamma_path(ratio * float(equilibrium_gamma(level, 1.0)), np.ones((256, 1)), (1.0 - level) ** 2)
    gap = np.log(path[:, 0] / float(equilibrium_gamma(level, 1.0)))
    left = float((gap[-1] / gap[0]) ** 2)
    assert left < 0.1 * LEFT_MARGIN


def test_learning_that_takes_a_share_of_the_time_lowers_the_slope_by_half_of_the_share() -> None:
    """function-mixing-time: T = A / lambda_e + B lambda_e^(-1/2) has the local slope 1 - x/2."""
    inverse = np.array([100.0, 100.001])
    for share in (0.1, 0.3, 0.5):
        times = (1.0 - share) * inverse / 100.0 + share * np.sqrt(inverse / 100.0)
        slope = float(np.diff(np.log(times))[0] / np.diff(np.log(inverse))[0])
        assert slope == pytest.approx(1.0 - share / 2.0, abs=1e-4)


def test_two_runs_that_keep_e_to_the_minus_q_share_its_square() -> None:
    """wd-threshold: at a rotation of 2 two runs share 0.02 of their init, half of the margin."""
    rng = np.random.default_rng(0)
    dimension, kept = 4000, math.exp(-2.0)
    start = rng.standard_normal((200, dimension)) / math.sqrt(dimension)
    first, second = (
        kept * start + math.sqrt(1.0 - kept**2) * rng.standard_normal(start.shape) / math.sqrt(dimension)
        for _ in range(2)
    )
    shared = float((first * second).sum(axis=1).mean())
    assert shared == pytest.approx(math.exp(-4.0), abs=0.003)
    assert shared < 0.5 * wd_threshold.SHARE_MARGIN + 0.003


def test_batches_without_replacement_would_have_another_power_of_their_size() -> None:
    """batch-size: the trace of a batch without replacement is (1/B)(1 - B/N)/(1 - 1/N), not 1/B."""
    sizes, examples = np.array([4.0, 8.0, 16.0, 32.0]), 128
    trace = (1.0 - sizes / examples) / sizes
    slope = float(np.polyfit(np.log(sizes), np.log(trace), 1)[0])
    assert slope < -1.0 - 2.0 * TRACE_TOLERANCE
