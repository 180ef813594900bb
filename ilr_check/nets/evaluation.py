"""How far a computed loss may be from the exact one through rounding: the bound behind scale invariance.

Let t_1, t_2, ... be everything that is computed on the way to the loss L. Each operation adds an error of its
own, |e_j| <= u rho_j entry by entry, and to first order L is off by sum_j <dL/dt_j, e_j>, hence by at most u
sum_j <|dL/dt_j|, rho_j>, with the derivatives from one backward pass. With n the numbers in a sum or a set:

- a layer: rho = (fan_in + 6) (|W||x| + |b|): the sum, the product with gain and 1/sqrt(fan_in), and the
  weights themselves, which lose up to u when they are multiplied by a factor that is no power of two;
- a norm: rho = (n + 4) kappa + (n + 8) |y| + n^2 u kappa^2 |y|, kappa = max|z| / sigma: the mean is off by n
  u max|z|, which enters y once directly and in second order through the variance; the variance, its root and
  the quotient are off relatively. What it reads may be a sum: rho = |z| there;
- a gain and shift: 3 (|gain||y| + |shift|);
- an activation: |x| if it is piecewise linear, else 8 (|x| + 1);
- attention: (2 d max_k sum|q||k| / sqrt(d) + 2 T + 8) P|v|, P the shares: scores of d terms, whose error
  enters the exponent, a softmax and a sum over T tokens;
- the head: (n + 2) |H||h|; cross-entropy over N rows of C classes: 4 max|logit| + C + 8 + (N + 2) L.

Only first order: where the bound exceeds ``ILL_CONDITIONED`` of 1 + |L|, second-order terms could matter and
it says nothing. A kink within rounding of an activation's input is not covered; inputs that are exactly 0 are
no kink in this sense, since they are 0 in both evaluations. ``SAFETY`` of ``ilr_check.nets.conditioning`` is
included.
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
from ilr_check.nets.layers import Activation, Affine, Attend, Layer
from ilr_check.nets.norms import Norm, as_sets
from ilr_check.nets.specs import HOMOGENEOUS

ILL_CONDITIONED = 2.0**-10
"""Second-order terms are then below a thousandth of the bound, times their own constants."""


def evaluation_bound(
    module: nn.Module, parameters: Mapping[str, Tensor], x: Tensor, y: Tensor
) -> tuple[Tensor, float]:
    """Return the cross-entropy of a net of ours, and how far rounding may have moved it.

    ``x`` is [batch, inputs], ``y`` [batch]. The bound is infinite where it would not be trustworthy.
    """
    leaves = {name: value.detach().requires_grad_() for name, value in parameters.items()}
    terms: list[tuple[Tensor, Tensor]] = []
    features: list[Tensor] = []

    def see(part: nn.Module, args: Any, out: Tensor) -> None:
        if isinstance(part, Norm):
            terms.append((args[0], args[0].detach().abs()))
        if isinstance(part, Activation):
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
    tensors = [tensor for tensor, _ in terms if tensor.requires_grad]
    slopes = torch.autograd.grad(loss, tensors, allow_unused=True, materialize_grads=True)
    known = [rho for tensor, rho in terms if tensor.requires_grad]
    total = sum(float((g.double().abs() * rho.double()).sum()) for g, rho in zip(slopes, known, strict=True))
    largest, value = float(logits.detach().abs().max()), float(loss.detach())
    total += 4.0 * largest + classes + 8.0 + (rows + 2.0) * abs(value)
    bound = SAFETY * 0.5 * torch.finfo(x.dtype).eps * total
    trusted = bound <= ILL_CONDITIONED * (1.0 + abs(value))
    return loss.detach(), bound if trusted else math.inf


def _rounding(part: nn.Module, args: tuple[Any, ...], out: Tensor) -> Tensor | None:
    """Return rho of one operation, in the shape of its output; see this module's docstring."""
    if isinstance(part, Layer):
        sums: Tensor = (part.fan_in + 6) * part.magnitude(*args)
        return sums
    if isinstance(part, Norm):
        return _rounding_of_norm(part, args[0].detach(), out)
    if isinstance(part, Affine):
        shifted: Tensor = 3 * part.magnitude(args[0])
        return shifted
    if isinstance(part, Activation):
        size: Tensor = args[0].detach().abs()
        return size if part.name in HOMOGENEOUS else 8 * (size + 1)
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
    centred = sets - sets.mean(dims, keepdim=True) if norm.spec.centred else sets
    sigma = (centred.square().mean(dims, keepdim=True) + norm.spec.eps).sqrt()
    alive = y.abs().amax(dims, keepdim=True) > 0
    kappa = torch.where(alive, sets.abs().amax(dims, keepdim=True) / torch.where(alive, sigma, 1.0), 0.0)
    rho = (count + 4) * kappa + (count + 8) * y.abs() + unit * (count * kappa) ** 2 * y.abs()
    return torch.where(alive, rho, 0.0).reshape(out.shape)
