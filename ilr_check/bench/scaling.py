"""How the cost of a run-step grows with runs, width, depth, batch and steps, as fitted exponents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ilr_check.bench.measure import Point, Progress, open_cells, take_samples
from ilr_check.bench.results import Absent, Fit, PathName
from ilr_check.bench.workloads import REFERENCE_WORKLOAD, Workload, mlp

RUNS, STEPS = 64, 256


@dataclass(frozen=True)
class Axis:
    """The quantity that varies while everything else is as in the reference workload."""

    name: str
    values: tuple[int, ...]
    workload: Callable[[int], Workload] = lambda value: REFERENCE_WORKLOAD
    runs: Callable[[int], int] = lambda value: RUNS
    whole: bool = False
    """Whether whole trainings with their set-up are timed, instead of steps in the middle of one."""


AXES = (
    Axis("runs", (1, 4, 16, 64, 256, 1024), runs=lambda value: value),
    Axis("width", (16, 32, 64, 128, 256), workload=lambda value: mlp(width=value)),
    Axis("depth", (1, 2, 4, 8, 16), workload=lambda value: mlp(depth=value)),
    Axis("batch", (8, 16, 32, 64, 128, 256), workload=lambda value: mlp(batch_size=value)),
    Axis("steps", (32, 128, 512, 2048), whole=True),
)


def exponent(values: Sequence[float], costs: Sequence[float]) -> tuple[float, float, float]:
    """Fit cost = c * value^p. Return p and its 95 % interval.

    The fit is least squares of logarithms, with Student's t on len - 2 degrees of freedom. The interval
    reflects both the distance of the points from a power law and their noise. Raises ``ValueError`` for fewer
    than three points.
    """
    from scipy import stats

    if len(values) < 3:
        raise ValueError(f"{len(values)} points are given; a fit with an interval needs at least 3")
    x, y = np.log(np.asarray(values, float)), np.log(np.asarray(costs, float))
    x, y = x - x.mean(), y - y.mean()
    slope = float(x @ y / (x @ x))
    rest = y - slope * x
    # scipy's linregress is not used, because its standard error of a constant cost is 0/0.
    error = float(np.sqrt(rest @ rest / (len(x) - 2) / (x @ x)))
    half = float(stats.t.ppf(0.975, len(x) - 2)) * error
    return slope, slope - half, slope + half


def measure_scaling(
    path: PathName, *, threads: int, device: str, rounds: int, seconds: float, progress: Progress
) -> tuple[list[Fit], list[Absent]]:
    """Return one fit per axis. The points of an axis are sampled in turn, like the paths of a workload."""
    fits: list[Fit] = []
    absent: list[Absent] = []
    for axis in AXES:
        # One process serves all numbers of runs or steps, which share a net. Every other net has a process of
        # its own.
        workloads = list(dict.fromkeys(axis.workload(value) for value in axis.values))
        with open_cells([(w, path) for w in workloads], threads, device, absent, progress) as cells:
            if absent:
                break
            by_workload = {cell.workload: cell for cell in cells}
            points = [
                Point(
                    by_workload[axis.workload(value)],
                    axis.runs(value),
                    value if axis.whole else STEPS,
                    axis.whole,
                )
                for value in axis.values
            ]
            take_samples(points, seconds=seconds, rounds=rounds, progress=progress)
            costs = [point.row().us_per_run_step for point in points]
        p, low, high = exponent(axis.values, costs)
        fits.append(
            Fit(
                path=path,
                axis=axis.name,
                values=axis.values,
                us_per_run_step=tuple(costs),
                exponent=p,
                low=low,
                high=high,
            )
        )
    return fits, absent
