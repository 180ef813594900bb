"""What a sweep trains, as plain values, and how the words of the command line become them."""

from __future__ import annotations

from itertools import product
from typing import get_args

import msgspec
import numpy as np

from ilr_check.data import DataSpec
from ilr_check.data.sets import load
from ilr_check.nets.specs import MLPSpec, NetSpec, net_from_json
from ilr_check.seeds import derive
from ilr_check.spelling import did_you_mean

MOST_RUNS = 10_000
MOST_STEPS = 1_000_000
AXES = ("lr", "weight_decay")
EXAMPLE = "--grid lr=0.01:10:100,weight_decay=1e-4:1e-1:100"


class Axis(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``count`` values from ``low`` to ``high``, in equal ratios."""

    low: float
    high: float
    count: int

    def values(self) -> tuple[float, ...]:
        """Return the values, from the lowest."""
        return tuple(float(f"{value:.6g}") for value in np.geomspace(self.low, self.high, self.count))


class SweepSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A training of ``steps`` steps of plain SGD for each pair of a learning rate and a weight decay."""

    lr: Axis
    weight_decay: Axis
    net: NetSpec
    data: DataSpec
    batch_size: int
    steps: int
    seed: int
    device: str

    def points(self) -> list[tuple[float, float]]:
        """Return (lr, weight decay) of each run. Run i has place i."""
        return list(product(self.lr.values(), self.weight_decay.values()))

    def seed_of(self, point: tuple[float, float]) -> int:
        """Return the seed of a run. It depends on its values alone, so a finer sweep has the same runs."""
        return derive("sweep", self.seed, *point)


def grid(text: str) -> tuple[Axis, Axis]:
    """Return the axes of lr and of weight decay. Raises ``ValueError``."""
    found: dict[str, Axis] = {}
    for word in text.split(","):
        name, equals, values = word.partition("=")
        if name not in AXES or name in found:
            hint = "" if name in AXES else did_you_mean(name, AXES)
            raise ValueError(
                f"--grid {text!r}: {word!r} is not understood; {hint}give lr and weight_decay once each, "
                f"such as {EXAMPLE}"
            )
        found[name] = _axis(name, values if equals else "")
    absent = [name for name in AXES if name not in found]
    if absent:
        raise ValueError(f"--grid {text!r} has no {absent[0]}; give both, such as {EXAMPLE}")
    lr, decay = (found[name] for name in AXES)
    if lr.count * decay.count > MOST_RUNS:
        raise ValueError(
            f"--grid {text!r} has {lr.count} x {decay.count} = {lr.count * decay.count} runs; at most "
            f"{MOST_RUNS} are possible, so give fewer values"
        )
    if lr.high * decay.high >= 1.0:
        raise ValueError(
            f"--grid {text!r} reaches lr * weight_decay = {lr.high * decay.high:g}; from 1 on, a step removes"
            " the weights completely, so lower the highest lr or weight_decay"
        )
    return lr, decay


def _axis(name: str, text: str) -> Axis:
    parts = text.split(":")
    try:
        numbers = [float(part) for part in parts[:2]]
        count = int(parts[2]) if len(parts) == 3 else 1
    except ValueError:
        numbers, count = [], 0
    # A single value is an axis with one place.
    if len(parts) not in (1, 3) or len(numbers) != min(len(parts), 2):
        raise ValueError(
            f"--grid {name}={text}: give LOW:HIGH:COUNT or one value, such as {name}=1e-3:1e-1:20"
        )
    low, high = numbers[0], numbers[-1]
    if not 1e-12 <= low <= high <= 1e6:
        raise ValueError(f"--grid {name}={text}: LOW and HIGH must lie in [1e-12, 1e6], with LOW below HIGH")
    if not 1 <= count <= MOST_RUNS or (count == 1) != (low == high):
        raise ValueError(
            f"--grid {name}={text}: COUNT must be a whole number from 2 to {MOST_RUNS} between different "
            "values, and 1 for a single value"
        )
    return Axis(low=low, high=high, count=count)


def data_of(text: str) -> DataSpec:
    """Return a data set from the name of its kind, or from its spec as JSON. Raises ``ValueError``."""
    if not text.lstrip().startswith("{"):
        known = [kind.__struct_config__.tag for kind in get_args(DataSpec)]
        if text not in known:
            raise ValueError(
                f"--data {text!r} is not known; {did_you_mean(text, known)}known are "
                f"{', '.join(map(str, known))}, and a spec as JSON"
            )
        text = msgspec.json.encode({"kind": text}).decode()
    try:
        return msgspec.json.decode(text, type=DataSpec)  # type: ignore[no-any-return]
    except msgspec.MsgspecError as error:
        raise ValueError(
            f"--data {text}: not a spec of data: {error}; a complete one is "
            """{"kind": "teacher-student", "inputs": 16, "classes": 10}"""
        ) from error


def net_of(text: str, data: DataSpec) -> NetSpec:
    """Return a net from the widths of its hidden layers, such as ``64-64``, or from its spec as JSON.

    Raises ``ValueError``.
    """
    if text.lstrip().startswith("{"):
        return net_from_json(text)
    widths = text.split("-")
    if not all(width.isdecimal() for width in widths):
        raise ValueError(
            f"--net {text!r} is not understood; give the widths of the hidden layers, such as 64-64 for a "
            "BatchNorm MLP, or a spec as JSON"
        )
    found = load(data)
    return MLPSpec(
        inputs=found.x.shape[1], widths=tuple(int(width) for width in widths), classes=found.classes
    )


def whole(option: str, value: int, low: int, high: int) -> int:
    """Return ``value`` if it lies in the range. Raises ``ValueError``."""
    if not low <= value <= high:
        raise ValueError(f"{option} {value} is out of range; give a whole number from {low} to {high}")
    return value
