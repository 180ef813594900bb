"""How large <g, w> may be through rounding alone: the bound behind gradient orthogonality.

Let z = W x (+ b) be what a norm layer reads, y = (z - mu) / sigma, and v = dL/dy as computed. The exact
backward pass delta = (v - mean(v) - y mean(v y)) / sigma satisfies <delta, z> = 0 for *any* v, hence <dL/dW,
W> (+ <dL/db, b>) = <delta, W x + b> = 0 whatever happened behind the norm layer: the bound needs no error
from deeper layers. What is computed differs. With u the unit roundoff, n the numbers in a set, M = max|z|,
kappa = M / sigma, G0 = sum|v| and G1 = sum|v y| over the set, to first order in u unless said:

1. The mean is off by n u M, and so is z - mu: it enters <v, z - mu> / sigma as (n + 2) u kappa G0.
2. The three sums sum v y, sum y^2 and the division are off relatively by (2 n + 9) u: times G1.
3. The offset of the mean also enters sum y^2 in second order, (n u kappa)^2 G1, which matters for sets that
   barely vary (kappa up to 1 / 8u), and single roundings of z - mu by 2 u kappa G1.
4. Subtracting the mean of the gradient leaves a sum of n u sum|g| with sum|g| <= (G0 + G1) / sigma: it
multiplies
   mu, and the last rounding multiplies z: (n + 2) u kappa (G0 + G1).
   Together at most u (n + 9) [4 (1 + kappa) (G0 + G1) + n u kappa^2 G1].
5. W x itself carries fan_in u |W||x|, the sum over N samples and pixels in dL/dW carries N u |delta||x|, the
sum
   of p layers in a residual stream and of p gradients out of it p u each, and the final inner product d u
   |g||w|: with kappa' = max(|W||x| + |b|) / sigma, which may far exceed kappa where W x cancels, and
   sum|delta| <= 2 (G0 + G1) / sigma, at most u (N + fan_in + 2 p + d) 2 kappa' (G0 + G1).

All sums are bounded as if they were added one by one; torch adds in blocks, so that the truth is far below.
Winograd and FFT convolutions, which no CPU build of torch uses, do not satisfy 5. Underflow adds h, half a
subnormal, u times the smallest normal number, to each product and quotient of the backward pass. In the
gradient of the variance it is multiplied by 2 |z - mu| / n again, so that delta errs by h (3 + 2 kappa + 4 M)
and |v| is raised by that over 1/sigma; each entry of dL/dW has N h of its own, which meets |w|.
The terms of second order, and (1 + u)^n - 1 instead of n u, are covered by the factor SAFETY.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from ilr_check.nets.build import Layer
from ilr_check.nets.groups import Group
from ilr_check.nets.norms import Norm, as_sets

SAFETY = 2.0
"""Covers (1 + u)^n - 1 <= 2 n u for n u <= 1 and products of two relative errors; not tuned."""

CASCADE = 64
"""The additions that a number passes through in ``torch.sum``: 4 levels of at most 16, up to 2^16 numbers."""


class NormScale(msgspec.Struct, frozen=True, kw_only=True):
    """The un-cancelled terms at one norm layer, summed over its sets, in units of the loss.

    ``norm_terms`` is the bracket of points 1 to 4 with its n + 9, ``weight_terms`` is 2 kappa' (G0 + G1) of
    point 5, to be multiplied by ``length`` = N + fan_in + 2 p. ``names`` are the parameters that the layer
    normalises.
    """

    names: tuple[str, ...]
    norm_terms: float
    weight_terms: float
    length: int
    worst_condition: float
    """The largest max|z| / sigma of a set that is not dead."""


class OrthogonalityScale(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One backward pass: its gradients by name, and the scale of each norm layer in order of execution."""

    gradients: dict[str, Tensor]
    norms: tuple[NormScale, ...]
    unit_roundoff: float


