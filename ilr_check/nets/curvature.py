"""Hessian-vector products, and a bound of <w, H v> + <g, v> through rounding alone.

S(w) = <v, grad L(w)> is homogeneous of degree -1 in each invariant group. Hence <dS/dw, w> = -<v, g> over the
group, and dS/dw = H v. So <v, H w> = -<v, grad L> for every v, that is H w = -grad L. As for gradient
orthogonality, the identity is local. Let z be the input of a norm layer, mu its mean, c = z - mu, y = c /
sigma, vbar = dL/dy, zbar = dL/dz, and let t be the adjoint of zbar and q that of y in S. The exact double
backward pass through this norm gives <dS/dz, z> = -<t, zbar> for *any* computed t, vbar and q, because q sees
a function of degree 0 and zbar is linear in vbar with coefficients of degree -1 in z. The layer z = W x + b
adds t = V x + W a, with a the adjoint of dL/dx, and <zbar, W a> returns through W' zbar. What remains is
-<zbar, V x> = -<v, g>. So the rest of the net adds no error. With n numbers in a set, M = max|z|, kappa = M /
sigma, T0 = sum|t|, T1 = sum|t y|, G0 and G1 the same for vbar, P = sum|t vbar| and Psi = (P + (T0 + T1)(G0 +
G1) / n) / sigma, rounding enters as follows.

1. zbar = (vbar - mean vbar - y mean(vbar y)) / sigma and its adjoints in c are three products of t - mean t,
   y and vbar, two of them twice, with <|c|, |adjoint|> <= 5 Psi. Each factor is a sum of n terms, and each
   term is a chain of at most 16 roundings: (2 n + 16) u 5 Psi. That sigma^2 is the mean of c^2 only up to
   rounding adds (n + 4) u.
2. The algebra holds for any c, but z = c + mu + delta with |delta| <= n u M. sum|adjoint| <= 5 Psi / sigma
   because sum|y| <= n, so delta adds n u kappa 5 Psi. The subtracted mean of the adjoint adds as much again,
   and its last rounding 2 u kappa 5 Psi.
3. The means of t and of the gradient of c add n u (T0 / n)(G0 + G1) / sigma <= n u Psi each. Points 1 to 3
   together are at most u (n + 9) 16 (1 + kappa) (1 + n u kappa) Psi. The last factor is for sets that barely
   vary.
4. q passes through the norm as a gradient does: the bracket of ``conditioning`` with q for v.
5. For the layer, W x, V x and W a have errors of fan_in u of their absolute terms, sums over N samples N u,
   over p layers and q uses p u and q u, and the final inner products d u. The terms are kappa' (10 Psi + 2
   (Q0 + Q1)) with kappa' = max(|W||x| + |b|) / sigma for dS/dz, and sum |zbar| (|V||x| + |v_b| + |W||a|).

A norm of weights reads the parameter itself, so only the inner product of point 5 remains. Gains and shifts
in front of a norm are not bounded here. Underflow adds h, u times the smallest normal number, to each
product: h (1 + M)(1 + 1/sigma)^3 (1 + max|t| + max|vbar|) n, because later factors are of these kinds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from ilr_check.nets.build import Read
from ilr_check.nets.conditioning import CASCADE, SAFETY
from ilr_check.nets.layers import Layer
from ilr_check.nets.norms import Norm, as_sets

Tensors = Mapping[str, Tensor]


@dataclass(frozen=True, eq=False)
class _NormPass:
    """One norm in one execution, with its input and its output."""

    norm: Norm
    z: Tensor
    y: Tensor


@dataclass(frozen=True, eq=False)
class _LayerPass:
    """One execution of a layer, with its input and stride."""

    layer: Layer
    x: Tensor
    stride: int


@dataclass(frozen=True, eq=False)
class HessianProduct:
    """H v for each tensor, and the rounding of <w, H v> + <g, v> at each norm, in units of u."""

    values: dict[str, Tensor]
    terms: tuple[tuple[tuple[str, ...], float], ...]
    unit_roundoff: float

    def bound(self, names: Iterable[str]) -> float:
        """Return the bound of |<w, H v> + <g, v>| over a group. The module's docstring derives it."""
        group = set(names)
        return SAFETY * self.unit_roundoff * sum(size for read, size in self.terms if group & set(read))


