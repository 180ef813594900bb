"""Few runs that obey another law cost a ``holds``, however well the mean of all runs lies in its margin."""

import numpy as np
import pytest

from ilr_check.stats import CurveEquivalence, MeanEquivalence
from ilr_check.stats.unlike import unlike

MEAN = MeanEquivalence(
    estimand="x", margin=(-0.06, 0.06), margin_reason="stated", looks=(64,), false_fail=1e-5, sd=0.03
)


def runs(seed: int, broken: int, shift: float) -> np.ndarray:
    x = 0.03 * np.random.default_rng(seed).standard_normal(64)
    x[64 - broken :] += shift
    return x


def test_two_runs_of_64_with_half_of_the_norm_is_inconclusive_and_named() -> None:
    decision = MEAN.decide(runs(0, 2, 0.25))
    assert abs(decision.estimate) < 0.06
    assert decision.verdict == "inconclusive"
    assert "2 of 64 runs are unlike the others" in decision.notes[0]
    assert "62, 63" in decision.notes[0]


@pytest.mark.parametrize("broken", [1, 3, 6, 9])
def test_outliers_do_not_hide_one_another(broken: int) -> None:
    low, high = np.array([-0.12]), np.array([0.12])
    assert unlike(runs(1, broken, 0.3)[:, None], low, high).tolist() == list(range(64 - broken, 64))


def test_a_point_of_a_curve_is_enough() -> None:
    curves = np.stack([runs(2, 0, 0.0), runs(3, 2, -0.45)], axis=1)
    design = CurveEquivalence(
        estimand="x",
        points=2,
        margin=(-0.06, 0.06),
        margin_reason="stated",
        looks=(64,),
        false_fail=1e-5,
        sd=0.03,
    )
    assert design.decide(curves[:, [0, 0]] * np.array([1.0, 0.9])).verdict == "holds"
    assert design.decide(curves).verdict == "inconclusive"


def test_scatter_alone_and_small_differences_do_not_count() -> None:
    low, high = np.array([-0.12]), np.array([0.12])
    wide = 0.2 * np.random.default_rng(4).standard_normal((64, 1))
    assert not unlike(wide, low, high).size
    assert not unlike(runs(5, 3, 0.09)[:, None] / 3.0, low, high).size


def test_normal_runs_hardly_ever_count() -> None:
    rng = np.random.default_rng(6)
    tight = np.array([-1e-9]), np.array([1e-9])
    counted = sum(bool(unlike(rng.standard_normal((64, 1)), *tight).size) for _ in range(4000))
    assert counted <= 2  # the level is 1e-5 each


def test_plain_runs_hold() -> None:
    assert MEAN.decide(runs(7, 0, 0.0)).verdict == "holds"
