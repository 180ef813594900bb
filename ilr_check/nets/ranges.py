"""Detects whether a computation stays in the range where rounding is relative, so that powers of two commute
with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

_ATEN = torch.ops.aten
_PRODUCTS = {
    _ATEN.mul: (0, 1),
    _ATEN.mul_: (0, 1),
    _ATEN.div: (0,),
    _ATEN.div_: (0,),
    _ATEN.pow: (0,),
    _ATEN.square: (0,),
}
"""The arguments that must not be 0 if a result of 0 counts as an underflow."""
_INNER_PRODUCTS = {
    _ATEN.mm: ((0, 1),),
    _ATEN.bmm: ((0, 1),),
    _ATEN.mv: ((0, 1),),
    _ATEN.dot: ((0, 1),),
    _ATEN.addmm: ((1, 2),),
    _ATEN.baddbmm: ((1, 2),),
    _ATEN.convolution: ((0, 1),),
    _ATEN.convolution_backward: ((0, 1), (0, 2)),
}
"""The arguments that are multiplied inside the operation. Only the sum of these products is returned."""


class RangeWatch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Checks every operation while it is entered, including those of backward passes.

    ``left`` says whether one of them gave a nonzero number below the smallest normal number or a number above
    the largest one. Both limits have a reserve of 1/eps for the inside of an operation. ``left`` is also set
    by a 0 that is not 0 in exact arithmetic. If it is not set, every rounding was relative and commutes with
    powers of two.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.left = False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run one operation and check its result."""
        packet = func.overloadpacket
        # An in-place operation overwrites the arguments by which it is judged, so they are read first.
        factors = [_nonzero(args[i]) for i in _PRODUCTS.get(packet, ())] if not self.left else []
        pairs = _INNER_PRODUCTS.get(packet, ()) if not self.left else ()
        crossed = any(_may_underflow(args[i], args[j]) for i, j in pairs)
        out = func(*args, **(kwargs or {}))
        if not self.left:
            self.left = crossed or any(_leaves(leaf) for leaf in tree_leaves(out)) or _lost(out, factors)
        return out


class PrecisionWatch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Detects numbers that are rounded to a narrower dtype while it is entered; ``eps`` is the largest eps
    met.

    Some models compute a norm or a softmax in float32 whatever their dtype is. Their rounding is that of
    float32.
    """

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.eps = torch.finfo(dtype).eps

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run one operation and check whether it is a cast from one floating dtype to another."""
        out = func(*args, **(kwargs or {}))
        if func.overloadpacket is _ATEN._to_copy and _is_float(args[0]) and _is_float(out):
            self.eps = max(self.eps, torch.finfo(out.dtype).eps)
        return out


def _is_float(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point()


def _nonzero(value: Any) -> Any:
    return value != 0


def _lost(out: Any, factors: list[Any]) -> bool:
    """Return whether a product is 0 although none of its factors is."""
    if not factors or not _is_float(out):
        return False
    whole = out == 0
    for factor in factors:
        whole = whole & factor
    return bool(whole.any())


def _leaves(out: Any) -> bool:
    if not _is_float(out) or not out.numel():
        return False
    info, size = torch.finfo(out.dtype), out.detach().abs()
    return bool((((size > 0) & (size < info.tiny / info.eps)) | (size > info.max * info.eps)).any())


def _may_underflow(one: Tensor, two: Tensor) -> bool:
    info = torch.finfo(one.dtype)
    smallest = [_smallest(t) for t in (one, two)]
    return smallest[0] * smallest[1] < info.tiny / info.eps


def _smallest(tensor: Tensor) -> float:
    """Return the smallest magnitude that is not 0, or infinity if there is none."""
    size = tensor.detach().abs()
    size = size[size > 0]
    return float(size.min()) if size.numel() else float("inf")
