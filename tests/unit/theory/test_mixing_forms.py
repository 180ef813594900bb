"""Rotation of a run: against the sum of its parts, its limit without decay, and its inverse."""

import numpy as np
import pytest

from ilr_check.theory.mixing import rotation_of_a_run, threshold_of_mixing
from ilr_check.theory.relaxation import gamma_path


def test_it_is_the_decay_and_the_growth_of_the_norm() -> None:
    level, steps, start, noise = 1e-3, 2000, 5000.0, 30.0
    path = gamma_path(start, np.full(steps + 1, noise), (1 - level) ** 2)
    exact = -steps * np.log1p(-level) + 0.25 * np.log(path[-1] / start)
    # The differential equation errs by lambda_e and by G^2/gamma, 0.006.
    assert float(rotation_of_a_run(level, steps, start, noise)) == pytest.approx(exact, rel=0.01)


def test_without_decay_it_is_the_limit_of_a_small_one() -> None:
    bare = float(rotation_of_a_run(0.0, 100, 5000.0, 30.0))
    assert bare == pytest.approx(0.25 * np.log1p(2 * 30 * 100 / 5000))
    assert float(rotation_of_a_run(1e-9, 100, 5000.0, 30.0)) == pytest.approx(bare, rel=1e-5)


@pytest.mark.parametrize(("steps", "start"), [(64, 4e4), (4096, 4e4), (500, 1e3)])
def test_the_threshold_turns_by_one(steps: int, start: float) -> None:
    level = threshold_of_mixing(steps, start, 20.0)
    turned = rotation_of_a_run(level, steps, start, 20.0)
    assert float(turned) == pytest.approx(1.0) or (level == 0.0 and turned >= 1.0)


def test_from_equilibrium_the_threshold_is_one_over_the_steps() -> None:
    level = 1e-3
    assert threshold_of_mixing(1000, 20.0 / (2 * level), 20.0) == pytest.approx(level)


def test_without_decay_long_runs_pass_it() -> None:
    assert threshold_of_mixing(10**6, 1.0, 20.0) == 0.0
