"""Trains the runs of a sweep, one chunk after the other, and reads a few numbers off each run."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec
import numpy as np
from numpy.typing import NDArray

from ilr_check.claims.law import judged_groups
from ilr_check.sweep.spec import SweepSpec
from ilr_check.theory.relaxation import equilibrium_effective_lr, gamma
from ilr_check.train.determinism import reproducible
from ilr_check.train.fleet import Fleet, Runs
from ilr_check.train.threads import threads
from ilr_check.train.trace import Trace

Array = NDArray[np.float64]
RECORDS = 128
"""The number of steps that are measured, at most. The last quarter of them is averaged."""
LAST = 0.75
"""The part of a training that comes before the averages."""


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """One run. Numbers of groups are in the order of the groups; they are None if one is not finite.

    ``effective_lr`` is lr / |w|^2 and ``rotation`` the angle of a step in radians, both averaged over the
    last quarter of the steps, as mean(|w|^4 / lr^2)^(-1/2) and as root mean square. The predictions hold at
    equilibrium. ``predicted_rotation`` is arccos(1 - lr wd), and needs no measurement.
    ``predicted_effective_lr`` is sqrt((1 - (1 - lr wd)^2) / G^2), where G^2 is the mean squared gradient of
    this run at unit norm. ``loss`` is the mean loss of the minibatches, with the labels that were trained on.
    """

    run: int
    lr: float
    weight_decay: float
    seed: int
    diverged_at: int | None
    loss: float | None
    effective_lr: tuple[float, ...] | None
    predicted_effective_lr: tuple[float, ...] | None
    rotation: tuple[float, ...] | None
    predicted_rotation: float


class Trainer:
    """The fleet of a sweep. Every chunk has the same size, so a run costs the same however many there are.

    Raises ``ValueError`` if the net and the data do not fit, or if the net has no scale-invariant weights.
    """

    def __init__(self, spec: SweepSpec) -> None:
        self.spec = spec
        self.groups = judged_groups(spec.net)
        if not self.groups:
            raise ValueError(f"{spec.net} has no scale-invariant weights; put a norm after its layers")
        self._points = spec.points()
        self._fleet = Fleet(
            spec.net,
            spec.data,
            batch_size=spec.batch_size,
            device=spec.device,
            expected_run_steps=len(self._points) * spec.steps,
        )
        lanes = self._fleet.lanes
        self.chunks = [
            range(i, min(i + lanes, len(self._points))) for i in range(0, len(self._points), lanes)
        ]

    def train(self, chunk: range, progress: Callable[[float], None] | None = None) -> list[Point]:
        """Train the runs of one chunk."""
        spec = self.spec
        points = [self._points[run] for run in chunk]
        seeds = [spec.seed_of(point) for point in points]
        lr, decay = (np.array(values) for values in zip(*points, strict=True))
        runs = Runs(seeds=seeds, lr=lr, weight_decay=decay)
        every = -(-spec.steps // RECORDS)
        with reproducible(spec.device), threads():
            trace = self._fleet.train(runs, spec.steps, record_every=every, progress=progress)
        measured = _measured(trace, self.groups)
        return [
            _point(
                run, points[i], seeds[i], int(trace.first_bad[i]), {k: v[..., i] for k, v in measured.items()}
            )
            for i, run in enumerate(chunk)
        ]


def _measured(trace: Trace, groups: Mapping[str, tuple[str, ...]]) -> dict[str, Array]:
    """Return arrays [groups, runs], and the loss [runs]."""
    last = slice(int(LAST * len(trace.steps)), None)
    found: dict[str, list[Array]] = {"effective_lr": [], "predicted_effective_lr": [], "rotation": []}
    with np.errstate(all="ignore"):
        for names in groups.values():
            group = trace.group(names)
            mean = gamma(group.norm2, group.lr)[last].mean(axis=0)
            noise = group.unit_grad2[last].mean(axis=0)
            level = (group.lr * group.weight_decay)[-1]
            found["effective_lr"].append(mean**-0.5)
            found["predicted_effective_lr"].append(equilibrium_effective_lr(level, noise))
            found["rotation"].append(np.sqrt((_angles(group.tangent[last]) ** 2).mean(axis=0)))
        return {name: np.array(rows) for name, rows in found.items()} | {
            "loss": trace.loss[last].mean(axis=0)
        }


def _angles(tangent: Array) -> Array:
    # A negative tangent belongs to an angle above a right one.
    return np.arctan2(np.abs(tangent), np.sign(tangent))


def _point(
    run: int, point: tuple[float, float], seed: int, first_bad: int, measured: Mapping[str, Array]
) -> Point:
    lr, decay = point
    whole = all(bool(np.isfinite(values).all()) for values in measured.values())
    values = {
        name: tuple(float(f"{v:.6g}") for v in np.atleast_1d(a)) for name, a in measured.items() if whole
    }
    return Point(
        run=run,
        lr=lr,
        weight_decay=decay,
        seed=seed,
        diverged_at=None if first_bad < 0 else first_bad,
        loss=values["loss"][0] if whole else None,
        effective_lr=values.get("effective_lr"),
        predicted_effective_lr=values.get("predicted_effective_lr"),
        rotation=values.get("rotation"),
        predicted_rotation=float(f"{np.arccos(1.0 - lr * decay):.6g}"),
    )
