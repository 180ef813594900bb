"""Predictions of the scalar recursion of the norm under noise of a given tail index; nothing is measured."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ilr_check.claims.mean_field.trainings.tailed import Tailed
from ilr_check.data import HeavyTailedNoise
from ilr_check.seeds import derive
from ilr_check.theory.heavy_tails import linear_gamma_path
from ilr_check.theory.relaxation import gamma_path

Array = NDArray[np.float64]
Law = Literal["exact", "linear"]

PATHS = 2048
"""The number of paths that a prediction averages over. Their error is a sixth of that of 64 runs."""


@dataclass(frozen=True)
class Predicted:
    """The predictions of the scalar recursion for each stage, [stages, paths].

    ``effective_lr`` and ``rotation`` are the quantities that ``TailedRuns`` measures on the runs; ``square``
    is the mean of the squared effective LR over the window.
    """

    effective_lr: Array
    rotation: Array
    square: Array

    @property
    def means(self) -> Array:
        """The expected mean effective LR of the stages."""
        return np.asarray(self.effective_lr.mean(axis=1))


@lru_cache(maxsize=16)
def predicted(tailed: Tailed, law: Law = "exact", own: float = 0.0) -> Predicted:
    """Return the recursion of gamma = r^4 / lr^2, driven by squared gradient lengths that numpy draws.

    Nothing of the runs enters. ``own`` adds a constant to the squared length, in units of ``size`` squared,
    for the net's own gradient. The draws depend on the stage only, so that two laws have the same draws.
    """
    path = gamma_path if law == "exact" else linear_gamma_path
    stages = [_Stage(tailed, i) for i in range(len(tailed.intrinsic_lrs))]
    found: list[tuple[Array, Array, Array]] = []
    end = np.empty(PATHS)
    for stage, at in enumerate(stages):
        dropped = stage == len(tailed.decays)
        start = end * tailed.factor**2 if dropped else (tailed.initial_norm(stage) ** 2 / tailed.lr) ** 2
        squares = tailed.noise.size**2 * (_squared_lengths(tailed.noise, stage, at.steps) + own)
        gammas = path(start, squares, (1.0 - at.intrinsic_lr) ** 2)
        end = gammas[-1] if stage == 0 else end
        found.append(at.read(gammas))
    return Predicted(*(np.stack(parts) for parts in zip(*found, strict=True)))


def median_squared_length(noise: HeavyTailedNoise) -> float:
    """Return the median of the squared gradient of one step at unit norm."""
    return float(noise.size**2 * np.median(_squared_lengths(noise, 0, 100)))


class _Stage:
    def __init__(self, tailed: Tailed, stage: int) -> None:
        self.intrinsic_lr = tailed.intrinsic_lrs[stage]
        self.steps, self._burn = tailed.steps(stage), tailed.burn_steps(stage)

    def read(self, gammas: Array) -> tuple[Array, Array, Array]:
        """Return the means over the window; log cos = log a + log(r / r'), whose sum telescopes."""
        window = gammas[self._burn :]
        growth = 0.25 * (np.log(window[-1]) - np.log(window[0])) / (len(window) - 1)
        rotation = 1.0 - growth / math.log1p(-self.intrinsic_lr)
        return (window**-0.5).mean(axis=0), np.asarray(rotation), (1.0 / window).mean(axis=0)


def _squared_lengths(noise: HeavyTailedNoise, stage: int, steps: int) -> Array:
    rng = np.random.default_rng(derive("heavy-tails", "recursion", stage))
    if noise.shape == "pareto":
        return np.asarray((1.0 + rng.pareto(noise.tail, (steps, PATHS))) ** 2)
    return np.asarray(rng.standard_t(noise.tail, (steps, PATHS)) ** 2)
