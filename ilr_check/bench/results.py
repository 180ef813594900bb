"""What a measurement leaves behind: rows, ratios of interleaved samples, JSON."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any, Literal, get_args

import msgspec

PathName = Literal["loop", "eager", "compiled", "blackbox", "jax", "limit"]
PATHS: tuple[PathName, ...] = get_args(PathName)
MEANING: dict[PathName, str] = {
    "loop": "one net after the other, stock norm layers and `torch.optim.SGD`: what a user would write",
    "eager": "the fleet, not compiled",
    "compiled": "the fleet, compiled, the update inside the program",
    "blackbox": "the fleet, compiled gradients, the real `torch.optim.SGD` on per-run views",
    "jax": "`jit(scan(vmap(value_and_grad)))`, all runs in one program (the largest cells: fewer runs)",
    "limit": "nothing but the matrix products of the step, batched over runs (convolutions as patches)",
}


def choose_paths(names: Sequence[str]) -> list[PathName]:
    """The paths of these names, in the table's order; raises ``ValueError`` that lists the known ones."""
    for name in names:
        if name not in PATHS:
            raise ValueError(f"path {name!r} is not known; choose from {', '.join(PATHS)}")
    return [path for path in PATHS if path in names]


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One path on one workload with a number of runs.

    ``us_per_run_step`` is the median of ``samples``, one a round; sample i of every path of a workload and
    number of runs was taken in the same round i. ``peak_mib`` is the peak resident memory of training all,
    above its size before, when everything was compiled and had trained once, and on a GPU what torch takes
    there; ``None`` where nobody tells. ``compile_seconds`` is what the first training took longer than the
    second, with empty caches. ``timed_runs``: a loop costs the same for every net, so only so many are timed;
    and of JAX so many that a call takes seconds.
    """

    workload: str
    path: PathName
    runs: int
    us_per_run_step: float
    peak_mib: float | None
    compile_seconds: float
    timed_runs: int
    minimum_mib: float
    samples: tuple[float, ...]


class Absent(msgspec.Struct, frozen=True, kw_only=True):
    """A path that could not be taken, and why, in a sentence."""

    path: PathName
    workload: str
    reason: str


class Fit(msgspec.Struct, frozen=True, kw_only=True):
    """Cost proportional to ``axis ** exponent``, with a 95 % interval; the points it was fitted to."""

    path: PathName
    axis: str
    values: tuple[int, ...]
    us_per_run_step: tuple[float, ...]
    exponent: float
    low: float
    high: float


class Bench(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that one call of ``ilr-check bench`` found."""

    made_by: str = "ilr-check bench"
    """The first field, by which an earlier result is recognised (``evidence.marks``)."""
    machine: dict[str, Any]
    versions: dict[str, str]
    rounds: int
    device: str = "cpu"
    rows: tuple[Row, ...]
    absent: tuple[Absent, ...] = ()
    scaling: tuple[Fit, ...] = ()

    def json(self) -> str:
        """One indented JSON object with ``rows``."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2).decode()

    def row(self, workload: str, path: str, runs: int) -> Row | None:
        """The row of a cell, or ``None`` where it was not measured."""
        found = [r for r in self.rows if (r.workload, r.path, r.runs) == (workload, path, runs)]
        return found[0] if found else None


def ratio(slow: Sequence[float], fast: Sequence[float]) -> float:
    """How many times faster ``fast`` is: the median of the ratios of samples taken in the same round.

    What slows the machine for a while slows both of a pair, so it cancels; it would not in a ratio of
    medians.
    """
    return median(s / f for s, f in zip(slow, fast, strict=True))
