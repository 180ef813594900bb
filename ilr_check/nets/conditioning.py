"""How large <g, w> can be through rounding alone: the bound behind gradient orthogonality.

Let z = W x (+ b) be the input of a norm layer, y = (z - mu) / sigma, and v = dL/dy as computed. The exact
backward pass delta = (v - mean(v) - y mean(v y)) / sigma satisfies <delta, z> = 0 for *any* v. Hence <dL/dW,
W> (+ <dL/db, b>) = <delta, W x + b> = 0, whatever happened behind the norm layer, and the bound needs no
error from deeper layers. The computed value differs from 0. With u the unit roundoff, n the numbers in a set,
M = max|z|, kappa = M / sigma, G0 = sum|v| and G1 = sum|v y| over the set, and to first order in u unless
stated otherwise:

1. The error of the mean is n u M, and so is that of z - mu. It enters <v, z - mu> / sigma as (n + 2) u kappa
   G0.
2. The relative error of the three sums sum v y, sum y^2 and of the division is (2 n + 9) u, times G1.
3. The error of the mean also enters sum y^2 in second order, (n u kappa)^2 G1, which matters for sets that
   barely vary (kappa up to 1 / 8u). Single roundings of z - mu add 2 u kappa G1.
4. The subtraction of the mean of the gradient leaves a sum of n u sum|g| with sum|g| <= (G0 + G1) / sigma. It
   multiplies mu, and the last rounding multiplies z: (n + 2) u kappa (G0 + G1). Points 1 to 4 together are at
   most u (n + 9) [4 (1 + kappa) (G0 + G1) + n u kappa^2 G1].
5. W x itself has the error fan_in u |W||x|. The sum over N samples and pixels in dL/dW has N u |delta||x|.
   The sum of p layers in a residual stream and that of p gradients out of it have p u each, and the final
   inner product has d u |g||w|. With kappa' = max(|W||x| + |b|) / sigma, which can far exceed kappa where W x
   cancels, and sum|delta| <= 2 (G0 + G1) / sigma, these are at most u (N + fan_in + 2 p + d) 2 kappa' (G0 +
   G1).

A norm without a mean has only point 2 and the last part of point 4. A norm of weights reads the parameter
itself, so only the inner product of point 5 remains. If a tensor is used q times, the scales of the q norms
add up, and the sum of q gradients costs q u more. A gain and a shift, a = gain y + shift, behind an earlier
norm have <dL/dgain, gain> + <dL/dshift, shift> = <dL/da, a> = <W' delta, act(a)> = <delta, W act(a)>, because
act is homogeneous. So the norm that follows bounds them. Before anything cancels the terms are |W|(|gain||y|
+ |shift|), which replaces |W||x| in kappa', and W' delta adds its sum of fan_out terms. Attention adds
nothing, because every trained tensor in front of it has a norm of its own there.

All sums are bounded as if they were added one by one. torch adds in blocks, so the true error is far smaller.
Winograd and FFT convolutions do not satisfy point 5; no CPU build of torch uses them. Underflow adds h, half
a subnormal, u times the smallest normal number, to each product and quotient of the backward pass. In the
gradient of the variance it is multiplied by 2 |z - mu| / n again, so the error of delta is h (3 + 2 kappa + 4
M), and |v| is raised by that over 1/sigma. Each entry of dL/dW has N h of its own, which multiplies |w|. In
the forward pass each product of W x loses h, which adds to |W||x|. The mean loses h, and so does z - mu:
h/sigma (G0 + G1). Each square and their mean lose h, so the error of sigma^2 is 2h and that of <delta, z> is
2h/sigma^2 G1. The factor SAFETY covers the terms of second order, and (1 + u)^n - 1 instead of n u.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from ilr_check.nets.build import Read
from ilr_check.nets.groups import Group
from ilr_check.nets.layers import Affine, Layer
from ilr_check.nets.norms import Norm, as_sets

SAFETY = 2.0
"""Covers (1 + u)^n - 1 <= 2 n u for n u <= 1, and products of two relative errors. It is not tuned."""

CASCADE = 64
"""The additions that a number passes through in ``torch.sum``: 4 levels of at most 16, for up to 2^16
numbers."""


class NormScale(msgspec.Struct, frozen=True, kw_only=True):
    """The terms at one norm layer before they cancel, summed over its sets, in units of the loss.

    ``norm_terms`` is the bracket of points 1 to 4 with its n + 9. ``weight_terms`` is 2 kappa' (G0 + G1) of
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
    """The result of one backward pass: its gradients by name, and the scale of each norm in order of
    execution."""

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
    """Run one forward and backward pass. Return its gradients and the scales that bound their rounding.

    ``module`` comes from ``build``, ``x`` is [batch, inputs], and ``y`` is the second argument of ``loss``,
    after the logits. The module is not changed. The scales belong to these gradients. Another execution
    (vmap, compiled, another device) has scales that agree up to rounding, which does not help where a
    gradient is all rounding (see ``degenerate``). Raises ``ValueError`` for a module that ``build`` did not
    make.
    """
    reads: tuple[Read, ...] | None = getattr(module, "reads", None)
    if reads is None:
        raise ValueError(
            f"{type(module).__name__} was not made by ilr_check.nets.build: its layers are unknown"
        )
    leaves = {name: value.detach().requires_grad_() for name, value in parameters.items()}
    seen = _Seen(fed_by={read.calls[0]: read.affine for read in reads if read.affine})
    with seen.watching(module):
        value = loss(functional_call(module, leaves, (x,)), y)
    outs = [out for _, _, out in seen.norms]
    grads = torch.autograd.grad(value, [*leaves.values(), *outs], allow_unused=True, materialize_grads=True)
    scales: list[NormScale] = []
    for read, (norm, z, out), v in zip(reads, seen.norms, grads[len(leaves) :], strict=True):
        scales += _scales(module, leaves, read, seen, (norm, z, out.detach(), v))
    return OrthogonalityScale(
        gradients=dict(zip(leaves, grads[: len(leaves)], strict=True)),
        norms=tuple(scales),
        unit_roundoff=0.5 * torch.finfo(x.dtype).eps,
    )


