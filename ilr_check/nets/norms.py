"""Norm layers whose eps we own, exactly equivariant under powers of two when it is 0."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ilr_check.nets.specs import NormSpec

DEAD_FACTOR = 8.0
"""A set counts as constant when sigma <= 8 u max|x|.

The mean of a set of equal numbers is off by a few u max|x| (pairwise summation, then one division), so a
spread of this size is rounding, not signal; dividing by it would turn noise into unit variance and gradients
of 1/(u max|x|). 8 covers the error of the mean, of the pre-activation's own last rounding, and of the
subtraction, with a factor 2.
"""


def normalise(x: Tensor, spec: NormSpec, eps: Tensor | None = None, rows: int | None = None) -> Tensor:
    """Return (x - mean) / sqrt(var + eps) over each normalisation set, with the biased variance.

    ``x`` is [batch, features] or [batch, channels, height, width], or weights [outputs, ...] where ``spec``
    normalises these; the result has its shape. ``rms`` and ``weight_norm`` take 0 for the mean. ``eps``
    stands for ``spec.eps`` if it is given, so that one can differentiate by it. With ``rows`` the statistics
    of a ``batch`` norm are those of the first ``rows`` rows, and the others are judged by them.

    With eps = 0 a set with sqrt(var) <= 8 u max|x| (u the unit roundoff of the dtype) gives 0 with zero
    gradient, else the result satisfies normalise(2^k x) == normalise(x) bit for bit and its gradient scales
    by exactly 2^-k, as long as nothing under- or overflows: sums, products, sqrt and quotient all commute
    with powers of two, and so does the comparison. There is no branch on data, so vmap, grad and compile pass
    through.
    """
    sets, dims = as_sets(x, spec)
    rows = rows if spec.kind == "batch" else None
    centred = sets - sets[:rows].mean(dims, keepdim=True) if spec.centred else sets
    var = centred[:rows].square().mean(dims, keepdim=True)
    if spec.eps > 0:
        return (centred / (var + (spec.eps if eps is None else eps)).sqrt()).reshape(x.shape)
    alive = is_alive(sets[:rows], var, dims)
    # Twice `where`: the first keeps sqrt'(0) = inf out of the backward pass, the second zeroes the output.
    sigma = torch.where(alive, var, 1.0).sqrt()
    return torch.where(alive, centred / sigma, 0.0).reshape(x.shape)


def as_sets(x: Tensor, spec: NormSpec) -> tuple[Tensor, tuple[int, ...]]:
    """Return ``x`` in a shape, and the dimensions of it, over which ``spec`` takes mean and variance."""
    if spec.kind == "batch":
        return x, (0, *range(2, x.dim()))
    if spec.kind == "instance":
        return x, tuple(range(2, x.dim()))
    if spec.of_weights:
        return x.flatten(1), (1,)
    return x.reshape(x.shape[0], spec.groups, -1), (2,)


def is_alive(sets: Tensor, var: Tensor, dims: tuple[int, ...]) -> Tensor:
    """Return whether each set varies by more than rounding: not sqrt(var) <= 8 u max|x|.

    Put so that NaN counts as alive and is passed on: a run that has diverged must not look like a dead unit.
    """
    sets, var = sets.detach(), var.detach()
    # torch's eps is the spacing at 1, which is 2u. Roots, not squares, so that the threshold does not
    # underflow.
    threshold = DEAD_FACTOR * 0.5 * torch.finfo(sets.dtype).eps
    return ~(var.sqrt() <= threshold * sets.abs().amax(dims, keepdim=True))


class Norm(nn.Module):
    """``normalise`` as a layer, so that hooks can find it."""

    def __init__(self, spec: NormSpec) -> None:
        super().__init__()
        self.spec = spec
        self.eps: Tensor | None = None
        """In the place of ``spec.eps``, where somebody wants to move it or to differentiate by it."""
        self.rows: int | None = None
        """How many of the first rows a ``batch`` norm takes its statistics from; None for all of them."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise ``x`` as ``normalise`` does."""
        return normalise(x, self.spec, self.eps, self.rows)

    def extra_repr(self) -> str:
        """Show the spec in the module's repr."""
        return repr(self.spec)
