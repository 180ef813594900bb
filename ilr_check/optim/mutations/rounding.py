"""Round numbers to fewer bits, exactly as a narrower dtype does."""

from __future__ import annotations

from typing import Any

import numpy as np

from ilr_check.optim.contracts.running import Tracked

BFLOAT16, FLOAT32 = 8, 24
"""The number of bits of the significand."""


def rounded(x: Any, bits: int) -> Any:
    """Round to the nearest number with a significand of ``bits`` bits, ties to even.

    The bound on the error does not change. This is wrong only for a number whose own error reaches across a
    tie, about one in 2^(53 - bits).
    """
    if isinstance(x, Tracked):
        return Tracked(rounded(x.value, bits), x.unit, x.error, x.tiny)
    fraction, exponent = np.frexp(x)
    return np.ldexp(np.round(fraction * 2.0**bits), exponent - bits)