class _Seen:
    """The values that pass through a net of ours in one execution, in order."""

    def __init__(self, fed_by: Mapping[int, str]) -> None:
        self.fed_by = fed_by
        self.norms: list[tuple[Norm, Tensor, Tensor]] = []
        self.magnitudes: list[Tensor] = []
        """|W||x| + |b| of each execution of a layer."""
        self.affine_magnitudes: dict[int, Tensor] = {}
        """The same with |gain||y| + |shift| for |x|, for layers that read a trained gain and shift."""
        self._behind_norms: dict[str, Tensor] = {}

    @contextmanager
    def watching(self, module: nn.Module) -> Iterator[None]:
        """Record every norm, layer, gain and shift that is executed."""
        hooks = [m.register_forward_hook(self._hook(n)) for n, m in module.named_modules()]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _hook(self, name: str) -> Callable[[nn.Module, Any, Tensor], None]:
        def see(module: nn.Module, args: Any, out: Tensor) -> None:
            if isinstance(module, Norm):
                self.norms.append((module, args[0].detach(), out))
            elif isinstance(module, Affine):
                self._behind_norms[name] = module.magnitude(args[0])
            elif isinstance(module, Layer):
                feeding = self.fed_by.get(len(self.magnitudes))
                if feeding:
                    self.affine_magnitudes[len(self.magnitudes)] = module.magnitude(
                        self._behind_norms[feeding], *args[1:]
                    )
                self.magnitudes.append(module.magnitude(*args))

        return see