def orthogonality_scale(
    module: nn.Module,
    parameters: Mapping[str, Tensor],
    x: Tensor,
    y: Tensor,
    *,
    loss: Callable[[Tensor, Tensor], Tensor] = functional.cross_entropy,
) -> OrthogonalityScale:
    """Run one forward and backward pass and return its gradients with the scales that bound their rounding.

    ``module`` comes from ``build``; ``x`` is [batch, inputs], ``y`` whatever ``loss`` takes beside the
    logits. The module is left as it was. The scales belong to these gradients: another execution (vmap,
    compiled, another device) has others that agree up to rounding, which is no help where a gradient is all
    rounding (``degenerate``).
    """
    writers: tuple[tuple[str, ...], ...] | None = getattr(module, "writers", None)
    if writers is None:
        raise ValueError(
            f"{type(module).__name__} was not made by ilr_check.nets.build: its layers are unknown"
        )
    leaves = {name: value.detach().requires_grad_() for name, value in parameters.items()}
    read: list[tuple[Norm, Tensor, Tensor]] = []
    magnitudes: dict[str, Tensor] = {}

    def see_norm(norm: nn.Module, args: Any, out: Tensor) -> None:
        assert isinstance(norm, Norm)
        read.append((norm, args[0].detach(), out))

    def see_layer(name: str) -> Callable[[nn.Module, Any, Tensor], None]:
        def see(layer: nn.Module, args: Any, out: Tensor) -> None:
            assert isinstance(layer, Layer)
            magnitudes[name] = layer.magnitude(args[0])

        return see

    hooks = [m.register_forward_hook(see_norm) for m in module.modules() if isinstance(m, Norm)]
    hooks += [
        m.register_forward_hook(see_layer(n)) for n, m in module.named_modules() if isinstance(m, Layer)
    ]
    try:
        value = loss(functional_call(module, leaves, (x,)), y)
    finally:
        for hook in hooks:
            hook.remove()
    outs = [out for _, _, out in read]
    grads = torch.autograd.grad(value, [*leaves.values(), *outs], allow_unused=True, materialize_grads=True)
    norms = []
    for (norm, z, out), v, layers in zip(read, grads[len(leaves) :], writers, strict=True):
        names = tuple(n for n in leaves if n.rpartition(".")[0] in layers)
        fan_in = max(leaves[n][0].numel() for n in names if n.endswith("weight"))
        samples = z.numel() // z.shape[1]
        norms.append(
            _norm_scale(
                norm,
                z,
                out.detach(),
                v,
                sum(magnitudes[n] for n in layers),  # type: ignore[arg-type]
                names=names,
                length=samples + fan_in + 2 * len(layers),
                entries=sum(float(leaves[n].detach().double().abs().sum()) for n in names),
            )
        )
    return OrthogonalityScale(
        gradients=dict(zip(leaves, grads[: len(leaves)], strict=True)),
        norms=tuple(norms),
        unit_roundoff=0.5 * torch.finfo(x.dtype).eps,
    )


def gradient_orthogonality_bound(
    scale: OrthogonalityScale, names: Iterable[str], *, dot_length: int = 1
) -> float:
    """Return the bound on |sum_i <g_i, w_i>| over the group ``names`` that rounding alone can reach.

    Absolute, in units of the loss; the equation is in the module's docstring. ``dot_length`` is 1 for
    products summed as in ``inner_product``, and the number of products for a plain sum in the dtype of the
    gradients.
    """
    group = set(names)
    total = sum(
        norm.norm_terms + (norm.length + dot_length) * norm.weight_terms
        for norm in scale.norms
        if group & set(norm.names)
    )
    return SAFETY * scale.unit_roundoff * total


def orthogonality_bounds(
    module: nn.Module,
    parameters: Mapping[str, Tensor],
    x: Tensor,
    y: Tensor,
    groups: Iterable[Group],
    *,
    loss: Callable[[Tensor, Tensor], Tensor] = functional.cross_entropy,
    dot_length: int = CASCADE,
) -> tuple[float, ...]:
    """Return the bound on |<g, w>| of each group, for products summed by ``torch.sum`` in float64."""
    scale = orthogonality_scale(module, parameters, x, y, loss=loss)
    return tuple(gradient_orthogonality_bound(scale, g.names, dot_length=dot_length) for g in groups)


def inner_product(
    gradients: Mapping[str, Tensor], parameters: Mapping[str, Tensor], names: Iterable[str]
) -> float:
    """Return sum_i <g_i, w_i> over ``names``: products in float64, then summed exactly (``math.fsum``)."""
    products = [(gradients[n].double() * parameters[n].double()).flatten() for n in names]
    return math.fsum(torch.cat(products).tolist())


def _norm_scale(
    norm: Norm,
    z: Tensor,
    y: Tensor,
    v: Tensor,
    magnitude: Tensor,
    *,
    names: tuple[str, ...],
    length: int,
    entries: float,
) -> NormScale:
    """Return the terms of one norm layer; float64 throughout, so that they do not overflow in float32."""
    sets, dims = as_sets(z, norm.spec)
    # A dead set, and only such a set, is all zeros; deciding by the variance again could differ at the
    # threshold.
    alive = as_sets(y, norm.spec)[0].abs().amax(dims, keepdim=True).ne(0).double()
    sets, size = sets.double(), math.prod(sets.shape[d] for d in dims)
    sigma = (sets.var(dims, unbiased=False, keepdim=True) + norm.spec.eps).sqrt()
    sigma = torch.where(alive > 0, sigma, 1.0)
    smallest = torch.finfo(z.dtype).smallest_normal
    largest = sets.abs().amax(dims, keepdim=True)
    underflow = smallest * (1 + sigma * (3 + 4 * largest) + 2 * largest)
    weight = as_sets(v, norm.spec)[0].double().abs() + underflow
    g0 = weight.sum(dims, keepdim=True)
    g1 = (weight * as_sets(y, norm.spec)[0].double().abs()).sum(dims, keepdim=True)
    kappa = largest / sigma
    reach = as_sets(magnitude, norm.spec)[0].double().abs().amax(dims, keepdim=True) / sigma
    unit = 0.5 * torch.finfo(z.dtype).eps
    bracket = (size + 9) * (4 * (1 + kappa) * (g0 + g1) + size * unit * kappa**2 * g1)
    return NormScale(
        names=names,
        norm_terms=float((alive * bracket).sum()) + entries * smallest * (length + 2),
        weight_terms=float((alive * 2 * reach * (g0 + g1)).sum()),
        length=length,
        worst_condition=float((alive * kappa).max()),
    )
