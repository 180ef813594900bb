"""Numbers carry a bound on their own rounding error, so that a reference step computes its tolerance.

Running error analysis (Higham, Accuracy and Stability of Numerical Algorithms, section 3.3): every operation
adds u |result| to the propagated error of its operands. Numbers without an error go through the same code.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

ROUNDINGS = 8.0
"""How often a correct implementation may round where the reference implementation rounds once.

An implementation may regroup the formula: a lerp for a product and a sum, lr distributed over terms, a
correction moved from the numerator to the denominator, or a scalar rounded to the dtype first. This keeps the
terms and adds roundings that are relative to them. No implementation of torch.optim adds more than six.
"""


EXACT: Array = np.zeros(())
"""The error of a number that carries none."""


class Tracked(NDArrayOperatorsMixin):
    """An array of float64 values and a first-order bound on the error of each, for one unit roundoff."""

    __slots__ = ("error", "tiny", "unit", "value")
    __array_priority__ = 1000

    def __init__(self, value: ArrayLike, unit: float, error: ArrayLike = 0.0, tiny: float = 0.0) -> None:
        self.value: Array = np.asarray(value, dtype=np.float64)
        bound = np.asarray(error, dtype=np.float64)
        shape = self.value.shape
        self.error: Array = bound if bound.shape == shape else np.broadcast_to(bound, shape)
        self.unit, self.tiny = unit, tiny

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        if method != "__call__" or options:
            return NotImplemented
        values = [x.value if isinstance(x, Tracked) else np.asarray(x, dtype=np.float64) for x in inputs]
        if ufunc in _COMPARISONS:
            return ufunc(*values)
        rule = _RULES.get(ufunc)
        if rule is None:
            return NotImplemented
        errors = [x.error if isinstance(x, Tracked) else EXACT for x in inputs]
        result = ufunc(*values)
        handed, roundings = rule(values, errors, result)
        # If one operand is a scalar in a wider arithmetic, the result is as narrow as the narrower operand.
        mixed = [x for x in inputs if isinstance(x, Tracked)]
        unit, tiny = max(x.unit for x in mixed), max(x.tiny for x in mixed)
        return Tracked(result, unit, handed + roundings * unit * np.abs(result) + tiny, tiny)

    def __bool__(self) -> bool:
        return bool(self.value)

    def sum(self, axis: int | None = None, keepdims: bool = False) -> Tracked:
        """Return the sum. In any order, n terms are rounded at most n times, relative to the absolute
        terms."""
        result = self.value.sum(axis=axis, keepdims=keepdims)
        count = self.value.size if axis is None else self.value.shape[axis]
        size = np.abs(self.value).sum(axis=axis, keepdims=keepdims)
        handed = self.error.sum(axis=axis, keepdims=keepdims)
        return self._made(result, handed + count * self.unit * size + count * self.tiny)

    def mean(self, axis: int | None = None, keepdims: bool = False) -> Any:
        """Return the mean over an axis, or over all entries."""
        count = self.value.size if axis is None else self.value.shape[axis]
        return self.sum(axis=axis, keepdims=keepdims) / max(count, 1)

    @property
    def T(self) -> Tracked:
        return self._made(self.value.T, self.error.T)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.shape

    @property
    def size(self) -> int:
        return self.value.size

    @property
    def ndim(self) -> int:
        return self.value.ndim

    def _made(self, value: ArrayLike, error: ArrayLike) -> Tracked:
        return Tracked(value, self.unit, error, self.tiny)


Rule = Callable[[list[Array], list[Array], Array], tuple[Any, float]]
"""(values, errors, result) -> the propagated error, and how often the operation itself rounds."""


def _product(v: list[Array], e: list[Array], r: Array) -> tuple[Array, float]:
    if e[0] is EXACT or e[1] is EXACT:
        exact = 0 if e[0] is EXACT else 1
        return _times(np.abs(v[exact]), e[1 - exact]), 1.0
    return _times(np.abs(v[0]), e[1]) + _times(np.abs(v[1]), e[0]) + _times(e[0], e[1]), 1.0


def _times(a: Array, b: Array) -> Array:
    """Return the product of two sizes. An exact zero times an unbounded error is zero and not undefined."""
    product = a * b
    return np.where((a == 0) | (b == 0), 0.0, product) if np.isnan(product).any() else product


def _quotient(v: list[Array], e: list[Array], r: Array) -> tuple[Array, float]:
    # Where the error reaches the divisor itself, the quotient has no bound.
    room = np.abs(v[1]) - e[1]
    return np.where(room > 0, (e[0] + np.abs(r) * e[1]) / np.where(room > 0, room, 1.0), np.inf), 1.0


def _root(v: list[Array], e: list[Array], r: Array) -> tuple[Array, float]:
    # |sqrt(x + e) - sqrt(x)| is at most sqrt(e), and at most e / sqrt(x) where that is less.
    return np.minimum(np.sqrt(e[0]), np.divide(e[0], r, out=np.full_like(r, np.inf), where=r > 0)), 1.0


def _sign(v: list[Array], e: list[Array], r: Array) -> tuple[Array, float]:
    # A number that may be zero may have any sign.
    return np.where((e[0] > 0) & (np.abs(v[0]) <= e[0]), 2.0, 0.0), 0.0


def _power(v: list[Array], e: list[Array], r: Array) -> tuple[Array, float]:
    # A power by repeated products rounds as often as the exponent says.
    size, base = np.abs(v[1]), np.abs(v[0])
    relative = np.divide(e[0], base, out=np.zeros_like(base), where=base > 0)
    steep = np.abs(np.log(base, out=np.zeros_like(base), where=base > 0))
    return np.abs(r) * (size * relative + steep * e[1]), float(np.max(size, initial=1.0))


_COMPARISONS = {np.greater, np.greater_equal, np.less, np.less_equal, np.equal, np.not_equal}
_RULES: dict[Any, Rule] = {
    np.add: lambda v, e, r: (e[0] + e[1], 1.0),
    np.subtract: lambda v, e, r: (e[0] + e[1], 1.0),
    np.multiply: _product,
    np.divide: _quotient,
    np.sqrt: _root,
    np.negative: lambda v, e, r: (e[0], 0.0),
    np.positive: lambda v, e, r: (e[0], 0.0),
    np.absolute: lambda v, e, r: (e[0], 0.0),
    np.sign: _sign,
    np.maximum: lambda v, e, r: (np.maximum(e[0], e[1]), 0.0),
    np.minimum: lambda v, e, r: (np.maximum(e[0], e[1]), 0.0),
    np.power: _power,
    np.exp: lambda v, e, r: (r * np.expm1(e[0]), 4.0),
}


def plain(value: Any) -> Array:
    """Return the values without their errors."""
    return value.value if isinstance(value, Tracked) else np.asarray(value, dtype=np.float64)


def error_of(value: Any) -> Array:
    """Return the bound on the error, or zero for a number that carries none."""
    return value.error if isinstance(value, Tracked) else np.zeros(np.shape(value))


def kept_in_single(value: Any, roundings: float = 1.0) -> Any:
    """Return the same number with the error of ``roundings`` float32 roundings. torch keeps some scalars in
    float32.
    """
    if not isinstance(value, Tracked):
        return value
    error = value.error + roundings * 2.0**-24 * np.abs(value.value)
    return Tracked(value.value, value.unit, error, value.tiny)
