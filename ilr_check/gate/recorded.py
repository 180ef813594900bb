"""The behaviour record: what an optimizer does in many settings, in a small file. Imports no torch."""

from __future__ import annotations

import msgspec


class Played(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the steps of one course did to one tensor.

    Each step is kept as two numbers: its length, and its product with a fixed direction. Steps that differ
    differ in one of the two, but for a set of directions without volume.
    """

    lengths: tuple[float | None, ...] = ()
    """``None`` is a number that is not finite, which JSON cannot hold."""
    products: tuple[float | None, ...] = ()
    noise: float = 0.0
    """How far gradients that differ by rounding, or one rounding of the weights, change a step, as a share of
    the largest step.

    Where the optimizer amplifies rounding, or draws random numbers, another machine differs by this much.
    """
    error: str = ""
    """The exception that ended the course after these steps, or that refused the setting."""


Behaviour = dict[str, dict[str, Played]]
"""Setting to course and tensor, such as ``momentum=0.3`` to ``a matrix`` or ``a matrix, tiny gradients``."""
