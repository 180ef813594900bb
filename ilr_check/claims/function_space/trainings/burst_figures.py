"""Figures of the late times of full-batch descent: the path of Phi, and the time between bursts."""

from __future__ import annotations

import math

import numpy as np

from ilr_check.claims.function_space.trainings.bursts import Bursting, BurstRuns, Cell
from ilr_check.evidence import Figure, Series
from ilr_check.theory.descent import free_growth


def path_figure(bursting: Bursting, runs: BurstRuns, name: str) -> Figure:
    series = []
    levels = tuple(dict.fromkeys((bursting.levels[0], bursting.levels[-1])))
    for level, role in zip(levels, ("measured", "control"), strict=False):
        path = runs.path(Cell(intrinsic_lr=level), 0)
        t = np.arange(len(path)) * level
        y = np.exp(path - path[0])
        series.append(Series(name=f"one run, lambda_e = {level:g}", kind="line", role=role, x=t, y=y))  # type: ignore[arg-type]
    t = np.linspace(0.0, 2.0, 50)
    free = np.exp(t * float(free_growth(levels[0])) / levels[0])
    series.append(Series(name="free decay", kind="line", role="predicted", x=t, y=free))
    return Figure(
        name=name,
        title=bursting.title,
        x_label="steps x lambda_e",
        y_label="Phi over that at the window's start",
        y_log=True,
        series=tuple(series),
        caption=(
            "Effective LR of two runs at late times, in the time of lambda_e. Where the net fits its data it "
            "climbs as fast as decay alone would make it, with the slope of the line, and falls in bursts; "
            "where it can not, gradient and decay balance and the run stays at the edge."
        ),
    )


def period_figure(bursting: Bursting, runs: BurstRuns, n: int, name: str) -> Figure:
    inverse = 1.0 / np.array(bursting.levels)
    logs = np.stack([np.log(runs.gaps(Cell(intrinsic_lr=level), n)) for level in bursting.levels])
    middle, half = logs.mean(axis=1), 4.0 * logs.std(axis=1, ddof=1) / math.sqrt(n)
    reach = inverse / math.exp(np.log(inverse).mean())
    centre = math.exp(middle.mean())
    lines = (("theory: 1/lambda_e", "predicted", 1.0), ("slope 1/2", "rival", 0.5), ("slope 2", "rival", 2.0))
    series = [
        Series(name=words, kind="line", role=role, x=inverse, y=centre * reach**slope)  # type: ignore[arg-type]
        for words, role, slope in lines
    ]
    series.append(
        Series(
            name="mean of the runs (4 standard errors)",
            kind="interval",
            role="measured",
            x=inverse,
            y=np.exp(middle),
            low=np.exp(middle - half),
            high=np.exp(middle + half),
        )
    )
    for noise in bursting.noises:
        gaps = runs.gaps(Cell(intrinsic_lr=bursting.noise_level, noise=noise), n)
        x, y = np.array([1.0 / bursting.noise_level]), np.exp([np.log(gaps).mean()])
        series.append(Series(name=f"under noise of {noise:g}", kind="points", role="control", x=x, y=y))
    return Figure(
        name=name,
        title=f"{bursting.title}: time between bursts",
        x_label="1 / lambda_e",
        y_label="steps from one burst to the next",
        x_log=True,
        y_log=True,
        series=tuple(series),
        caption=(
            "Proportional to 1/lambda_e means slope 1. Noise a hundred times stronger hardly moves the "
            "points: what a burst costs is how far Phi falls, not what the unstable mode starts from."
        ),
    )
