"""The inner products <g, w> of a language model: what eps makes of them, and what rounding can.

Let z be the input of a norm, linear in the tensors w of a group, and delta = dL/dz as computed. Summed over
the norms that read the group, <g, w> = <delta, z>, because the maps between w and z are linear; attention is
linear in V, and the MLP is linear in up. What lies behind the norm does not matter. For a norm by the root
mean square, <delta, z> = -2 eps dL/d(eps).

``ilr_check.nets.conditioning`` bounds the rounding of <delta, z> (points 1 to 4) and that of the sums between
w and z (point 5). For point 5 it needs the terms of z before they cancel. They are the same chain of maps
with the absolute values of everything. The shares of attention are saved by the forward pass and used by the
backward pass, so that their own rounding is no error here. Each further map adds the length of its sums,
forwards and backwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from ilr_check.nets import mean_loss, own_norms
from ilr_check.nets.conditioning import CASCADE, SAFETY, norm_scale
from ilr_check.nets.layers import Layer
from ilr_check.nets.norms import Norm
from ilr_check.nets.transformers import Gained, Transformer


class Product(NamedTuple):
    """What the theory says about <g, w> of one group."""

    names: tuple[str, ...]
    slope: float
    """dL/d(eps), summed over the norms that read the group."""
    bound: float
    """The largest |<g, w> + 2 eps slope| that rounding can reach."""


class _Terms(NamedTuple):
    magnitude: Tensor
    """The terms of a norm's input before they cancel, in its shape."""
    length: int
    """The additions between the tensor and the norm, forwards and backwards."""


class _Pass:
    """One forward and backward pass of a language model, with what its norms and layers have seen."""

    def __init__(self, module: Transformer, rows: Tensor) -> None:
        self.module, self.rows = module, rows
        self.given: dict[str, Tensor] = {}
        self.made: dict[str, Tensor] = {}
        self.eps: dict[str, Tensor] = {}
        watched = {n: part for n, part in module.named_modules() if isinstance(part, Norm | Layer | Gained)}
        hooks = [part.register_forward_hook(self._see(name)) for name, part in watched.items()]
        norms = {name: part for name, part in watched.items() if isinstance(part, Norm)}
        for name, norm in norms.items():
            like = next(module.parameters())
            norm.eps = self.eps[name] = like.new_full((), module.spec.eps).requires_grad_()
        try:
            loss = mean_loss(module, rows, rows)
        finally:
            for hook in hooks:
                hook.remove()
            for norm in norms.values():
                norm.eps = None
        wanted = [*self.eps.values(), *(self.made[name] for name in norms)]
        grads = torch.autograd.grad(loss, wanted, allow_unused=True, materialize_grads=True)
        self.slopes = dict(zip(self.eps, (float(g) for g in grads), strict=False))
        self.behind = dict(zip(norms, grads[len(norms) :], strict=True))

    def _see(self, name: str):  # type: ignore[no-untyped-def]
        def see(part: object, args: tuple[Tensor], out: Tensor) -> None:
            self.given[name], self.made[name] = args[0].detach(), out

        return see

    def layer(self, name: str) -> Layer:
        """Return a layer by name."""
        found = self.module.get_submodule(name)
        assert isinstance(found, Layer)
        return found

    def magnitude(self, name: str, given: Tensor | None = None) -> Tensor:
        """Return |W||x| of a layer, for its own input or another one."""
        return self.layer(name).magnitude(self.given[name] if given is None else given)

    def terms(self, names: tuple[str, ...]) -> list[_Terms]:
        """Return the terms at each norm that reads a group."""
        if len(names) > 1:
            return self._of_stream()
        part, block, _ = names[0].split(".")
        own = self.layer(f"{part}.{block}")
        tokens = self.rows.shape[0] * (self.rows.shape[1] - 1)
        length = tokens + own.fan_in + 2
        magnitude = self.magnitude(f"{part}.{block}")
        if part == "v":
            magnitude, added = self._mixed(magnitude, block)
            magnitude, length = self.magnitude(f"o.{block}", magnitude), length + added
        if part == "up":
            gate = self.module.activation(self.made[f"gate.{block}"].detach())
            magnitude = self.magnitude(f"down.{block}", gate.abs() * magnitude)
            length += self.module.spec.mlp_width + self.module.spec.width + 2
        return [_Terms(magnitude, length)]

    def _mixed(self, magnitude: Tensor, block: str) -> tuple[Tensor, int]:
        spec, length = self.module.spec, self.rows.shape[1] - 1
        q, k = (self.made[f"{of}_norm.{block}"].detach() for of in "qk")
        mixed = self.module.attend(q, k, magnitude, length).detach()
        shared = spec.heads // spec.groups
        return mixed, (1 + shared) * length + spec.heads * spec.features + spec.width

    def _of_stream(self) -> list[_Terms]:
        """Return the terms of the residual stream at each norm in front of a block's halves, and at the
        last."""
        spec = self.module.spec
        tokens = self.rows[:, :-1].long().reshape(-1)
        stream = self.module.embedding.weight.detach()[tokens].abs()
        widest = max(self.layer(f"{part}.0").fan_in for part in ("o", "down"))
        # Each of the terms of the stream is an addition, forwards and backwards.
        length = len(tokens) + widest + 4 * (1 + 2 * spec.blocks)
        found = [_Terms(stream, length)]
        for block in range(spec.blocks):
            for part in ("o", "down"):
                stream = stream + self.magnitude(f"{part}.{block}")
                found.append(_Terms(stream, length))
        return found


def products(module: Transformer, state: Mapping[str, Tensor], rows: Tensor) -> list[Product]:
    """Return what the theory says about <g, w> of every group of a language model at a state.

    ``rows`` are [batch, context + 1] tokens. The module's weights become those of the state.
    """
    module.load_state_dict(dict(state))
    seen = _Pass(module, rows)
    leaves = dict(module.named_parameters())
    unit = 0.5 * torch.finfo(next(iter(state.values())).dtype).eps
    found = []
    for names, norms in own_norms(module.spec).items():
        total = 0.0
        for name, terms in zip(norms, seen.terms(names), strict=True):
            norm, y, v = module.get_submodule(name), seen.made[name].detach(), seen.behind[name]
            assert isinstance(norm, Norm)
            about = (norm, seen.given[name], y, v, terms.magnitude)
            scale = norm_scale(*about, leaves, names=names, length=terms.length)
            total += scale.norm_terms + (terms.length + CASCADE) * scale.weight_terms
            # The slope is a sum of v y / sigma^2 over all numbers of the norm.
            total += (y.numel() + 10) * float((v.double() * y.double()).abs().sum())
        slope = sum(seen.slopes[name] for name in norms)
        found.append(Product(names, slope, SAFETY * unit * total))
    return found
