"""The intervals, against statsmodels, scipy and closed forms."""

import numpy as np
import pytest
import scipy.stats

from ilr_check.stats import intervals, robust
from ilr_check.stats.curve import path_length, simultaneous_tail

TAILS = [0.025, 1e-3, 5e-6]


def runs(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(1.0, 2.0, shape)


@pytest.mark.parametrize("tail", TAILS)
@pytest.mark.parametrize("degrees_of_freedom", [3, 15, 31.7, 1000])
def test_student_quantile_is_that_of_scipy_stats_in_the_deep_tail(
    tail: float, degrees_of_freedom: float
) -> None:
    assert intervals.student_quantile(tail, degrees_of_freedom) == pytest.approx(
        scipy.stats.t.isf(tail, degrees_of_freedom), rel=1e-9
    )
    assert intervals.student_tail(8.0, degrees_of_freedom) == pytest.approx(
        scipy.stats.t.sf(8.0, degrees_of_freedom), rel=1e-9
    )


@pytest.mark.parametrize("tail", TAILS)
def test_one_sample_interval_is_that_of_statsmodels(tail: float) -> None:
    from statsmodels.stats.weightstats import DescrStatsW  # imports pandas: not at each collection

    x = runs(40)
    value = intervals.contrast(intervals.moments([x]), [1.0])
    assert intervals.student(value, tail) == pytest.approx(DescrStatsW(x).tconfint_mean(alpha=2 * tail))


@pytest.mark.parametrize("tail", TAILS)
def test_welch_interval_is_that_of_statsmodels(tail: float) -> None:
    from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

    a, b = runs(20), 5 * runs(33, seed=1)
    value = intervals.contrast(intervals.moments([a, b]), [1.0, -1.0])
    expected = CompareMeans(DescrStatsW(a), DescrStatsW(b)).tconfint_diff(alpha=2 * tail, usevar="unequal")
    assert intervals.student(value, tail) == pytest.approx(expected)


def test_third_cumulant_of_the_mean_is_k3_over_n_squared() -> None:
    x = runs(25)
    assert intervals.moments([x]).third[0] == pytest.approx(scipy.stats.kstat(x, 3) / 25**2)


def test_trimmed_mean_and_its_error_are_those_of_scipy() -> None:
    x = runs(40)
    moments = intervals.trimmed_moments([x])
    assert moments.centre[0] == pytest.approx(scipy.stats.trim_mean(x, 0.1))
    low, high = intervals.student(intervals.contrast(moments, [1.0]), 0.025)
    yuen = scipy.stats.ttest_ind(x, x, equal_var=False, trim=0.1)
    one_sided = yuen._standard_error / np.sqrt(2)  # of the difference of two like samples
    half = scipy.stats.t.isf(0.025, 40 - 8 - 1) * one_sided
    assert (low, high) == pytest.approx((moments.centre[0] - half, moments.centre[0] + half))


@pytest.mark.parametrize("skewness", [-0.5, -1e-8, 0.0, 0.1, 0.4])
@pytest.mark.parametrize("quantile", [-4.0, -1.0, 2.0, 5.0])
def test_hall_point_inverts_the_cubic(skewness: float, quantile: float) -> None:
    t = intervals.hall_point(np.array(quantile), np.array(skewness))
    back = t + skewness * t**2 / 3 + skewness**2 * t**3 / 27 + skewness / 6
    assert back == pytest.approx(quantile, abs=1e-6)


def test_hall_interval_leans_to_the_long_tail_and_is_bounded() -> None:
    x = np.random.default_rng(0).exponential(size=40)
    value = intervals.contrast(intervals.moments([x]), [1.0])
    low, high = intervals.hall(value, 1e-5)
    half = intervals.student_quantile(1e-5, 39) * value.error
    assert 1.5 * half < high - value.estimate < 1.75 * half
    assert value.estimate - low < half


@pytest.mark.parametrize("n", [20, 64, 300])
@pytest.mark.parametrize("law", ["normal", "exponential", "standard_cauchy"])
def test_normal_scores_are_those_of_scipy(n: int, law: str) -> None:
    x = getattr(np.random.default_rng(3), law)(size=n)
    centred = x - x.mean()
    scores = robust.normal_scores(*((centred**k).mean() for k in (2, 3, 4)), n)
    assert scores == pytest.approx(
        (scipy.stats.skewtest(x).statistic, scipy.stats.kurtosistest(x).statistic), rel=1e-9
    )


@pytest.mark.parametrize("tail", TAILS)
@pytest.mark.parametrize("n", [32, 65])
def test_sign_interval_is_that_of_scipy_quantile_test(tail: float, n: int) -> None:
    x = runs(n)
    test = scipy.stats.quantile_test(x, q=0.0, p=0.5)
    expected = test.confidence_interval(confidence_level=1 - 2 * tail)
    assert robust.sign_interval(x, tail) == pytest.approx((expected.low, expected.high))


def test_sign_interval_is_infinite_where_there_are_too_few_runs() -> None:
    assert robust.sign_interval(runs(10), 1e-5) == (-np.inf, np.inf)


def test_caution_tells_normal_runs_strays_and_heavy_tails_apart() -> None:
    x = runs(64)
    strays = x.copy()
    strays[:2] = 60.0, -80.0
    heavy = np.random.default_rng(1).lognormal(0, 1.5, 64)
    assert robust.caution(np.stack([x, strays, heavy])).tolist() == [
        robust.NORMAL,
        robust.OUTLIERS,
        robust.HEAVY,
    ]


def test_strays_do_not_move_the_interval_and_heavy_tails_widen_it() -> None:
    x = runs(64)
    strays = x.copy()
    strays[:2] = 60.0, -80.0
    clean = robust.summarise([x], [1.0]).interval(1e-3)
    trimmed = robust.summarise([strays], [1.0]).interval(1e-3)
    assert np.allclose(trimmed, clean, atol=0.4 * float(clean[1][0] - clean[0][0]))
    summary = robust.summarise([strays], [1.0])
    low, high = summary.interval(1e-3, of_all_runs=True)
    assert low < summary.plain.estimate < high
    assert low <= trimmed[0]
    assert high >= trimmed[1]
    heavy = np.random.default_rng(1).lognormal(0, 1.5, 64)
    summary = robust.summarise([heavy], [1.0])
    low, high = summary.interval(1e-3)
    student_low, student_high = intervals.student(summary.plain, 1e-3)
    assert low <= student_low
    assert high > student_high


def test_replicate_axes_give_what_single_samples_give() -> None:
    law = np.random.default_rng(5)
    x = np.concatenate(
        [law.normal(size=(6, 40)), law.standard_t(2, size=(6, 40)), law.lognormal(size=(6, 40))]
    )
    low, high = robust.summarise([x], [1.0]).interval(0.01)
    for k, sample in enumerate(x):
        alone = robust.summarise([sample], [1.0]).interval(0.01)
        assert (low[k, 0], high[k, 0]) == pytest.approx((alone[0][0], alone[1][0]))


def test_simultaneous_tail_goes_from_one_point_to_bonferroni() -> None:
    lengths = np.array([0.0, 0.5, 1e3])
    tails = simultaneous_tail(1e-3, 31, 20, lengths)
    assert tails[0] == pytest.approx(1e-3 / 2, rel=1e-3)
    assert tails[2] == pytest.approx(1e-3 / 40, rel=1e-3)
    c = intervals.student_quantile(tails[1], 31)
    bound = 2 * tails[1] + 0.5 / np.pi * (1 + c**2 / 31) ** -15
    assert bound == pytest.approx(1e-3, rel=1e-3)


def test_path_length_adds_angles_between_neighbours() -> None:
    x = runs(2, 500)
    curves = np.stack([x[0], x[0], -x[0], x[1]])
    correlation = abs(np.corrcoef(x[0], x[1])[0, 1])
    assert path_length(curves) == pytest.approx(np.arccos(correlation), abs=1e-6)
