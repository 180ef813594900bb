"""Reported intervals hold as often as they promise, and the lowest mean is seldom ruled out."""

import numpy as np
import pytest
from scipy import stats

from ilr_check.stats import estimate, may_be_lowest

MEANS = np.array([0.3, 0.1, 0.0, 0.02, 0.6])
SPREADS = np.array([0.2, 0.5, 0.3, 0.1, 1.0])


def samples(runs: int, replicates: int | None = None, seed: int = 0) -> list[np.ndarray]:
    shape = (runs,) if replicates is None else (replicates, runs)
    rng = np.random.default_rng(seed)
    return [rng.normal(mean, spread, shape) for mean, spread in zip(MEANS, SPREADS, strict=True)]


def test_a_contrast_is_that_of_the_means_with_welchs_interval_in_it() -> None:
    first, second = samples(40)[:2]
    found = estimate([first, second], [1.0, -1.0], rate=0.01)
    assert found.value == pytest.approx(first.mean() - second.mean(), rel=1e-12)
    welch = stats.ttest_ind(first, second, equal_var=False).confidence_interval(0.99)
    assert found.low <= welch.low + 1e-12
    assert found.high >= welch.high - 1e-12
    assert found.high - found.low < 1.5 * (welch.high - welch.low)


@pytest.mark.parametrize("rate", [0.05, 0.01])
def test_the_lowest_is_seldom_ruled_out(rate: float) -> None:
    replicates = 4000
    kept = may_be_lowest(samples(40, replicates), rate=rate)
    assert kept.shape == (replicates, len(MEANS))
    ruled_out = int((~kept[:, MEANS.argmin()]).sum())
    # The promise is refuted where so many would be seen less than once in a million times.
    assert stats.binom.sf(ruled_out - 1, replicates, rate) > 1e-6


def test_what_is_clearly_higher_is_ruled_out_and_what_is_close_is_not() -> None:
    kept = may_be_lowest(samples(400), rate=0.01)
    assert kept.tolist() == [False, True, True, True, False] or kept.tolist() == [
        False,
        False,
        True,
        True,
        False,
    ]


def test_the_lowest_observed_is_always_kept() -> None:
    kept = may_be_lowest(samples(32, 500, seed=3), rate=0.05)
    lowest = np.stack([part.mean(axis=-1) for part in samples(32, 500, seed=3)], axis=-1).argmin(axis=-1)
    assert kept[np.arange(500), lowest].all()


def test_one_group_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        may_be_lowest(samples(40)[:1], rate=0.01)
