"""The page with the maps of a sweep."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ilr_check.reporting.heat_map import Axis, HeatMap, page
from ilr_check.sweep.folder import Begun
from ilr_check.sweep.training import Point


def drawn(begun: Begun, points: Sequence[Point]) -> str:
    """Return the page. A run that diverged, or is not finished, is an empty cell."""
    spec = begun.spec
    lr, decay = spec.lr.values(), spec.weight_decay.values()

    def over(read: Callable[[Point], float]) -> NDArray[np.float64]:
        values = np.full(len(lr) * len(decay), np.nan)
        for point in points:
            if point.loss is not None:
                values[point.run] = read(point)
        return values.reshape(len(lr), len(decay))

    def mean(found: tuple[float, ...] | None, expected: Sequence[float] | None = None) -> float:
        """Return the geometric mean over the groups."""
        assert found is not None
        logs = np.log(np.maximum(found, 1e-300)) - (0.0 if expected is None else np.log(expected))
        return float(np.exp(logs.mean()))

    effective = over(lambda p: mean(p.effective_lr))
    rotation = over(lambda p: mean(p.rotation))
    maps = [
        HeatMap("Effective learning rate, measured", "lr / |w|² of the weights", effective),
        HeatMap(
            "Effective learning rate, measured over predicted",
            "The prediction is sqrt(2 lr·wd / G²) with the measured gradient size G; white is 1.",
            over(lambda p: mean(p.effective_lr, p.predicted_effective_lr)),
            centre=True,
        ),
        HeatMap("Rotation, measured", "The angle of a step in radians", rotation),
        HeatMap(
            "Rotation, measured over predicted",
            "The prediction is sqrt(2 lr·wd), without any measurement; white is 1.",
            over(lambda p: mean(p.rotation, [p.predicted_rotation])),
            centre=True,
        ),
        HeatMap("Loss", "Mean loss of the minibatches", over(lambda p: p.loss or 0.0), log=False),
    ]
    total = len(lr) * len(decay)
    diverged = sum(point.diverged_at is not None for point in points)
    told = [
        f"{len(points)} of {total} runs of {spec.steps} steps; {diverged} diverged. All numbers are averages "
        f"over the last quarter of the steps, and geometric means over {len(begun.groups)} groups of weights "
        "that are scale-invariant together. Grey cells diverged or are not finished.",
        "Each thin line joins runs with an equal lr·wd (learning rate times weight decay), the intrinsic "
        "learning rate. In equilibrium the rotation is equal along such a line. The dashed line is "
        "lr·wd = 1 / steps. Runs to the left of it and below it are too short for equilibrium, so the "
        "predictions do not hold there.",
        f"Net: {spec.net}. Data: {spec.data}. Batch size {spec.batch_size}, seed {spec.seed}.",
    ]
    return page(
        "Sweep over lr and weight decay",
        told,
        maps,
        Axis("lr", lr),
        Axis("weight decay", decay),
        1.0 / spec.steps,
    )