class Curvature:
    """The graph of a minibatch gradient of a net from ``build``, for Hessian-vector products with bounds.

    ``gradients`` are keyed by name. It costs one forward and one backward pass, and each product costs two
    backward passes.
    """

    def __init__(self, module: nn.Module, weights: Tensors, x: Tensor, y: Tensor) -> None:
        self.reads: tuple[Read, ...] = module.reads  # type: ignore[assignment]
        self.calls: tuple[str, ...] = module.calls  # type: ignore[assignment]
        self.leaves = {name: w.detach().clone().requires_grad_() for name, w in weights.items()}
        self.fixed = dict(module.named_buffers())
        self.norms: list[_NormPass] = []
        self.layers: list[_LayerPass] = []
        handles = [m.register_forward_hook(self._see) for m in module.modules()]
        try:
            loss = functional.cross_entropy(functional_call(module, self.leaves, (x,)), y)
        finally:
            for handle in handles:
                handle.remove()
        parts = [
            list(self.leaves.values()),
            [norm.z for norm in self.norms],
            [norm.y for norm in self.norms],
            [call.x for call in self.layers if call.x.requires_grad],
        ]
        found = _derivatives(loss, parts, create_graph=True)
        self.gradients = dict(zip(self.leaves, found[0], strict=True))
        self._z_bars, self._y_bars, self._x_bars = found[1:]
        self.unit_roundoff = 0.5 * torch.finfo(x.dtype).eps

    def _see(self, module: nn.Module, args: Any, out: Tensor) -> None:
        if isinstance(module, Norm):
            self.norms.append(_NormPass(module, args[0], out))
        elif isinstance(module, Layer):
            self.layers.append(_LayerPass(module, args[0], *(args[1:] or (1,))))

    def adjoints(self, v: Tensors) -> list[list[Tensor]]:
        """Run the second backward pass. Return H v, then the adjoints t, q and those of dL/dx."""
        along = sum((self.gradients[name] * v[name]).sum() for name in self.leaves)
        parts = [list(self.leaves.values()), self._z_bars, [norm.y for norm in self.norms], self._x_bars]
        return _derivatives(along, parts, create_graph=False)

    def times(self, v: Tensors) -> HessianProduct:
        """Return H v with its bounds, for ``v`` keyed by name."""
        values, t, q, adjoints = self.adjoints(v)
        given = iter(adjoints)
        inputs = [next(given) if call.x.requires_grad else torch.zeros_like(call.x) for call in self.layers]
        terms = tuple(
            self._terms(number, read, v, t[number], q[number], inputs)
            for number, read in enumerate(self.reads)
        )
        return HessianProduct(dict(zip(self.leaves, values, strict=True)), terms, self.unit_roundoff)

    def _terms(
        self, number: int, read: Read, v: Tensors, t: Tensor, q: Tensor, inputs: list[Tensor]
    ) -> tuple[tuple[str, ...], float]:
        """Return the parameters that one norm reads, and the terms of points 1 to 5 in units of u."""
        passed = self.norms[number]
        layers = {self.calls[call] for call in read.calls}
        names = tuple(n for n in self.leaves if n.rpartition(".")[0] in layers)
        sets = _Sets(passed, self._z_bars[number], self._y_bars[number], t, q, self.unit_roundoff)
        uses = max(self.calls.count(layer) for layer in layers)
        total = sets.norm_terms()
        length = uses + 2 + CASCADE
        if not read.norm.of_weights:
            samples = passed.z.numel() // passed.z.shape[1]
            length += samples + max(self.layers[call].layer.fan_in for call in read.calls)
            length += 2 * len(read.calls)
            reach = sum(self._magnitude(call, self.leaves, self.layers[call].x) for call in read.calls)
            crossed = sum(
                self._magnitude(call, v, self.layers[call].x)
                + self._magnitude(call, self.leaves, inputs[call], bias=False)
                for call in read.calls
            )
            assert isinstance(reach, Tensor)
            assert isinstance(crossed, Tensor)
            z_bar = self._z_bars[number].detach().double().abs()
            total += length * (sets.reach_terms(reach) + float((z_bar * crossed.double()).sum()))
        entries = sum(float(self.leaves[n].detach().double().abs().sum()) for n in names)
        smallest = torch.finfo(passed.z.dtype).smallest_normal
        return names, total + entries * smallest * (length + 2)

    def _magnitude(self, call: int, tensors: Tensors, x: Tensor, *, bias: bool = True) -> Tensor:
        """Return |W||x| + |b| with the layer's tensors from ``tensors``, or from its buffers if frozen."""
        passed, name = self.layers[call], self.calls[call]
        weight = tensors[f"{name}.weight"].detach().abs()
        shift = tensors.get(f"{name}.bias") if bias else None
        if bias and shift is None:
            shift = self.fixed.get(f"{name}.bias")
        shift = None if shift is None else shift.detach().abs()
        return passed.layer._map(x.detach().abs(), weight, shift, passed.stride)


