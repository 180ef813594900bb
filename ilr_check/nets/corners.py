"""Nets and batch sizes for which a gradient is mere rounding, or exactly zero."""

from __future__ import annotations

import math
from typing import NamedTuple

from ilr_check.nets.build import shrunk
from ilr_check.nets.specs import (
    AttentionSpec,
    CNNSpec,
    MLPSpec,
    NetSpec,
    NormSpec,
    PreResNetSpec,
    ResNetSpec,
)
from ilr_check.nets.transformer_specs import TransformerSpec


def set_sizes(spec: NetSpec, batch: int) -> tuple[int, ...]:
    """Return, for each norm, how many numbers share one mean and variance."""
    return tuple(_set_size(norm, batch, place) for norm, place in _places(spec))


def degenerate(spec: NetSpec, batch: int) -> str | None:
    """Return the name of the degenerate case that the net is in with ``batch`` rows, or None.

    A set of one number has no variance, so its unit is dead. A set of two numbers becomes (-1, 1) or (1, -1)
    for any weights, so the exact gradient is 0 and the computed one is rounding; this happens under batch
    norm with a batch of 2. If no mean is subtracted, a set of one number becomes its sign. A layer that reads
    one number under batch norm has norm(w x) = sign(w) norm(x), so its gradient is rounding as well. A single
    token can attend only to itself, so Q and K have no effect. Cases that depend on the data, such as
    duplicate rows, are not detected. Raises ``ValueError`` if ``batch`` is below 1.
    """
    if batch < 1:
        raise ValueError(f"batch={batch!r}: must be at least 1")
    sizes = [(_set_size(norm, batch, place), norm.centred) for norm, place in _places(spec)]
    if (1, True) in sizes:
        return "a set of one: dead"
    if (2, True) in sizes:
        return "a set of two: gradient is rounding"
    if (1, False) in sizes:
        return "a set of one without a mean: gradient is rounding"
    if spec.norm.kind == "batch" and any(place.fan_in == 1 for _, place in _places(spec)):
        return "fan-in of one under batch norm: gradient is rounding"
    if isinstance(spec, AttentionSpec) and spec.shape[0] == 1 and spec.qk_norm:
        return "attention to one token: Q and K have no effect"
    return None


class _Place(NamedTuple):
    """The place of a norm: the width and the pixels of its input, and the fan-in of the layers in front of
    it."""

    width: int
    pixels: int
    fan_in: int


def _set_size(norm: NormSpec, batch: int, place: _Place) -> int:
    if norm.of_weights:
        return place.fan_in
    if norm.kind == "batch":
        return batch * place.pixels
    if norm.kind == "instance":
        return place.pixels
    return place.width // norm.groups * place.pixels


def _places(spec: NetSpec) -> list[tuple[NormSpec, _Place]]:
    """Return each norm with its place."""
    if isinstance(spec, AttentionSpec):
        # Each token is a row: a norm over features sees one token, and batch norm sees all of them.
        pixels = spec.shape[0] if spec.norm.kind == "batch" else 1
        later = (spec.norm, _Place(spec.width, pixels, spec.width))
        heads = NormSpec(kind="rms", groups=spec.heads)
        of_queries = [(heads, _Place(spec.width, 1, spec.width))] * spec.qk_norm
        return [(spec.norm, _Place(spec.width, pixels, spec.shape[1])), *of_queries, *[later] * spec.blocks]
    if isinstance(spec, TransformerSpec):
        rows = _Place(spec.width, 1, spec.width)
        heads = NormSpec(kind="rms", eps=spec.eps)
        return [(spec.norm, rows), (heads, _Place(spec.features, 1, spec.width))]
    return [(spec.norm, _Place(*place)) for place in _layers(spec)]


def _layers(spec: MLPSpec | CNNSpec | ResNetSpec | PreResNetSpec) -> list[tuple[int, int, int]]:
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
    if isinstance(spec, PreResNetSpec):
        taps, fan_in = spec.kernel**2, spec.image[0] * spec.kernel**2
        found = [(spec.widths[0], math.prod(spec.image[1:]), fan_in)]
        for stage, width in enumerate(spec.widths):
            pixels = math.prod(shrunk(size, spec.strides[: stage + 1]) for size in spec.image[1:])
            before = spec.widths[max(0, stage - 1)]
            # The stream is a sum of layers. The 1x1 layer on the skip has the smallest fan-in.
            found += [(width, pixels, before * taps), (width, pixels, before)]
            found += [(width, pixels, width * taps)] * (2 * spec.blocks - 2)
        return found
    pixels = math.prod(spec.shape[1:])
    taps = spec.kernel**2 if len(spec.shape) == 3 else 1
    later = (spec.width, pixels, spec.width * taps)
    return [(spec.width, pixels, spec.shape[0] * taps), *[later] * (2 * spec.blocks)]
