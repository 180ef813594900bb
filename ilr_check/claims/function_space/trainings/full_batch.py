"""A net on a fixed set, for many weights at once: gradients, curvature along a vector, sharpness."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, grad_and_value, vmap

from ilr_check.claims.function_space.trainings.steps import Weights
from ilr_check.data import DataSpec
from ilr_check.data.sets import load
from ilr_check.nets.build import build, initial_parameters
from ilr_check.nets.specs import NetSpec
from ilr_check.seeds import derive
from ilr_check.train.noise import dot


class FullBatch:
    """A net on the first ``examples`` of a set, in float64: a settled gradient is small."""

    def __init__(self, net: NetSpec, data: DataSpec, examples: int, device: str) -> None:
        every = load(data, dtype=torch.float64, device=device)
        module = build(net, dtype=torch.float64, device=device)
        x, y = every.x[:examples], every.y[:examples]

        def loss(parameters: Weights) -> Tensor:
            return nn.functional.cross_entropy(functional_call(module, parameters, (x,)), y)

        def product(parameters: Weights, v: Weights) -> Weights:
            # Backwards twice: torch's forward mode would import its deprecated torch.jit.
            def along(at: Weights) -> Tensor:
                slopes = grad(loss)(at)
                return torch.stack([(slopes[name] * part).sum() for name, part in v.items()]).sum()

            out: Weights = grad(along)(parameters)
            return out

        self.gradient: Callable[[Weights], tuple[Weights, Tensor]] = vmap(grad_and_value(loss))
        """Gradients and losses [lanes]."""
        self.product: Callable[[Weights, Weights], Weights] = vmap(product)
        """Hessian times vector, lane by lane."""

    def sharpness(self, weights: Weights, v: Weights, products: int) -> tuple[Tensor, Weights]:
        """Return the largest curvature of each lane, by power iteration from ``v``, and its direction."""
        top = torch.empty(0)
        for _ in range(products):
            length = inner(v, v).sqrt()
            v = {name: scaled(part, 1.0 / length) for name, part in v.items()}
            image = self.product(weights, v)
            top, v = inner(v, image), image
        return top, v


def initial(net: NetSpec, seeds: Sequence[int], lr: float, device: str) -> Weights:
    """Return the initial weights of one lane for each seed.

    Each tensor has the norm sqrt(2 lr), of the order of the edge of stability whatever the LR.
    """
    drawn = [initial_parameters(net, seed, dtype=torch.float64, device=device) for seed in seeds]
    weights = {name: torch.stack([one[name] for one in drawn]) for name in drawn[0]}
    return {name: scaled(w, (2.0 * lr) ** 0.5 / dot(w, w).sqrt()) for name, w in weights.items()}


def inner(a: Weights, b: Weights) -> Tensor:
    """Return <a, b> of each lane, over all tensors."""
    return torch.stack([dot(part, b[name]) for name, part in a.items()]).sum(dim=0)


def scaled(w: Tensor, factor: Tensor) -> Tensor:
    """Return each lane times its own number."""
    return w * factor.reshape(-1, *[1] * (w.dim() - 1))


def random_like(weights: Weights, seeds: Sequence[int]) -> Weights:
    """Return a normal vector for each lane, from which power iteration starts."""
    generators = [torch.Generator().manual_seed(derive("sharpness", seed)) for seed in seeds]
    return {
        name: torch.stack([torch.randn(w.shape[1:], generator=g, dtype=w.dtype) for g in generators]).to(
            w.device
        )
        for name, w in weights.items()
    }
