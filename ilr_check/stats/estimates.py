"""Numbers that are reported and not judged: a contrast of means with its interval, and the groups that may be
the lowest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ilr_check.stats.intervals import Array, Bools
from ilr_check.stats.robust import summarise


class Estimate(NamedTuple):
    """A number, and an interval that misses the truth at most at the requested rate."""

    value: float
    low: float
    high: float


def estimate(groups: Sequence[Array], weights: npt.ArrayLike, *, rate: float) -> Estimate:
    """Return sum_k weights_k mean_k of independent groups [n_k], with its two-sided interval of error
    ``rate``."""
    summary = summarise(groups, weights)
    low, high = summary.interval(rate / 2)
    return Estimate(*(float(part[..., 0]) for part in (summary.plain.estimate, low, high)))


def may_be_lowest(groups: Sequence[Array], *, rate: float) -> Bools:
    """Return for each of independent groups [..., n_k] whether its mean may be the lowest, [..., n_groups].

    A group is ruled out if it is above another group with confidence. Each of the other groups is tested at
    ``rate`` over their number. So the truly lowest group is ruled out at most at ``rate`` (Hsu 1981, Ann.
    Statist. 9, 1026, with Bonferroni instead of a common variance). Raises ``ValueError`` for fewer than 2
    groups.
    """
    count = len(groups)
    if count < 2:
        raise ValueError(f"the lowest of {count} groups is asked for; give at least 2 groups")
    others = np.eye(count)
    gaps = np.stack([others[i] - others[k] for i in range(count) for k in range(count) if i != k])
    low, _ = summarise(groups, gaps).interval(rate / (count - 1))
    higher = (low > 0).reshape(*low.shape[:-1], count, count - 1)
    return np.asarray(~higher.any(axis=-1))
