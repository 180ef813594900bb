"""Norm layers with an eps of our own. With eps = 0 they are exactly equivariant under powers of two."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ilr_check.nets.specs import NormSpec

DEAD_FACTOR = 8.0
"""A set counts as constant if sigma <= 8 u max|x|.

The mean of a set of equal numbers has an error of a few u max|x| (pairwise summation, then one division). A
spread of this size is rounding and not signal; to divide by it would turn noise into unit variance and into
gradients of 1/(u max|x|). The factor 8 covers the error of the mean, the last rounding of the pre-activation
itself and that of the subtraction, with a reserve of 2.
"""


def normalise(x: Tensor, spec: NormSpec, eps: Tensor | None = None, rows: int | None = None) -> Tensor:
    """Return (x - mean) / sqrt(var + eps) over each normalisation set, with the biased variance.

    ``x`` is [batch, features] or [batch, channels, height, width], or weights [outputs, ...] if ``spec``
    normalises weights. The result has the same shape. ``rms`` and ``weight_norm`` use 0 as the mean. ``eps``
    replaces ``spec.eps`` if it is given, so that one can differentiate by it. With ``rows`` a ``batch`` norm
    takes its statistics from the first ``rows`` rows and applies them to all rows.

    With eps = 0, a set with sqrt(var) <= 8 u max|x| (u is the unit roundoff of the dtype) gives 0 with zero
    gradient. For any other set normalise(2^k x) == normalise(x) holds bit for bit, and the gradient scales by
    exactly 2^-k, unless something underflows or overflows. The reason is that sums, products, sqrt, quotient
    and comparison all commute with powers of two. There is no branch on data, so vmap, grad and compile work.
    """
    sets, dims = as_sets(x, spec)
    rows = rows if spec.kind == "batch" else None
    centred = sets - sets[:rows].mean(dims, keepdim=True) if spec.centred else sets
    var = centred[:rows].square().mean(dims, keepdim=True)
    if spec.eps > 0:
        return (centred / (var + (spec.eps if eps is None else eps)).sqrt()).reshape(x.shape)
    alive = is_alive(sets[:rows], var, dims)
    # There are two `where`: the first keeps sqrt'(0) = inf out of the backward pass, and the second one
    # zeroes the output.
    sigma = torch.where(alive, var, 1.0).sqrt()
    return torch.where(alive, centred / sigma, 0.0).reshape(x.shape)


def as_sets(x: Tensor, spec: NormSpec) -> tuple[Tensor, tuple[int, ...]]:
    """Return ``x`` reshaped for ``spec``, and the dimensions over which mean and variance are taken."""
    if spec.kind == "batch":
        return x, (0, *range(2, x.dim()))
    if spec.kind == "instance":
        return x, tuple(range(2, x.dim()))
    if spec.of_weights:
        return x.flatten(1), (1,)
    return x.reshape(x.shape[0], spec.groups, -1), (2,)


def is_alive(sets: Tensor, var: Tensor, dims: tuple[int, ...]) -> Tensor:
    """Return whether each set varies by more than rounding, that is not sqrt(var) <= 8 u max|x|.

    The comparison is negated so that NaN counts as alive and is passed on. A run that has diverged must not
    look like a dead unit.
    """
    sets, var = sets.detach(), var.detach()
    # torch's eps is the spacing at 1, which is 2u. The comparison uses roots and not squares, so that the
    # threshold does not underflow.
    threshold = DEAD_FACTOR * 0.5 * torch.finfo(sets.dtype).eps
    return ~(var.sqrt() <= threshold * sets.abs().amax(dims, keepdim=True))


class Norm(nn.Module):
    """``normalise`` as a layer, so that hooks can find it."""

    def __init__(self, spec: NormSpec) -> None:
        super().__init__()
        self.spec = spec
        self.eps: Tensor | None = None
        """Replaces ``spec.eps`` if it is set, so that a caller can change it or differentiate by it."""
        self.rows: int | None = None
        """The number of first rows from which a ``batch`` norm takes its statistics. None means all rows."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise ``x`` as ``normalise`` does."""
        return normalise(x, self.spec, self.eps, self.rows)

    def extra_repr(self) -> str:
        """Return the spec for the repr of the module."""
        return repr(self.spec)
