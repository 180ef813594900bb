"""Detects runs that are not normal, reports it, and uses an interval that stays valid.

The data of each judgement decide between three cases, and the calibration measures them as one rule:

- ``NORMAL``: skewness and kurtosis are those of a normal sample. The interval is the union of Student's and
  Hall's.
- ``OUTLIERS``: at most one run in twenty lies more than 5 robust standard deviations away, and the others
  look normal. ``violated`` is then decided by the others: the 10 % trimmed mean, united with the sign-test
  interval of the median if there is a single sample. ``holds`` must be true of all runs as well.
- ``HEAVY``: skewed or heavy-tailed throughout. The interval must hold for the mean (with twice the allowance
  for misjudged skewness), the trimmed mean and the median at once: the union of all of these.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ilr_check.stats.intervals import (
    Array,
    Bools,
    Contrast,
    contrast,
    hall,
    moments,
    student,
    trimmed_moments,
    union,
)

NORMAL, OUTLIERS, HEAVY = 0, 1, 2

NOTES = {
    NORMAL: "",
    OUTLIERS: "a few runs lie far from the others: holds must be true with them and without them "
    "(10 % trimmed mean)",
    HEAVY: "the runs are not normal (skewed or heavy-tailed), so the interval covers the mean, the "
    "trimmed mean and the median",
}

SUSPICION = 3.0
"""From this normal score of skewness or excess kurtosis on, a sample is not treated as normal. A normal
sample reaches it about once in 200."""
ACQUITTAL = 2.0
"""Below this normal score, the runs without their outliers count as normal."""
FAR_OUT = 5.0
FEW = 1.0 / 20.0


def normal_scores(second: Array, third: Array, fourth: Array, n: npt.ArrayLike) -> tuple[Array, Array]:
    """Return the normal scores of skewness and kurtosis from central moments.

    The formulas are those of D'Agostino 1970 and of Anscombe and Glynn 1983, which ``scipy.stats.skewtest``
    and ``kurtosistest`` use (checked against them). Here samples may differ in size along leading axes.
    """
    n = np.asarray(n, float)
    with np.errstate(divide="ignore", invalid="ignore"):
        skewness = third / second**1.5
        kurtosis = fourth / second**2
    y = skewness * np.sqrt((n + 1) * (n + 3) / (6 * (n - 2)))
    beta = 3 * (n * n + 27 * n - 70) * (n + 1) * (n + 3) / ((n - 2) * (n + 5) * (n + 7) * (n + 9))
    w2 = np.sqrt(2 * (beta - 1)) - 1
    z_skewness = np.arcsinh(y / np.sqrt(2 / (w2 - 1))) / np.sqrt(0.5 * np.log(w2))
    expected = 3 * (n - 1) / (n + 1)
    variance = 24 * n * (n - 2) * (n - 3) / ((n + 1) ** 2 * (n + 3) * (n + 5))
    x = (kurtosis - expected) / np.sqrt(variance)
    root = (
        6
        * (n * n - 5 * n + 2)
        / ((n + 7) * (n + 9))
        * np.sqrt(6 * (n + 3) * (n + 5) / (n * (n - 2) * (n - 3)))
    )
    a = 6 + 8 / root * (2 / root + np.sqrt(1 + 4 / root**2))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.cbrt((1 - 2 / a) / (1 + x * np.sqrt(2 / (a - 4))))
    z_kurtosis = (1 - 2 / (9 * a) - ratio) / np.sqrt(2 / (9 * a))
    return np.nan_to_num(z_skewness), np.nan_to_num(z_kurtosis)


def _scores(x: Array, keep: Bools | None = None) -> tuple[Array, Array]:
    """Return the normal scores of samples [..., n], or of the kept runs only if ``keep`` is given."""
    weight = np.ones(x.shape[-1]) if keep is None else keep.astype(float)
    n = weight.sum(axis=-1)
    centred = x - ((x * weight).sum(axis=-1) / n)[..., None]
    square = centred * centred
    weighted = square * weight
    return normal_scores(
        weighted.sum(axis=-1) / n,
        (weighted * centred).sum(axis=-1) / n,
        (weighted * square).sum(axis=-1) / n,
        n,
    )


def caution(x: Array) -> npt.NDArray[np.int_]:
    """Return which of the three cases each sample [..., n] belongs to."""
    z_skewness, z_kurtosis = _scores(x)
    suspect = (np.abs(z_skewness) > SUSPICION) | (z_kurtosis > SUSPICION)
    result = np.where(suspect, HEAVY, NORMAL)
    if suspect.any():
        sample = x[suspect]
        from_median = np.abs(sample - np.median(sample, axis=-1, keepdims=True))
        far = from_median > FAR_OUT * 1.4826 * np.median(from_median, axis=-1, keepdims=True)
        count = far.sum(axis=-1)
        few = (count > 0) & (count <= FEW * x.shape[-1])
        z_skewness, z_kurtosis = _scores(sample, ~far)
        acquitted = few & (np.abs(z_skewness) < ACQUITTAL) & (np.abs(z_kurtosis) < ACQUITTAL)
        result[suspect] = np.where(acquitted, OUTLIERS, HEAVY)
    return result


def far_runs(data: Array | Sequence[Array]) -> str:
    """Return words that name the runs, counted from 0, that lie far from the others in some column.

    Data are runs first, [n] or [n, points], or a tuple of such groups.
    """
    groups = [data] if isinstance(data, np.ndarray) else list(data)
    named = []
    for group in groups:
        rows = np.asarray(group, float).reshape(len(group), -1)
        apart = np.abs(rows - np.median(rows, axis=0))
        far = (apart > FAR_OUT * 1.4826 * np.median(apart, axis=0)).any(axis=1)
        named.append(", ".join(map(str, np.flatnonzero(far))) or "none")
    return f"; far runs: {' / '.join(named)}"


def sign_interval(x: Array, tail: npt.ArrayLike) -> tuple[Array, Array]:
    """Return the exact interval of the median, from order statistics of samples [..., n].

    k is the largest with P(Binomial(n, 1/2) < k) <= tail; the ends are the k-th smallest and the k-th largest
    run. They are infinite if there is no k.
    """
    from scipy.special import bdtr

    n = x.shape[-1]
    cumulative = bdtr(np.arange(n // 2 + 1, dtype=float), n, 0.5)
    k = np.broadcast_to(np.searchsorted(cumulative, np.asarray(tail, float), side="right"), x.shape[:-1])
    ordered = np.sort(x, axis=-1)
    at = np.clip(k - 1, 0, n - 1)[..., None]
    low = np.take_along_axis(ordered, at, axis=-1)[..., 0]
    high = np.take_along_axis(ordered, n - 1 - at, axis=-1)[..., 0]
    return np.where(k > 0, low, -np.inf), np.where(k > 0, high, np.inf)


class Summary(NamedTuple):
    """Contrasts [..., n_contrasts] of independent groups, with everything that a judgement at any rate
    needs."""

    plain: Contrast
    caution: npt.NDArray[np.int_]
    trimmed: Contrast
    runs: Array | None

    def interval(self, tail: npt.ArrayLike, *, of_all_runs: bool = False) -> tuple[Array, Array]:
        """Return the interval with ``tail`` on either side, for the case that each replicate belongs to.

        ``of_all_runs`` unites it with the interval of the mean of all runs, outliers included. That is the
        one to decide ``holds`` with: outliers can then cost a ``holds`` and never bring one about.
        """
        tails = np.broadcast_to(np.asarray(tail, float), self.plain.estimate.shape)
        low, high = union(student(self.plain, tail), hall(self.plain, tail))
        marked = self.caution > NORMAL
        if not marked.any():
            return low, high
        honest = student(self.trimmed, tails[marked])
        if self.runs is not None:
            ends = sign_interval(self.runs, tails[marked][..., 0])
            honest = union(honest, (ends[0][..., None], ends[1][..., None]))
        plain = Contrast(*(part[marked] for part in self.plain))
        wide = union(honest, (low[marked], high[marked]), hall(plain, tails[marked], doubts=3.0))
        outliers = (self.caution[marked] == OUTLIERS)[..., None]
        apart = union(honest, (low[marked], high[marked])) if of_all_runs else honest
        low[marked] = np.where(outliers, apart[0], wide[0])
        high[marked] = np.where(outliers, apart[1], wide[1])
        return low, high


def summarise(groups: Sequence[Array], weights: npt.ArrayLike) -> Summary:
    """Summarise groups [..., n_k] for the contrasts ``weights`` [n_contrasts, n_groups]."""
    w = np.atleast_2d(np.asarray(weights, float))
    case = np.asarray(np.max([caution(x) for x in groups], axis=0))
    marked = case > NORMAL
    suspects = [x[marked] for x in groups]
    return Summary(
        plain=contrast(moments(groups), w),
        caution=case,
        trimmed=contrast(trimmed_moments(suspects), w),
        runs=suspects[0] if len(groups) == 1 else None,
    )
