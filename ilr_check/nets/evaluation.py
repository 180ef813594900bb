"""How far rounding can move a computed loss from the exact one: the bound behind scale invariance.

Let t_1, t_2, ... be all values that are computed on the way to the loss L. Each operation adds an error of
its own, |e_j| <= u rho_j for each entry. To first order the error of L is sum_j <dL/dt_j, e_j>, which is at
most u sum_j <|dL/dt_j|, rho_j>. One backward pass gives the derivatives. With n for the number of entries in
a sum or a set, the rho are:

- a layer: rho = (fan_in + 6) (|W||x| + |b|). This covers the sum, the product with gain and 1/sqrt(fan_in),
  and the weights themselves, which lose up to u when they are multiplied by a factor that is not a power of
  two.
- a norm: rho = (n + 4) kappa + (n + 8) |y| + n^2 u kappa^2 |y| with kappa = max|z| / sigma. The error of the
  mean is n u max|z|. It enters y once directly, and in second order through the variance. The errors of the
  variance, its root and the quotient are relative. The input may be a sum, with rho = |z|.
- a gain and shift: 3 (|gain||y| + |shift|).
- an activation: |x| if it is piecewise linear, else 8 (|x| + 1).
- a mean of n pixels: n times the mean of |x|.
- attention: (2 d max_k sum|q||k| / sqrt(d) + 2 T + 8) P|v| with the attention weights P. This covers scores
  of d terms, whose error enters the exponent, a softmax, and a sum over T tokens.
- the head: (n + 2) |H||h|. Cross-entropy over N rows of C classes: 4 max|logit| + C + 8 + (N + 2) L.

Each product may underflow, which costs half a subnormal, u times the smallest normal number s. So |W||x| is
raised by s, the kappa of a norm by s / sigma, and the relative error of its variance by 2 s / sigma^2.

The bound is of first order. Where it exceeds ``ILL_CONDITIONED`` of 1 + |L|, second-order terms could matter,
and the bound is infinite. Where a set has two numbers, or one number that is not centred, the slope of L does
not show the error: y is +-1 and dy/dz = 0 however small sigma is, and y flips where rounding exceeds sigma.
For such sets the first-order error of z must also stay, on average over a set, below ``ILL_CONDITIONED``
sigma. One backward pass of sum_i s_i z_i / sigma with fixed random signs s measures it; the error of all sets
of a norm stands for that of one. A kink within rounding of an activation's input is not covered. An input
that is exactly 0 is not such a kink, because it is 0 in both evaluations. The factor ``SAFETY`` of
``ilr_check.nets.conditioning`` is included.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from ilr_check.nets.conditioning import SAFETY
from ilr_check.nets.layers import Activation, Affine, Attend, Layer, Pool
from ilr_check.nets.norms import Norm, as_sets
from ilr_check.nets.specs import HOMOGENEOUS

ILL_CONDITIONED = 2.0**-10
"""Below this limit, second-order terms are less than a thousandth of the bound, times their own constants."""


def evaluation_bound(
    module: nn.Module, parameters: Mapping[str, Tensor], x: Tensor, y: Tensor
) -> tuple[Tensor, float]:
    """Return the cross-entropy of a net from ``build``, and a bound of its error through rounding.

    ``x`` is [batch, inputs], ``y`` is [batch]. The bound is infinite where it could not be trusted.
    """
    leaves = {name: value.detach().requires_grad_() for name, value in parameters.items()}
    terms: list[tuple[Tensor, Tensor]] = []
    features: list[Tensor] = []
    read: list[Tensor] = []

    def see(part: nn.Module, args: Any, out: Tensor) -> None:
        if isinstance(part, Norm):
            terms.append((args[0], args[0].detach().abs()))
            if _has_two_values(part, args[0]):
                read.append(_in_deviations(part, args[0], out.detach()))
        if isinstance(part, Activation | Pool):
            features[:] = [out.detach()]
        rounding = _rounding(part, args, out.detach())
        if rounding is not None:
            terms.append((out, rounding))

    hooks = [part.register_forward_hook(see) for part in module.modules()]
    try:
        logits = functional_call(module, leaves, (x,))
    finally:
        for hook in hooks:
            hook.remove()
    rows, classes = logits.shape
    head = module.get_buffer("head")
    h = features[0].reshape(rows, -1)
    terms.append((logits, (h.shape[1] + 2) * functional.linear(h.abs(), head.abs())))
    loss = functional.cross_entropy(logits, y)
    moved = [_moved(terms, deviations) for deviations in read]
    largest, value = float(logits.detach().abs().max()), float(loss.detach())
    total = _moved(terms, loss) + 4.0 * largest + classes + 8.0 + (rows + 2.0) * abs(value)
    unit = SAFETY * 0.5 * torch.finfo(x.dtype).eps
    bound = unit * total
    trusted = (
        bound <= ILL_CONDITIONED * (1.0 + abs(value)) and unit * max(moved, default=0.0) <= ILL_CONDITIONED
    )
    return loss.detach(), bound if trusted else math.inf


def _moved(terms: list[tuple[Tensor, Tensor]], value: Tensor) -> float:
    """Return sum_j <|d value / dt_j|, rho_j>: how far rounding moves a number to first order, over u."""
    tensors = [tensor for tensor, _ in terms if tensor.requires_grad]
    slopes = torch.autograd.grad(value, tensors, allow_unused=True, materialize_grads=True, retain_graph=True)
    known = [rho for tensor, rho in terms if tensor.requires_grad]
    return sum(float((g.double().abs() * rho.double()).sum()) for g, rho in zip(slopes, known, strict=True))


def _has_two_values(norm: Norm, z: Tensor) -> bool:
    """Return whether the sets are so small that y is +-1 for any input."""
    sets, dims = as_sets(z, norm.spec)
    return math.prod(sets.shape[d] for d in dims) == (2 if norm.spec.centred else 1)


def _in_deviations(norm: Norm, z: Tensor, out: Tensor) -> Tensor:
    """Return sum_i s_i z_i / (n sigma) with random signs, whose error is that of a set in units of sigma."""
    sets, dims = as_sets(z, norm.spec)
    count = math.prod(sets.shape[d] for d in dims)
    alive, sigma = _spread(norm, sets.detach().double(), as_sets(out, norm.spec)[0], dims)
    signs = torch.randint(2, sets.shape, generator=torch.Generator().manual_seed(0)).to(z.device) * 2.0 - 1.0
    return (torch.where(alive, signs / (count * sigma), 0.0) * sets).sum()


def _spread(norm: Norm, sets: Tensor, y: Tensor, dims: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Return which sets are not dead, and their standard deviations, with 1 for a dead set."""
    centred = sets - sets.mean(dims, keepdim=True) if norm.spec.centred else sets
    sigma = (centred.square().mean(dims, keepdim=True) + norm.spec.eps).sqrt()
    alive = y.abs().amax(dims, keepdim=True) > 0
    return alive, torch.where(alive, sigma, 1.0)


