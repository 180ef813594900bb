"""Learning-rate schedules as values. ``factors(steps)`` gives the factors of the base rate for steps 0 to
steps - 1."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import msgspec


class Constant(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="constant"):
    """The factor 1 at every step."""

    def factors(self, steps: int) -> tuple[float, ...]:
        return (1.0,) * steps


class Drops(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="drops"):
    """factor ** (t // period): one more multiplication by ``factor`` every ``period`` steps."""

    period: int
    factor: float

    def __post_init__(self) -> None:
        _period(self.period)
        _factor("factor", self.factor)

    def factors(self, steps: int) -> tuple[float, ...]:
        return tuple(self.factor ** (t // self.period) for t in range(steps))


class WarmUp(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="warm-up"):
    """min(1, (t + 1) / period): linear growth over ``period`` steps, then 1."""

    period: int

    def __post_init__(self) -> None:
        _period(self.period)

    def factors(self, steps: int) -> tuple[float, ...]:
        return tuple(min(1.0, (t + 1) / self.period) for t in range(steps))


class Cosine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="cosine"):
    """(1 + cos(pi t / steps)) / 2: from 1 towards 0 over the whole run."""

    def factors(self, steps: int) -> tuple[float, ...]:
        return tuple(0.5 * (1.0 + math.cos(math.pi * t / steps)) for t in range(steps))


class WarmUpCosine(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="warm-up-cosine"
):
    """Linear growth over ``warm_up`` steps, then half a cosine from 1 to ``floor``, which is the last
    factor."""

    warm_up: int
    floor: float = 0.0

    def __post_init__(self) -> None:
        _steps("warm_up", self.warm_up)
        _floor(self.floor)

    def factors(self, steps: int) -> tuple[float, ...]:
        def shape(share: float) -> float:
            return 0.5 * (1.0 + math.cos(math.pi * share))

        return _warmed(steps, self.warm_up, lambda share: self.floor + (1.0 - self.floor) * shape(share))


class WarmUpLinear(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="warm-up-linear"
):
    """Linear growth over ``warm_up`` steps, then a straight line from 1 to ``floor``, which is the last
    factor."""

    warm_up: int
    floor: float = 0.0

    def __post_init__(self) -> None:
        _steps("warm_up", self.warm_up)
        _floor(self.floor)

    def factors(self, steps: int) -> tuple[float, ...]:
        return _warmed(steps, self.warm_up, lambda share: 1.0 + (self.floor - 1.0) * share)


class WarmUpStableDecay(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="warm-up-stable-decay"
):
    """Linear growth over ``warm_up`` steps, then 1, and over the last ``decay`` steps a straight line to
    ``floor``, which is the last factor."""

    warm_up: int
    decay: int
    floor: float = 0.0

    def __post_init__(self) -> None:
        _steps("warm_up", self.warm_up)
        _steps("decay", self.decay)
        _floor(self.floor)

    def factors(self, steps: int) -> tuple[float, ...]:
        grown = _warmed(steps, self.warm_up, lambda share: 1.0)
        return tuple(
            factor * min(1.0, 1.0 + (self.floor - 1.0) * (t + 1 - steps + self.decay) / max(1, self.decay))
            for t, factor in enumerate(grown)
        )


class Pauses(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="pauses"):
    """0 at every ``period``-th step, else 1. With period 1 the rate is always 0, and nothing may move."""

    period: int

    def __post_init__(self) -> None:
        _period(self.period)

    def factors(self, steps: int) -> tuple[float, ...]:
        return tuple(float((t + 1) % self.period != 0) for t in range(steps))


class Sequence(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="sequence"):
    """Any factors. After the last one they start again."""

    values: tuple[float, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.values, tuple) or not self.values:
            raise ValueError(f"values={self.values!r}: must be a tuple of at least one factor")
        for index, value in enumerate(self.values):
            _factor(f"values[{index}]", value)

    def factors(self, steps: int) -> tuple[float, ...]:
        return tuple(self.values[t % len(self.values)] for t in range(steps))


ScheduleSpec: TypeAlias = (
    Constant | Drops | WarmUp | Cosine | WarmUpCosine | WarmUpLinear | WarmUpStableDecay | Pauses | Sequence
)


def _warmed(steps: int, warm_up: int, after: Callable[[float], float]) -> tuple[float, ...]:
    """Return (t + 1) / warm_up below 1, then ``after`` of the share of the remaining steps, which ends at
    1."""
    rest = max(1, steps - warm_up)
    return tuple((t + 1) / warm_up if t < warm_up else after((t + 1 - warm_up) / rest) for t in range(steps))


def _steps(name: str, value: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{name}={value!r}: must be a whole number of steps, at least 0")


def _floor(value: float) -> None:
    if not 0.0 <= value <= 1.0:
        raise ValueError(f"floor={value!r}: must be within [0, 1], because it is a share of the base rate")


def _period(value: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"period={value!r}: must be a whole number of steps, at least 1")


def _factor(name: str, value: float) -> None:
    if not (0 <= value < math.inf):
        raise ValueError(f"{name}={value!r}: must be finite and not negative; 1 does not change the rate")
