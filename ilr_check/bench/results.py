"""The results of a measurement: rows, ratios of interleaved samples, and JSON."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any, Literal, get_args

import msgspec

PathName = Literal["loop", "eager", "compiled", "blackbox", "jax", "limit", "product"]
PATHS: tuple[PathName, ...] = get_args(PathName)
MEANING: dict[PathName, str] = {
    "loop": "one net after the other, with stock norm layers and `torch.optim.SGD`, as a user would write it",
    "eager": "the fleet, not compiled",
    "compiled": "the fleet, compiled, with the update inside the program",
    "blackbox": "the fleet with compiled gradients and the real `torch.optim.SGD` on per-run views",
    "jax": "`jit(scan(vmap(value_and_grad)))`, all runs in one program (fewer runs in the largest cells)",
    "limit": "only the matrix products of the step, batched over runs (convolutions as patches)",
    "product": "as many operations as `limit`, at the speed of the fastest large matrix product here",
}
WITHOUT_MEMORY: tuple[PathName, ...] = ("limit", "product")
"""The paths whose factors exist from the start, so that their peak memory means nothing."""


def choose_paths(names: Sequence[str]) -> list[PathName]:
    """Return the paths of these names, in the order of the table. Raises ``ValueError`` that lists the known
    ones."""
    for name in names:
        if name not in PATHS:
            raise ValueError(f"path {name!r} is not known; choose from {', '.join(PATHS)}")
    return [path for path in PATHS if path in names]


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One path on one workload with a number of runs.

    ``us_per_run_step`` is the median of ``samples``, one per round. Sample i of every path of a workload and
    number of runs was taken in the same round i. ``peak_mib`` is the peak resident memory of training all
    runs, above the memory before, when everything was compiled and had trained once. On a GPU it is the
    memory that torch takes there. It is ``None`` if it is unknown. ``compile_seconds`` is how much longer the
    first training took than the second, with empty caches. ``timed_runs`` is the number of runs in a sample:
    a loop costs the same for every net, so only a few are timed, and JAX times as many as make a call take
    seconds.
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
    """A path that is not available, and the reason in a sentence."""

    path: PathName
    workload: str
    reason: str


class Fit(msgspec.Struct, frozen=True, kw_only=True):
    """The fit cost ~ ``axis ** exponent``, with a 95 % interval and the fitted points."""

    path: PathName
    axis: str
    values: tuple[int, ...]
    us_per_run_step: tuple[float, ...]
    exponent: float
    low: float
    high: float


class Bench(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that one call of ``ilr-check bench`` measured."""

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
        """Return one indented JSON object with ``rows``."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2).decode()

    def row(self, workload: str, path: str, runs: int) -> Row | None:
        """Return the row of a cell, or ``None`` if it was not measured."""
        found = [r for r in self.rows if (r.workload, r.path, r.runs) == (workload, path, runs)]
        return found[0] if found else None


def ratio(slow: Sequence[float], fast: Sequence[float]) -> float:
    """Return how many times faster ``fast`` is: the median of the ratios of samples from the same round.

    If the machine is slow for a while, both samples of a pair are slow, and this cancels. It would not cancel
    in a ratio of medians.
    """
    return median(s / f for s, f in zip(slow, fast, strict=True))
