"""Norms and gradients of hidden matrices along trainings whose lr or weight decay changes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ilr_check.claims.lab import Population
from ilr_check.claims.language_models.trainings.hidden import of_kind
from ilr_check.evidence import Margin
from ilr_check.evidence.records import Premise
from ilr_check.train.trace import Trace

Array = NDArray[np.float64]

STILL = 0.1
"""How far log of the mean norm may move while it counts as standing still, as in lm-equilibrium."""
ALONG = 0.01
"""The share of a gradient along the weights up to which a matrix counts as scale-invariant. In OLMo-2 the eps
of the norms makes it 5e-6, and the gate, which is not invariant, has up to 0.05."""


class Logs(NamedTuple):
    """log of the norm of the weights and of the gradient, each [measured steps, matrices, n]."""

    norm: Array
    gradient: Array


def logs(population: Population, names: Sequence[str], n: int) -> Logs:
    """Return logs of the norms and the gradients of matrices at the measured steps."""

    def read(trace: Trace) -> Array:
        squares = np.stack([of_kind(trace, names, field) for field in ("norm2", "grad2")])
        return np.asarray(0.5 * np.moveaxis(np.log(squares), 2, -1))

    return Logs(*population.gather(n, read))


def norms_from_noise(others: Logs, lr: Array, weight_decay: Array) -> Array:
    """Return log of the norms to which the noise of other runs leads with SGD, like ``others.norm``.

    The noise G, gradient times norm, is that of the last measured step. r'^4 = a^4 r^4 + 2 a^2 lr^2 G^2, from
    the norms of the other runs at step 0 on. r^4 is linear in G^2, and its log is linearised at the mean over
    the runs, so that each of them counts alike.
    """
    noise2 = np.exp(2.0 * (others.norm + others.gradient))
    fourth = np.exp(4.0 * others.norm[0])
    rows = np.empty_like(noise2)
    stride = len(lr) // len(noise2)
    for t, (step, a) in enumerate(zip(lr, 1.0 - lr * weight_decay, strict=True)):
        if t % stride == 0:
            rows[t // stride] = fourth
        fourth = a**4 * fourth + 2.0 * (a * step) ** 2 * noise2[t // stride]
    mean = rows.mean(axis=-1, keepdims=True)
    return np.asarray(0.25 * (np.log(mean) + rows / mean - 1.0))


def stands_still(log_norm: Array, when: str) -> Premise:
    """Return the premise that the mean norm of [measured steps, matrices, n] does not move."""
    means = log_norm.mean(axis=(1, 2))
    drift = float(means[-1] - means[0])
    return Premise.within(f"change of log norm {when}, mean over the matrices", drift, STILL)


def orthogonal(populations: Iterable[Population], names: tuple[str, ...], n: int) -> Premise:
    """Return the premise that gradients are orthogonal to the weights, as those of invariant matrices are."""

    def along(trace: Trace) -> Array:
        radial, norm2, grad2 = (of_kind(trace, names, field) for field in ("radial", "norm2", "grad2"))
        return np.asarray((np.abs(radial) / np.sqrt(norm2 * grad2)).mean(axis=0).T)

    share = max(float(found.gather(n, along).mean(axis=1).max()) for found in populations)
    return Premise(
        name="share of the gradient along the weights, mean over the steps, worst matrix",
        measured=share,
        margin=Margin(low=0.0, high=ALONG),
        met=share <= ALONG,
    )
