"""Which nets and batch sizes are corners where a gradient is rounding, or nothing at all."""

from __future__ import annotations

import math

from ilr_check.nets.build import shrunk
from ilr_check.nets.specs import CNNSpec, MLPSpec, NetSpec, NormSpec


def set_sizes(spec: NetSpec, batch: int) -> tuple[int, ...]:
    """Return, for each norm layer, how many numbers share one mean and variance."""
    return tuple(_set_size(spec.norm, batch, width, pixels) for width, pixels, _ in _layers(spec))


def degenerate(spec: NetSpec, batch: int) -> str | None:
    """Return the name of the degenerate corner that the net is in with ``batch`` rows, or None.

    A set of one number has no variance: the unit is dead. A set of two becomes (-1, 1) or (1, -1) whatever
    the weights, so the exact gradient is 0 and the computed one is rounding (a batch of 2 under batch norm).
    A layer that reads one number under batch norm has norm(w x) = sign(w) norm(x), and its gradient is
    rounding as well. What depends on the data, such as duplicate rows, cannot be seen here.
    """
    if batch < 1:
        raise ValueError(f"batch={batch!r}: must be at least 1")
    smallest = min(set_sizes(spec, batch))
    if smallest == 1:
        return "a set of one: dead"
    if smallest == 2:
        return "a set of two: gradient is rounding"
    if spec.norm.kind == "batch" and any(fan_in == 1 for _, _, fan_in in _layers(spec)):
        return "fan-in of one under batch norm: gradient is rounding"
    return None


def _set_size(norm: NormSpec, batch: int, width: int, pixels: int) -> int:
    if norm.kind == "batch":
        return batch * pixels
    if norm.kind == "instance":
        return pixels
    return width // norm.groups * pixels


def _layers(spec: NetSpec) -> list[tuple[int, int, int]]:
    """Return (width, pixels, fan-in) in front of each norm layer."""
    if isinstance(spec, MLPSpec):
        fans = (spec.inputs, *spec.widths[:-1])
        return [(width, 1, fan_in) for width, fan_in in zip(spec.widths, fans, strict=True)]
    if isinstance(spec, CNNSpec):
        strides = spec.strides or (1,) * len(spec.channels)
        fans = (spec.image[0], *spec.channels[:-1])
        return [
            (
                width,
                math.prod(shrunk(size, strides[: i + 1]) for size in spec.image[1:]),
                fan * spec.kernel**2,
            )
            for i, (width, fan) in enumerate(zip(spec.channels, fans, strict=True))
        ]
    pixels = math.prod(spec.shape[1:])
    taps = spec.kernel**2 if len(spec.shape) == 3 else 1
    later = (spec.width, pixels, spec.width * taps)
    return [(spec.width, pixels, spec.shape[0] * taps), *[later] * (2 * spec.blocks)]
