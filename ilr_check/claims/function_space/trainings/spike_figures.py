"""The figures of late times of full-batch descent: the path of Phi, and the time between loss spikes."""

from __future__ import annotations

import math

import numpy as np

from ilr_check.claims.figures import interval, line, points
from ilr_check.claims.function_space.trainings.loss_spikes import LateDescent, SpikeCell, SpikeRuns
from ilr_check.evidence import Figure
from ilr_check.theory.descent import free_growth


def path_figure(descent: LateDescent, runs: SpikeRuns, name: str) -> Figure:
    """Draw one run each at the largest and the smallest lambda_e."""
    series = []
    levels = tuple(dict.fromkeys((descent.levels[0], descent.levels[-1])))
    for level, role in zip(levels, ("measured", "control"), strict=False):
        path = runs.path(SpikeCell(intrinsic_lr=level), 0)
        t = np.arange(len(path)) * level
        series.append(line(f"one run, lambda_e = {level:g}", role, t, np.exp(path - path[0])))
    t = np.linspace(0.0, 2.0, 50)
    free = np.exp(t * float(free_growth(levels[0])) / levels[0])
    return Figure(
        name=name,
        title=descent.title,
        x_label="steps x lambda_e",
        y_label="Phi over that at the start of the window",
        y_log=True,
        series=(*series, line("free decay", "predicted", t, free)),
        caption=(
            "The effective LR of two runs at late times, in units of 1/lambda_e. Where the net can fit its "
            "data it climbs as fast as decay alone would make it, with the slope of the line, and falls in "
            "loss spikes. Where the net cannot fit them, gradient and decay balance and the run stays at "
            "the edge of stability."
        ),
    )


def period_figure(descent: LateDescent, runs: SpikeRuns, n: int, name: str) -> Figure:
    """Draw the time between loss spikes by lambda_e, and that under noise."""
    inverse = 1.0 / np.array(descent.levels)
    logs = np.stack([np.log(runs.gaps(SpikeCell(intrinsic_lr=level), n)) for level in descent.levels])
    middle, half = logs.mean(axis=1), 4.0 * logs.std(axis=1, ddof=1) / math.sqrt(n)
    reach = inverse / math.exp(np.log(inverse).mean())
    centre = math.exp(middle.mean())
    lines = (("theory: 1/lambda_e", "predicted", 1.0), ("slope 1/2", "rival", 0.5), ("slope 2", "rival", 2.0))
    noisy = {
        noise: runs.gaps(SpikeCell(intrinsic_lr=descent.noise_level, noise=noise), n)
        for noise in descent.noises
    }
    return Figure(
        name=name,
        title=f"{descent.title}: time between loss spikes",
        x_label="1 / lambda_e",
        y_label="steps from one loss spike to the next",
        x_log=True,
        y_log=True,
        series=(
            *(line(words, role, inverse, centre * reach**slope) for words, role, slope in lines),
            interval(
                "mean of the runs (4 standard errors)",
                inverse,
                np.exp(middle),
                np.exp(middle - half),
                np.exp(middle + half),
            ),
            *(
                points(
                    f"under noise of {noise:g}",
                    "control",
                    [1.0 / descent.noise_level],
                    np.exp([np.log(gaps).mean()]),
                )
                for noise, gaps in noisy.items()
            ),
        ),
        caption=(
            "Proportional to 1/lambda_e means slope 1. Noise a hundred times stronger hardly moves the "
            "points: the time between spikes depends on how far Phi falls, not on where the unstable mode "
            "starts."
        ),
    )