class _Sets:
    """The sizes at one norm, for each set, in float64."""

    def __init__(
        self, passed: _NormPass, z_bar: Tensor, y_bar: Tensor, t: Tensor, q: Tensor, unit: float
    ) -> None:
        spec = passed.norm.spec
        sets, self.dims = as_sets(passed.z.detach(), spec)
        y, y_bar, t, q = (as_sets(v.detach(), spec)[0].double().abs() for v in (passed.y, y_bar, t, q))
        self.spec, self.unit = spec, unit
        self.size = math.prod(sets.shape[d] for d in self.dims)
        # A dead set is all zeros, and no other set is.
        self.alive = y.amax(self.dims, keepdim=True).ne(0).double()
        sets = sets.double()
        centred = sets - sets.mean(self.dims, keepdim=True) if spec.centred else sets
        sigma = (centred.square().mean(self.dims, keepdim=True) + spec.eps).sqrt()
        self.sigma = torch.where(self.alive > 0, sigma, 1.0)
        self.largest = sets.abs().amax(self.dims, keepdim=True)
        self.kappa = self.largest / self.sigma
        self.q0, self.q1 = self._sum(q), self._sum(q * y)
        pairs = (self._sum(t) + self._sum(t * y)) * (self._sum(y_bar) + self._sum(y_bar * y)) / self.size
        self.psi = (self._sum(t * y_bar) + pairs) / self.sigma
        later = 1 + t.amax(self.dims, keepdim=True) + y_bar.amax(self.dims, keepdim=True)
        smallest = torch.finfo(z_bar.dtype).smallest_normal
        self.underflow = smallest * self.size * (1 + self.largest) * (1 + 1 / self.sigma) ** 3 * later

    def _sum(self, values: Tensor) -> Tensor:
        return values.sum(self.dims, keepdim=True)

    def norm_terms(self) -> float:
        """Return the terms of points 1 to 4 and of underflow."""
        blur = self.size * self.unit * self.kappa
        second = 16 * (1 + self.kappa) * (1 + blur) * self.psi
        first = 4 * (1 + self.kappa) * (self.q0 + self.q1) + blur * self.kappa * self.q1
        return float((self.alive * ((self.size + 9) * (first + second) + self.underflow)).sum())

    def reach_terms(self, magnitude: Tensor) -> float:
        """Return kappa' (10 Psi + 2 (Q0 + Q1)) of point 5."""
        reach = as_sets(magnitude, self.spec)[0].double().amax(self.dims, keepdim=True) / self.sigma
        return float((self.alive * reach * (10 * self.psi + 2 * (self.q0 + self.q1))).sum())


def _derivatives(value: Any, parts: list[list[Tensor]], *, create_graph: bool) -> list[list[Tensor]]:
    """Return the gradients of ``value`` by lists of tensors, with zeros where it does not depend on one."""
    flat = [tensor for part in parts for tensor in part]
    inside = [tensor for tensor in flat if tensor.requires_grad]
    found = {}
    if isinstance(value, Tensor) and value.requires_grad and inside:
        grads = torch.autograd.grad(
            value,
            inside,
            create_graph=create_graph,
            retain_graph=True,
            allow_unused=True,
            materialize_grads=True,
        )
        found = {id(tensor): g for tensor, g in zip(inside, grads, strict=True)}
    return [[found.get(id(tensor), torch.zeros_like(tensor)) for tensor in part] for part in parts]
