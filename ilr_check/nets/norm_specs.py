"""The spec of a norm layer, and the checks that all specs of nets share."""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

NormKind = Literal["batch", "group", "layer", "instance", "rms", "weight_norm", "weight_standard"]

MAX_DEPTH = 256
MAX_WIDTH = 4096
EPS_RANGE = (1e-20, 1e20)
"""Below it, 1/sqrt(eps) makes float32 overflow where a unit's variance vanishes. eps = 0 has a safe rule of
its own."""


def check_integer(name: str, value: object, low: int, high: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ValueError(f"{name}={value!r}: must be a whole number within [{low}, {high}]")


def check_integers(name: str, values: object, low: int, high: int) -> None:
    if not isinstance(values, tuple) or not 1 <= len(values) <= MAX_DEPTH:
        raise ValueError(
            f"{name}={values!r}: must be a tuple of 1 to {MAX_DEPTH} whole numbers, one per layer"
        )
    for index, value in enumerate(values):
        check_integer(f"{name}[{index}]", value, low, high)


def check_one_of(name: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{name}={value!r}: must be one of {', '.join(allowed)}")


class NormSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A norm without running statistics. It always uses the statistics of the present batch.

    ``batch`` normalises each channel over the batch and the pixels, ``instance`` each channel of each sample
    over the pixels, ``layer`` each sample over everything, and ``group`` each sample over each of ``groups``
    sets of adjacent channels. ``rms`` is like ``group`` but does not subtract the mean. ``weight_norm`` and
    ``weight_standard`` normalise the weights that lead to each unit instead, by their length or by their mean
    and standard deviation. ``eps`` is added to the variance; with 0 the norm is exactly scale-invariant.

    ``affine`` adds a learned gain for each channel, and a shift where the norm subtracts a mean of
    activations. ``ilr_check.nets.build`` says which of them are trained. Raises ``ValueError`` for a value
    out of range.
    """

    kind: NormKind = "batch"
    groups: int = 1
    eps: float = 0.0
    affine: bool = False

    def __post_init__(self) -> None:
        check_one_of("norm kind", self.kind, get_args(NormKind))
        check_integer("groups", self.groups, 1, MAX_WIDTH)
        if self.groups != 1 and self.kind not in ("group", "rms"):
            raise ValueError(
                f"groups={self.groups} with kind={self.kind!r}: only 'group' and 'rms' use it; leave it at 1"
            )
        low, high = EPS_RANGE
        if not (self.eps == 0 or low <= self.eps <= high):
            raise ValueError(
                f"eps={self.eps!r}: must be 0 (exactly scale-invariant) or within [{low:g}, {high:g}]"
            )

    @property
    def of_weights(self) -> bool:
        """Whether the norm normalises weights and not activations."""
        return self.kind in ("weight_norm", "weight_standard")

    @property
    def kills_bias(self) -> bool:
        """Whether each channel loses its mean, so that a bias in front has no effect."""
        return self.kind in ("batch", "instance")

    @property
    def centred(self) -> bool:
        """Whether a mean is subtracted."""
        return self.kind not in ("rms", "weight_norm")
