"""Gradients of all lanes with the noise of a fleet: tangent, heavy-tailed, SVAG or of another shape.

Random numbers are drawn outside of the program, run by run, and passed to it as tensors by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, grad_and_value, vmap

from ilr_check.data import BatchNoise, HeavyTailedNoise, NoiseSpec, SvagNoise, TangentNoise
from ilr_check.nets.transformers import mean_loss
from ilr_check.seeds import derive

Weights = dict[str, Tensor]
Gradient = Callable[[Weights, Tensor, Tensor, Tensor, Weights], tuple[Weights, Tensor]]
"""(weights, all examples, rows of the batch, their labels, drawn) -> (gradients, loss [lanes])."""

MEAN, NORMALS, LENGTH, SPREAD = "mean shares", "normals", "length of ", "spread"
"""Names of drawn tensors. Noise for the entries of a weight has the name of the weight itself."""


def dot(a: Tensor, b: Tensor) -> Tensor:
    """Return <a, b> of each lane, summed in two stages so that the rounding bound has n + m terms and not n
    m."""
    return (a * b).flatten(2).sum(dim=2).sum(dim=1) if a.dim() > 2 else (a * b).sum(dim=1)


def tangent(w: Tensor, noise: Tensor, size: float | Tensor) -> Tensor:
    """Project the noise to the tangent space at w and scale it to length size / ||w||. ``size`` may be
    [lanes]."""
    lanes = (-1, *[1] * (w.dim() - 1))
    norm2 = dot(w, w)
    flat = noise - w * (dot(noise, w) / norm2).reshape(lanes)
    return flat * (size / (norm2 * dot(flat, flat)).sqrt()).reshape(lanes)


def gradients(module: nn.Module, noise: NoiseSpec | None) -> Gradient:
    """Return a function for the gradients of every lane's batch, with the noise added or put in their
    place."""

    def loss_of(parameters: Weights, x: Tensor, y: Tensor) -> Tensor:
        return mean_loss(module, x, y, parameters)

    def shared_loss(parameters: Weights, x: Tensor, shares: Tensor) -> Tensor:
        return -(shares * torch.log_softmax(functional_call(module, parameters, (x,)), dim=-1)).sum()

    def loss_of_two(parameters: Weights, x: Tensor, y: Tensor, spread: Tensor) -> tuple[Tensor, Tensor]:
        # Two passes, because under batch norm each batch has statistics of its own.
        half = len(y) // 2
        one, other = (loss_of(parameters, x[part], y[part]) for part in (slice(half), slice(half, None)))
        return 0.5 * ((1.0 + spread) * one + (1.0 - spread) * other), 0.5 * (one + other)

    of_batches = vmap(grad_and_value(loss_of))
    of_two = vmap(grad(loss_of_two, has_aux=True), in_dims=(0, 0, 0, None))
    of_shares = vmap(grad_and_value(shared_loss), in_dims=(0, None, 0))
    of_mean = vmap(grad_and_value(shared_loss), in_dims=(0, None, None))

    def plain(
        weights: Weights, x: Tensor, rows: Tensor, labels: Tensor, drawn: Weights
    ) -> tuple[Weights, Tensor]:
        found: tuple[Weights, Tensor] = of_batches(weights, x[rows], labels)
        return found

    def added(
        weights: Weights, x: Tensor, rows: Tensor, labels: Tensor, drawn: Weights
    ) -> tuple[Weights, Tensor]:
        assert isinstance(noise, TangentNoise | HeavyTailedNoise)
        grads, loss = plain(weights, x, rows, labels, drawn)
        for name, w in weights.items():
            length = drawn.get(LENGTH + name)
            size = noise.size if length is None else noise.size * length
            grads[name] = grads[name] + tangent(w, drawn[name], size)
        return grads, loss

    def combined(
        weights: Weights, x: Tensor, rows: Tensor, labels: Tensor, drawn: Weights
    ) -> tuple[Weights, Tensor]:
        found: tuple[Weights, Tensor] = of_two(weights, x[rows], labels, drawn[SPREAD])
        return found

    def gaussian(
        weights: Weights, x: Tensor, rows: Tensor, labels: Tensor, drawn: Weights
    ) -> tuple[Weights, Tensor]:
        assert isinstance(noise, BatchNoise)
        scale = (noise.trace / rows.shape[-1]) ** 0.5
        found: tuple[Weights, Tensor] = of_shares(
            weights, x, gaussian_shares(drawn[MEAN], drawn[NORMALS], scale)
        )
        return found

    def shuffled(
        weights: Weights, x: Tensor, rows: Tensor, labels: Tensor, drawn: Weights
    ) -> tuple[Weights, Tensor]:
        assert isinstance(noise, BatchNoise)
        grads, loss = plain(weights, x, rows, labels, drawn)
        mean, _ = of_mean(weights, x, drawn[MEAN])
        for name, w in weights.items():
            off = grads[name] - mean[name]
            size = (noise.trace * dot(off, off) * dot(w, w)).sqrt()
            grads[name] = mean[name] + tangent(w, off * drawn[name], size)
        return grads, loss

    if isinstance(noise, BatchNoise):
        return gaussian if noise.shape == "gaussian" else shuffled
    if isinstance(noise, SvagNoise):
        return combined
    return plain if noise is None else added


def batches_a_step(noise: NoiseSpec | None) -> int:
    """Return how many batches a step draws. SVAG takes two."""
    return 2 if isinstance(noise, SvagNoise) else 1


def program_of(noise: NoiseSpec | None) -> NoiseSpec | None:
    """Return the noise that stands for all that share its program. The order of SVAG is data."""
    return SvagNoise(order=1.0) if isinstance(noise, SvagNoise) else noise


def svag_spread(order: float) -> float:
    """Return s for which (1 + s)/2 and (1 - s)/2 add up to 1 and their squares to (1 + s^2)/2 = order."""
    return float((2.0 * order - 1.0) ** 0.5)


def mean_shares(y: Tensor, classes: int, outputs: int, label_noise: float, dtype: torch.dtype) -> Tensor:
    """Return the probability that an example of a batch is this one with this label, [examples, outputs].

    Label noise draws labels from ``classes``; a net may have more outputs.
    """
    own = nn.functional.one_hot(y, classes).to(dtype)
    shares = ((1.0 - label_noise) * own + label_noise / classes) / len(y)
    return nn.functional.pad(shares, (0, outputs - classes))


def gaussian_shares(mean: Tensor, normals: Tensor, scale: float) -> Tensor:
    """Return weights of examples and labels with mean m and covariance scale^2 (D - m m'), D = diag m.

    The weights of a batch of B, which are counts over B, have it at scale = B^(-1/2). D^(1/2) z - m <m^(1/2),
    z> has the covariance D - 2 m m' + m m', because the entries of m add up to 1.
    """
    root = mean.sqrt() * normals
    return mean + scale * (root - mean * root.sum(dim=(-2, -1), keepdim=True))


def lengths(noise: HeavyTailedNoise, uniform: Tensor) -> Tensor:
    """Return factors of the tail index from pairs of uniform numbers [..., 2] in [0, 1).

    Pareto: U^(-1/tail). Student: |t| = sqrt(tail (U^(-2/tail) - 1)) |cos(2 pi V)| (Bailey 1994, Mathematics
    of Computation 62, 779). U = 1 - u is never 0, and steps of 2^-24 end the tail at 2^(24/tail).
    """
    u = 1.0 - uniform[..., 0]
    if noise.shape == "pareto":
        return u ** (-1.0 / noise.tail)
    radius = (noise.tail * (u ** (-2.0 / noise.tail) - 1.0)).sqrt()
    return radius * torch.cos(2.0 * torch.pi * uniform[..., 1]).abs()


class Draws:
    """The random numbers for the noise of a chunk of runs, one step at a time. A block of steps would need
    too much memory.

    Each run draws from its own generator, on the device, so that it does not depend on the other runs.
    """

    def __init__(
        self, noise: NoiseSpec | None, weights: Weights, seeds: Sequence[int], mean: Tensor | None
    ) -> None:
        self._noise, self._mean = noise, mean
        self._first = next(iter(weights.values()))
        self._generators = [
            torch.Generator(device=self._first.device).manual_seed(derive("noise", s)) for s in seeds
        ]
        if isinstance(noise, BatchNoise) and noise.shape == "gaussian":
            assert mean is not None
            shapes: dict[str, tuple[int, ...]] = {NORMALS: tuple(mean.shape)}
        else:
            shapes = {name: tuple(w.shape[1:]) for name, w in weights.items()}
        sizes = [int(torch.Size(shape).numel()) for shape in shapes.values()]
        self._entries = self._first.new_empty(len(seeds), sum(sizes))
        parts = torch.split(self._entries, sizes, dim=1)
        self._drawn = {
            name: part.view(-1, *shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)
        }

    def __iter__(self) -> Iterator[Weights]:
        """Yield the tensors of each step. The next step overwrites them."""
        noise = self._noise
        if noise is None or isinstance(noise, SvagNoise):
            fixed = {} if noise is None else {SPREAD: self._first.new_full((), svag_spread(noise.order))}
            while True:
                yield fixed
        uniform = self._first.new_empty(len(self._generators), len(self._drawn), 2)
        shuffled = isinstance(noise, BatchNoise) and noise.shape == "sign-shuffled"
        beside = {} if self._mean is None else {MEAN: self._mean}
        while True:
            for lane, generator in enumerate(self._generators):
                self._entries[lane].normal_(generator=generator)
                if isinstance(noise, HeavyTailedNoise):
                    uniform[lane].uniform_(generator=generator)
            if shuffled:
                self._entries.sign_()
            if isinstance(noise, HeavyTailedNoise):
                # They are contiguous, because a compiled step is specialised on strides.
                factors = lengths(noise, uniform).T.contiguous()
                beside = {LENGTH + name: f for name, f in zip(self._drawn, factors, strict=True)}
            yield {**self._drawn, **beside}
