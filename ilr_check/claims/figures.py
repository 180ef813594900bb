"""The series and the pictures that statistical claims share."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ilr_check.evidence import Figure, Series
from ilr_check.stats import Decision, Design

Array = NDArray[np.float64]


def line(name: str, role: Any, x: ArrayLike, y: ArrayLike) -> Series:
    """Return a line."""
    return Series(name=name, kind="line", role=role, x=_floats(x), y=_floats(y))


def points(name: str, role: Any, x: ArrayLike, y: ArrayLike) -> Series:
    """Return unconnected points."""
    return Series(name=name, kind="points", role=role, x=_floats(x), y=_floats(y))


def band(name: str, role: Any, x: ArrayLike, low: ArrayLike, high: ArrayLike) -> Series:
    """Return the area between two curves."""
    return Series(name=name, kind="band", role=role, x=_floats(x), low=_floats(low), high=_floats(high))


def interval(
    name: str, x: ArrayLike, y: ArrayLike, low: ArrayLike, high: ArrayLike, *, role: Any = "measured"
) -> Series:
    """Return points with a confidence interval each."""
    ends = {"y": _floats(y), "low": _floats(low), "high": _floats(high)}
    return Series(name=name, kind="interval", role=role, x=_floats(x), **ends)


def spread(x: ArrayLike, log_runs: Array) -> tuple[Series, Series]:
    """Return the band from 5 % to 95 % of the runs, and their mean, of logarithms [n, points]."""
    low, high = np.exp(np.quantile(log_runs, (0.05, 0.95), axis=0))
    return (
        band("runs, 5 % to 95 %", "measured", x, low, high),
        points("measured, mean of the runs", "measured", x, np.exp(log_runs.mean(axis=0))),
    )


def along_prediction(
    x: Array, log_runs: Array, log_prediction: Array, margin: float, *, source: str, rivals: dict[str, Array]
) -> tuple[Series, ...]:
    """Return the series of runs that follow a predicted curve: margin, spread, prediction, mean, rivals.

    ``log_runs`` [n, points]; ``rivals`` are log rival / prediction, by name.
    """
    runs, mean = spread(x, log_runs)
    around = (np.exp(log_prediction - margin), np.exp(log_prediction + margin))
    return (
        band("margin around the prediction", "margin", x, *around),
        runs,
        line(f"prediction from {source}", "predicted", x, np.exp(log_prediction)),
        mean,
        *(line(f"rival: {name}", "rival", x, np.exp(log_prediction + gap)) for name, gap in rivals.items()),
    )


def against_theory(
    x: ArrayLike, theory: ArrayLike, design: Design, decision: Decision, **axes: Any
) -> Figure:
    """Return every point of a curve with its interval, in its margin around theory, with the rivals.

    ``theory`` [points] is added to the judged deviations; ``axes`` are the labels and the caption.
    """
    x, theory, seen = _floats(x), _floats(theory), decision.band
    assert seen is not None
    order = np.argsort(x)
    low, high = (np.asarray(bound) for bound in design.bounds())  # type: ignore[attr-defined]

    def at(values: Any) -> Array:
        return np.asarray((_floats(values) + theory)[order])

    return Figure(
        name="",
        title="",
        series=(
            band("margin", "margin", x[order], at(low), at(high)),
            line("theory", "predicted", x[order], at(0.0)),
            interval("measured, with its interval", x[order], at(seen.estimate), at(seen.low), at(seen.high)),
            *(line(f"rival: {r.name}", "rival", x[order], at(r.expected)) for r in design.rivals),
        ),
        **axes,
    )


def _floats(values: ArrayLike) -> Array:
    return np.asarray(values, dtype=np.float64)