def _scales(
    module: nn.Module,
    leaves: Mapping[str, Tensor],
    read: Read,
    seen: _Seen,
    at_norm: tuple[Norm, Tensor, Tensor, Tensor],
) -> list[NormScale]:
    """Return the scale of one norm for what it normalises, and for a gain and shift in front of it."""
    norm, z, out, v = at_norm
    calls: tuple[str, ...] = module.calls  # type: ignore[assignment]
    layers = [calls[call] for call in read.calls]
    leaves_of = ("weight",) if read.norm.of_weights else ("weight", "bias")
    names = tuple(n for n in leaves if n.rpartition(".")[0] in layers and n.rpartition(".")[2] in leaves_of)
    uses = max(calls.count(layer) for layer in layers)
    weight = leaves[names[0]]
    if read.norm.of_weights:
        return [norm_scale(norm, z, out, v, z.abs(), leaves, names=names, length=uses + 2)]
    samples = z.numel() // z.shape[1]
    fan_in = max(leaves[n][0].numel() for n in names if n.endswith("weight"))
    length = samples + fan_in + 2 * len(layers) + uses
    magnitude: Tensor = sum(seen.magnitudes[call] for call in read.calls)  # type: ignore[assignment]
    scales = [norm_scale(norm, z, out, v, magnitude, leaves, names=names, length=length)]
    if read.affine:
        pair = tuple(n for n in leaves if n.rpartition(".")[0] == read.affine)
        longer = length + weight[:, 0].numel()
        reach = seen.affine_magnitudes[read.calls[0]]
        scales.append(norm_scale(norm, z, out, v, reach, leaves, names=pair, length=longer))
    return scales


def gradient_orthogonality_bound(
    scale: OrthogonalityScale, names: Iterable[str], *, dot_length: int = 1
) -> float:
    """Return the bound of |sum_i <g_i, w_i>| over the group ``names`` that rounding alone can reach.

    The bound is absolute, in units of the loss. The module's docstring derives it. ``dot_length`` is 1 for
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
    """Return the bound of |<g, w>| of each group, for products summed by ``torch.sum`` in float64."""
    scale = orthogonality_scale(module, parameters, x, y, loss=loss)
    return tuple(gradient_orthogonality_bound(scale, g.names, dot_length=dot_length) for g in groups)


def inner_product(
    gradients: Mapping[str, Tensor], parameters: Mapping[str, Tensor], names: Iterable[str]
) -> float:
    """Return sum_i <g_i, w_i> over ``names``: float64 products, summed exactly (``math.fsum``)."""
    products = [(gradients[n].double() * parameters[n].double()).flatten() for n in names]
    return math.fsum(torch.cat(products).tolist())


def norm_scale(
    norm: Norm,
    z: Tensor,
    y: Tensor,
    v: Tensor,
    magnitude: Tensor,
    leaves: Mapping[str, Tensor],
    *,
    names: tuple[str, ...],
    length: int,
) -> NormScale:
    """Return the terms of one norm layer, in float64 so that they do not overflow in float32."""
    sets, dims = as_sets(z, norm.spec)
    # A dead set is all zeros, and no other set is. A second decision by the variance could differ at the
    # threshold.
    alive = as_sets(y, norm.spec)[0].abs().amax(dims, keepdim=True).ne(0).double()
    alive = alive if norm.spec.eps == 0 else torch.ones_like(alive)  # with an eps no set is dead
    entries = sum(float(leaves[n].detach().double().abs().sum()) for n in names)
    sets, size = sets.double(), math.prod(sets.shape[d] for d in dims)
    centred = sets - sets.mean(dims, keepdim=True) if norm.spec.centred else sets
    sigma = (centred.square().mean(dims, keepdim=True) + norm.spec.eps).sqrt()
    sigma = torch.where(alive > 0, sigma, 1.0)
    smallest = torch.finfo(z.dtype).smallest_normal
    largest = sets.abs().amax(dims, keepdim=True)
    underflow = smallest * (1 + sigma * (3 + 4 * largest) + 2 * largest)
    weight = as_sets(v, norm.spec)[0].double().abs() + underflow
    g0 = weight.sum(dims, keepdim=True)
    g1 = (weight * as_sets(y, norm.spec)[0].double().abs()).sum(dims, keepdim=True)
    kappa = largest / sigma
    reach = as_sets(magnitude.detach(), norm.spec)[0].double().abs().amax(dims, keepdim=True)
    reach = (reach + smallest) / sigma
    unit = 0.5 * torch.finfo(z.dtype).eps
    bracket = (size + 9) * (4 * (1 + kappa) * (g0 + g1) + size * unit * kappa**2 * g1)
    bracket = bracket + smallest * ((g0 + g1) / sigma + 2 * g1 / sigma**2)
    return NormScale(
        names=names,
        norm_terms=float((alive * bracket).sum()) + entries * smallest * (length + 2),
        weight_terms=float((alive * 2 * reach * (g0 + g1)).sum()),
        length=length,
        worst_condition=float((alive * kappa).max()),
    )