def _rounding(part: nn.Module, args: tuple[Any, ...], out: Tensor) -> Tensor | None:
    """Return rho of one operation, in the shape of its output. The docstring of this module derives it."""
    if isinstance(part, Layer):
        smallest = torch.finfo(out.dtype).smallest_normal * (1 + float(args[0].detach().abs().max()))
        sums: Tensor = (part.fan_in + 6) * (part.magnitude(*args) + smallest)
        return sums
    if isinstance(part, Norm):
        return _rounding_of_norm(part, args[0].detach(), out)
    if isinstance(part, Affine):
        shifted: Tensor = 3 * part.magnitude(args[0])
        return shifted
    if isinstance(part, Activation):
        size: Tensor = args[0].detach().abs()
        return size if part.name in HOMOGENEOUS else 8 * (size + 1)
    if isinstance(part, Pool):
        pixels: Tensor = args[0].detach().abs()
        return pixels.sum(dim=(2, 3))
    if isinstance(part, Attend):
        q, k, v = (part.split(t.detach()) for t in args)
        scores = (q.abs() @ k.abs().transpose(-1, -2)).amax(-1, keepdim=True) * q.shape[-1] ** 0.5
        shares = part.shares(args[0].detach(), args[1].detach())
        return part.joined((2 * scores + 2 * part.tokens + 8) * (shares @ v.abs()))
    return None


def _rounding_of_norm(norm: Norm, z: Tensor, out: Tensor) -> Tensor:
    sets, dims = as_sets(z.double(), norm.spec)
    y = as_sets(out.double(), norm.spec)[0]
    count, unit = math.prod(sets.shape[d] for d in dims), 0.5 * torch.finfo(z.dtype).eps
    alive, sigma = _spread(norm, sets, y, dims)
    smallest = torch.finfo(z.dtype).smallest_normal
    kappa = (sets.abs().amax(dims, keepdim=True) + smallest) / sigma
    relative = count + 8 + unit * (count * kappa) ** 2 + 2 * smallest / sigma**2
    rho = (count + 4) * kappa + relative * y.abs()
    return torch.where(alive, rho, 0.0).reshape(out.shape)
