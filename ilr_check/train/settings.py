"""Hyper-parameters of the runs of one chunk, at every step.

Runs with equal settings share one column, so derived values need memory only for the different settings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ilr_check.optim.rules import OF_EVERY_RUN

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Runs:
    """The data of each run: ``seeds`` [R]. The other fields broadcast to [steps, R].

    ``init_scale`` multiplies the initial weights, and a mapping those that it names. ``initial_norm`` sets
    the norm of every tensor instead. With ``init_seed`` all runs start from the weights of that seed, and
    their own seeds decide only the batches. ``hyper`` holds the hyper-parameters of the rule beyond lr,
    weight_decay, momentum and dampening, such as ``beta1`` or ``eps``; absent ones have torch's defaults.
    """

    seeds: Sequence[int]
    lr: Array | float
    weight_decay: Array | float
    momentum: Array | float = 0.0
    dampening: Array | float = 0.0
    init_scale: Array | float | Mapping[str, Array | float] = 1.0
    initial_norm: Array | float | None = None
    init_seed: int | None = None
    hyper: Mapping[str, Array | float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Settings:
    """``distinct`` columns [steps, settings] by name, and the index of the column of each lane."""

    distinct: dict[str, Array]
    of_lane: NDArray[np.intp]

    @property
    def count(self) -> int:
        """The number of different settings."""
        return int(self.of_lane.max()) + 1

    def of_lanes(self, name: str, steps: NDArray[np.int64]) -> Array:
        """Return one hyper-parameter at the given steps, [steps, lanes]."""
        return self.distinct[name][np.ix_(steps, self.of_lane)]


def settings_of(runs: Runs, defaults: Mapping[str, float], steps: int, lane_of: NDArray[np.intp]) -> Settings:
    """Return the settings of lanes. Raises ``ValueError`` if ``runs.hyper`` has a name that the rule does not
    know."""
    unknown = sorted(set(runs.hyper) - set(defaults))
    if unknown:
        raise ValueError(
            f"hyper={unknown}: this rule has no such hyper-parameters; besides {', '.join(OF_EVERY_RUN)} "
            f"it has {', '.join(sorted(defaults)) or 'none'}"
        )
    values = {name: getattr(runs, name) for name in OF_EVERY_RUN} | {**defaults, **runs.hyper}
    shape = (steps, len(runs.seeds))
    columns = {name: np.broadcast_to(np.asarray(value, float), shape) for name, value in values.items()}
    numbers: dict[bytes, int] = {}
    first, of_lane = [], []
    for run in lane_of:
        key = b"".join(column[:, run].tobytes() for column in columns.values())
        if key not in numbers:
            numbers[key] = len(numbers)
            first.append(run)
        of_lane.append(numbers[key])
    distinct = {name: column[:, first].copy() for name, column in columns.items()}
    return Settings(distinct, np.array(of_lane, dtype=np.intp))
