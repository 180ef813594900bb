"""Data whose truth is known: normal, skewed, heavy-tailed or contaminated runs, and simulations.

A simulation is run once into a bank of a million runs, and a replicate draws its runs from the bank. The
truth is then the mean of the bank, which is known exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

from ilr_check.stats.intervals import Array

Draw = Callable[[np.random.Generator, tuple[int, ...]], Array]
BANK = 1 << 20


def normal(generator: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Return standard normal runs."""
    return generator.standard_normal(shape)


def gamma(order: float) -> Draw:
    """Return runs of skewness 2/sqrt(order), centred at their mean, with standard deviation 1."""
    return lambda generator, shape: (generator.standard_gamma(order, shape) - order) / order**0.5


def lognormal(sigma: float) -> Draw:
    """Return lognormal runs, centred at their mean, with standard deviation 1."""
    mean = np.exp(sigma**2 / 2)
    sd = mean * np.sqrt(np.expm1(sigma**2))
    return lambda generator, shape: (generator.lognormal(0.0, sigma, shape) - mean) / sd


def student(degrees_of_freedom: float) -> Draw:
    """Return runs with Student's heavy tails."""
    return lambda generator, shape: generator.standard_t(degrees_of_freedom, shape)


def contaminated(share: float, factor: float) -> Draw:
    """Return normal runs where a fraction ``share`` has ``factor`` times the standard deviation."""

    def draw(generator: np.random.Generator, shape: tuple[int, ...]) -> Array:
        runs = generator.standard_normal(shape)
        return np.where(generator.random(shape) < share, factor * runs, runs)

    return draw


def stray(share: float, distance: float, *, centred_at: str) -> Draw:
    """Return normal runs where a fraction ``share`` is shifted by ``distance``, centred at mean or median."""
    from scipy.special import ndtri

    # The shifted runs lie beyond the median, which is that of the others at level 1/2 / (1 - share).
    centre = share * distance if centred_at == "mean" else float(ndtri(0.5 / (1 - share)))

    def draw(generator: np.random.Generator, shape: tuple[int, ...]) -> Array:
        runs = generator.standard_normal(shape)
        return np.where(generator.random(shape) < share, runs + distance, runs) - centre

    return draw


def autoregressive(generator: np.random.Generator, runs: int, steps: int, persistence: float) -> Array:
    """Return stationary AR(1) series [runs, steps] of unit variance."""
    noise = generator.standard_normal((runs, steps))
    series = np.empty_like(noise)
    series[:, 0] = noise[:, 0]
    scale = np.sqrt(1 - persistence**2)
    for t in range(1, steps):
        series[:, t] = persistence * series[:, t - 1] + scale * noise[:, t]
    return series


@cache
def bank(name: str) -> Array:
    """Return a bank of runs, centred at its own mean and scaled to its own standard deviation."""
    generator = np.random.default_rng([7, *name.encode()])
    if name == "time averages of AR(1)":
        runs = np.concatenate(
            [autoregressive(generator, BANK // 16, 50, 0.9).mean(axis=1) for _ in range(16)]
        )
    elif name == "log-norm under isotropic noise on the sphere":
        runs = _log_gamma(generator, BANK)
    else:
        raise ValueError(f"no bank is called {name!r}")
    return np.asarray((runs - runs.mean()) / runs.std())


def from_bank(name: str) -> Draw:
    """Return runs drawn from a bank."""
    return lambda generator, shape: bank(name)[generator.integers(BANK, size=shape)]


def _log_gamma(generator: np.random.Generator, runs: int, *, steps: int = 40, dimensions: int = 6) -> Array:
    """Return log gamma after steps of gamma' = a^4 gamma + 2 a^2 G2 + G2^2/gamma.

    G2 is the squared length of isotropic Gaussian noise tangent to the sphere: chi squared with one degree of
    freedom less than dimensions. a^2 = 1 - 0.2 takes the runs from far from equilibrium to near it. They are
    skewed and not normal.
    """
    a2 = 0.8
    gamma = np.ones(runs)
    for _ in range(steps):
        g2 = generator.chisquare(dimensions - 1, runs)
        gamma = a2 * a2 * gamma + 2 * a2 * g2 + g2 * g2 / gamma
    return np.asarray(np.log(gamma))


@cache
def curve_bank(points: int) -> Array:
    """Return a bank [runs, points] of log-gamma paths, each point centred at its mean over the bank.

    It is the same recursion, started from runs that already differ, with the noise that one of its runs
    makes. Neighbouring points are highly correlated, and their spread changes along the path.
    """
    generator = np.random.default_rng([11, points])
    runs, a2 = BANK // 4, 0.9
    gamma = generator.lognormal(2.0, 0.1, runs)
    path = np.empty((runs, points))
    for k in range(points):
        for _ in range(4):
            g2 = generator.chisquare(7, runs) / 7
            gamma = a2 * a2 * gamma + 2 * a2 * g2 + g2 * g2 / gamma
        path[:, k] = np.log(gamma)
    return np.asarray((path - path.mean(axis=0)) / path.std(axis=0))


def groups(draws: Sequence[tuple[Draw, float]], size: int) -> Callable[[np.random.Generator, int], list[Any]]:
    """Return a function that draws one group [replicates, size] per (law, standard deviation)."""

    def draw(generator: np.random.Generator, replicates: int) -> list[Any]:
        return [sd * law(generator, (replicates, size)) for law, sd in draws]

    return draw
