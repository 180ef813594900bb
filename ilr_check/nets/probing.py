"""Evaluates a module at random points without changing it: its outputs, and the products <g_i, w_i>."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import torch
from torch import Tensor, nn
from torch.func import functional_call

from ilr_check.nets.ranges import PrecisionWatch
from ilr_check.nets.streams import stream

Parameters = dict[str, Tensor]
Batches = Sequence[Any] | Callable[[], Any]

SPREAD = 0.5
"""The distance of a random point from the model's own point, per coordinate, in root mean squares.

It gives generic points of the magnitude of the model. At the model's own point, zero biases and unit gains
would make scaling look harmless or equal where it is not.
"""


class Sample(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Gradient products at one point for one random direction v of the outputs, with one entry per tensor.

    ``products`` are <g_i, w_i> with g = d<v, outputs>/dw, ``norms`` are the |g_i||w_i|, and ``scale`` is
    |v||outputs|. A product divided by ``scale`` is the change of the outputs per relative change of the
    tensor.
    """

    products: Tensor
    norms: Tensor
    scale: float


class Probe:
    """A module as a pure function of its trainable parameters, at several random points with a batch each.

    Parameters, buffers and inputs are copied and cast to ``dtype``. Buffers are copied anew for every call,
    so that running statistics neither drift nor change the module. Random layers see the same numbers in
    every call. Raises ``ValueError`` if there is no trainable parameter or no batch.
    """

    def __init__(self, module: nn.Module, batches: Batches, *, dtype: torch.dtype | None, seed: int) -> None:
        trainable = {n: p.detach() for n, p in module.named_parameters() if p.requires_grad}
        if not trainable:
            raise ValueError("the module has no trainable parameter, so there is nothing to probe")
        if not callable(batches) and len(batches) == 0:
            raise ValueError("batches is empty: pass at least one batch, or a function that returns one")
        self.names = tuple(trainable)
        self.dtype = dtype
        self._module = module
        self._batches = batches
        self._trainable = {n: self._cast(p) for n, p in trainable.items()}
        self._rest = {n: p.detach() for n, p in module.named_parameters() if n not in trainable}
        self._rest |= dict(module.named_buffers())
        self._generator = stream("probing", seed)
        self._points: list[tuple[Parameters, Any]] = []
        sizes = torch.stack([p.square().mean().sqrt().double().cpu() for p in self._trainable.values()])
        self._typical = float(sizes[sizes > 0].median()) if bool((sizes > 0).any()) else 1.0

    def points(self, number: int) -> list[tuple[Parameters, Any]]:
        """Return the first ``number`` pairs of parameters and batch, the same ones on every call."""
        while len(self._points) < number:
            index = len(self._points)
            batch = self._batches() if callable(self._batches) else self._batches[index % len(self._batches)]
            moved = {n: p + SPREAD * self.noise(p) for n, p in self._trainable.items()}
            self._points.append((moved, self._cast_batch(batch)))
        return self._points[:number]

    def noise(self, value: Tensor) -> Tensor:
        """Return normal noise with the tensor's root mean square, or with a typical one if that is 0."""
        size = float(value.square().mean().sqrt()) or self._typical
        return size * _normal(value, self._generator)

    def unit(self) -> float:
        """Return the spacing at 1 of the narrowest dtype that the parameters or the outputs pass through.

        With it, probing in float64 does not mistake the rounding of a norm that computes in float32 for
        curvature.
        """
        parameters, batch = self.points(1)[0]
        unit = max(torch.finfo(p.dtype).eps for p in parameters.values())
        with torch.no_grad(), PrecisionWatch(next(iter(parameters.values())).dtype) as watch:
            self.outputs(parameters, batch)
        return max(unit, float(watch.eps))

    def outputs(self, parameters: Parameters, batch: Any) -> Tensor:
        """Return the module's outputs as one vector."""
        state = dict(parameters)
        for name, value in self._rest.items():
            state[name] = self._cast(value.clone())
        args: tuple[Any, ...] = () if isinstance(batch, Mapping) else (batch,)
        kwargs = dict(batch) if isinstance(batch, Mapping) else {}
        cuda = [p.device for p in parameters.values() if p.is_cuda][:1]
        with torch.random.fork_rng(devices=cuda):
            # Inside the fork, so that the caller's random state comes back. Dropout draws equal masks.
            _seed(0, cuda=bool(cuda))
            result = functional_call(self._module, state, args, kwargs)
        return _first_tensor(result).reshape(-1)

    def samples(self, parameters: Parameters, batch: Any, directions: int) -> list[Sample]:
        """Return the gradient products at one point, for the first ``directions`` of a fixed list."""
        leaves = {n: p.detach().requires_grad_() for n, p in parameters.items()}
        out = self.outputs(leaves, batch)
        if not out.requires_grad:
            zero = torch.zeros(len(leaves), dtype=torch.float64)
            return [Sample(products=zero, norms=zero, scale=1.0)] * directions
        found = []
        for number in range(directions):
            v = _normal(out, stream("probing directions", number))
            last = number == directions - 1
            grads = torch.autograd.grad(
                out,
                list(leaves.values()),
                v,
                retain_graph=not last,
                allow_unused=True,
                materialize_grads=True,
            )
            pairs = [
                (g.detach().double(), w.detach().double())
                for g, w in zip(grads, leaves.values(), strict=True)
            ]
            products = torch.stack([(g * w).sum() for g, w in pairs]).cpu()
            norms = torch.stack([g.norm() * w.norm() for g, w in pairs]).cpu()
            scale = float(v.double().norm() * out.detach().double().norm())
            found.append(Sample(products=products, norms=norms, scale=max(scale, 1e-300)))
        return found

    def _cast(self, value: Tensor) -> Tensor:
        if self.dtype is None or not value.is_floating_point():
            return value
        return value.to(self.dtype)

    def _cast_batch(self, batch: Any) -> Any:
        if isinstance(batch, Mapping):
            return {k: self._cast(v) if isinstance(v, Tensor) else v for k, v in batch.items()}
        first = batch if isinstance(batch, Tensor) else batch[0]
        return self._cast(first)


def _seed(value: int, *, cuda: bool) -> None:
    """Seed the global generators in use. torch's own ``manual_seed`` formats a stack trace each time."""
    torch.default_generator.manual_seed(value)
    if cuda:
        torch.cuda.manual_seed(value)


def _normal(like: Tensor, generator: torch.Generator) -> Tensor:
    """Return standard normal numbers with the shape, dtype and device of ``like``."""
    drawn = torch.randn(like.shape, generator=generator, dtype=torch.float64)
    return drawn.to(device=like.device, dtype=like.dtype)


def _first_tensor(result: Any) -> Tensor:
    """Return the outputs of a module that gives a tensor, an object with ``logits``, a mapping or a tuple."""
    if isinstance(result, Tensor):
        return result
    if isinstance(getattr(result, "logits", None), Tensor):
        logits: Tensor = result.logits
        return logits
    values = list(result.values()) if isinstance(result, Mapping) else list(result)
    for value in values:
        if isinstance(value, Tensor) and value.is_floating_point():
            return value
    raise ValueError(f"the module returned {type(result).__name__} without a floating-point tensor")
