"""Slips of released optimizers, each in the consistent optimizer, and what released optimizers do by design.

A class whose name ends in ``Right`` is the twin of the one before it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from inconsistent_optimizers import Consistent, Group
from torch import Tensor

EPS = 1e-8


class DividesByTheWay(Consistent):
    """The step is scaled by how far the weights have come, which is 0 / 0 at weights of zeros."""

    added = 0.0

    def move(self, p: Tensor, g: Tensor, group: Group, count: float) -> None:
        before = self.state[p].setdefault("before", torch.zeros_like(p))
        way = (p - before).abs().sum()
        share = way / (way + self.added)
        before.copy_(p)
        super().move(p, g, {**group, "lr": group["lr"] * (1 - 0.5 * float(share))}, count)


class DividesByTheWayRight(DividesByTheWay):
    added = EPS


class InProportionToTheNorm(Consistent):
    """A trust ratio that is zero at weights of zeros."""

    at_zero = 0.0

    def move(self, p: Tensor, g: Tensor, group: Group, count: float) -> None:
        ratio = float(p.norm()) or self.at_zero
        super().move(p, g, {**group, "lr": float(group["lr"]) * ratio}, count)


class InProportionToTheNormRight(InProportionToTheNorm):
    at_zero = 1.0


class ReturnsToSlowWeights(Consistent):
    """Lookahead: each second step ends half way between the slow weights and the fast ones."""

    def __init__(self, params: Any, lr: float = 1e-2, weight_decay: float = 0.0, lookahead: bool = False):
        super().__init__(params, lr, weight_decay)
        self.lookahead = lookahead

    def move(self, p: Tensor, g: Tensor, group: Group, count: float) -> None:
        slow = self.state[p].setdefault("slow", p.clone())
        super().move(p, g, group, count)
        if self.lookahead and count % 2 == 0:
            slow.lerp_(p, 0.5)
            p.copy_(slow)


class Constrained(Consistent):
    """SCION: a switch pulls the weights to zero, faster than the gradient moves them."""

    def __init__(self, params: Any, lr: float = 1e-2, weight_decay: float = 0.0, constraint: bool = False):
        super().__init__(params, lr, weight_decay)
        self.constraint = constraint

    def move(self, p: Tensor, g: Tensor, group: Group, count: float) -> None:
        if self.constraint:
            p.mul_(1 - 5 * group["lr"])
        super().move(p, g, group, count)


class Ascends(Consistent):
    """A switch that says so turns the direction."""

    def __init__(self, params: Any, lr: float = 1e-2, weight_decay: float = 0.0, ascent: bool = False):
        super().__init__(params, lr, weight_decay)
        self.ascent = ascent

    def move(self, p: Tensor, g: Tensor, group: Group, count: float) -> None:
        super().move(p, -g if self.ascent else g, group, count)


class CountStandsStill(Consistent):
    """pytorch_optimizer's Prodigy before 3.11: the step in its group is never increased."""

    def one(self, p: Tensor, group: Group) -> None:
        self.move(p, self.gradient(p, group), group, 1.0)


class TooHighAPower(Consistent):
    """pytorch_optimizer's Shampoo before 3.11: the gradient is divided by its square."""

    def move(self, p: Tensor, g: Tensor, group: Group, count: float) -> None:
        square = self.state[p]["square"].lerp_(g.square(), 0.1)
        p.mul_(1 - group["lr"] * group["weight_decay"])
        p.addcdiv_(g, square.add(EPS), value=-float(group["lr"]))


class MovesAtLrZero(Consistent):
    """pytorch_optimizer's MADGRAD before 4.0: eps is added to lr."""

    def move(self, p: Tensor, g: Tensor, group: Group, count: float) -> None:
        super().move(p, g, {**group, "lr": group["lr"] + 1e-6}, count)


class CountOutsideOfTheState(Consistent):
    """pytorch_optimizer's StableSPAM before 4.0: moments are reset by a count that state_dict leaves out."""

    total = 0
    period: int | None = 100

    def __init__(self, params: Any, lr: float = 1e-2, weight_decay: float = 0.0):
        super().__init__(params, lr, weight_decay)
        self.total = 0

    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        self.total += 1
        if self.period is not None and self.total % self.period == 0:
            for state in self.state.values():
                state["square"].zero_()
        return super().step(closure)


class CountOutsideOfTheStateRight(CountOutsideOfTheState):
    """Nothing depends on the count."""

    period = None


class KeepsItsCount(CountOutsideOfTheState):
    """The count is in the state_dict."""

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "total": self.total}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        self.total = state_dict["total"]


class ComplexPairs(Consistent):
    """Complex weights are stepped as pairs."""

    def start(self, p: Tensor) -> None:
        if not self.state[p]:
            super().start(p)
            self.state[p]["square"] = torch.zeros_like(torch.view_as_real(p) if p.is_complex() else p)

    def move(self, p: Tensor, g: Tensor, group: Group, count: float) -> None:
        square = self.state[p]["square"]
        wide, slope = (torch.view_as_real(t) if t.is_complex() else t for t in (p, g))
        decay = group["decay"]
        square.mul_(decay).addcmul_(slope, slope, value=1 - decay)
        wide.mul_(1 - group["lr"] * group["weight_decay"])
        size = (square / (1 - decay**count)).sqrt_().add_(EPS)
        wide.addcdiv_(slope, size, value=-float(group["lr"]))


class ComplexOfTheRealPart(ComplexPairs):
    """The imaginary part of a gradient is dropped."""

    def gradient(self, p: Tensor, group: Group) -> Tensor:
        g = super().gradient(p, group)
        return torch.complex(g.real, torch.zeros_like(g.real)) if g.is_complex() else g


class FindsItsLr(Consistent):
    """pytorch_optimizer's ASGD: the step divides by its lr and writes a new one into the group."""

    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        result = super().step(closure)
        for group in self.param_groups:
            group["theta"] = 0.9 * group["lr"] / group["lr"]
            group["lr"] = group["lr"] * math.sqrt(1 + 0.01 * group["theta"])
        return result


class Masked(Consistent):
    """It draws a random mask for every step, as Kron draws its probes."""

    def move(self, p: Tensor, g: Tensor, group: Group, count: float) -> None:
        super().move(p, g * (torch.rand(p.shape) < 0.5), group, count)


class MaskedMaximizeIgnored(Masked):
    """pytorch_optimizer's Kron before 3.11."""

    def gradient(self, p: Tensor, group: Group) -> Tensor:
        assert p.grad is not None
        return p.grad


class OfScaleInvariantWeights(Consistent):
    """AdamP's step: rows without a part along the weights are projected, by a threshold of the row's size."""

    def move(self, p: Tensor, g: Tensor, group: Group, count: float) -> None:
        kept = p.detach().clone()
        super().move(p, g, group, count)
        if p.ndim > 1 and p.numel():
            rows, slope, moved = (t.reshape(len(p), -1) for t in (kept, g, p.detach() - kept))
            cosine = torch.nn.functional.cosine_similarity(rows, slope, dim=1).abs().max()
            if cosine < 0.1 / math.sqrt(rows.shape[1]):
                unit = rows / rows.norm(dim=1, keepdim=True).add(EPS)
                p.copy_(kept + (moved - unit * (unit * moved).sum(1, keepdim=True)).reshape(p.shape))


class FlattensByView(Consistent):
    """It refuses a layout and a tensor without axes by an exception, as AdamP and QHAdam do."""

    def move(self, p: Tensor, g: Tensor, group: Group, count: float) -> None:
        super().move(p, g.view(len(p), -1).view(p.shape), group, count)


class RefusesMixedDtypes(Consistent):
    """It keeps one tensor for a whole group, as Prodigy does."""

    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        for group in self.param_groups:
            if len({p.dtype for p in group["params"]}) > 1:
                raise RuntimeError("expected dtype float for `end` but got dtype double")
        return super().step(closure)


class QuantisedWhenLarge(Consistent):
    """The state of more than 256 entries is rounded to 8 bits in blocks of 32, as FlashAdamW keeps it."""

    def move(self, p: Tensor, g: Tensor, group: Group, count: float) -> None:
        super().move(p, g, group, count)
        square = self.state[p]["square"]
        if square.numel() > 256:
            room = torch.nn.functional.pad(square.flatten(), (0, -square.numel() % 32)).reshape(-1, 32)
            size = room.amax(1, keepdim=True).clamp(min=1e-30)
            rounded = (room / size * 255).round() / 255 * size
            square.copy_(rounded.flatten()[: square.numel()].reshape(square.shape))


class DiagonalNewton(torch.optim.Optimizer):
    """It estimates the diagonal of the Hessian with random signs, as AdaHessian does."""

    def __init__(self, params: Any, lr: float = 0.1, weight_decay: float = 0.0, maximize: bool = False):
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "maximize": maximize})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for p in (p for p in group["params"] if p.grad is not None):
                signs = torch.randint_like(p, 2) * 2 - 1
                with torch.enable_grad():
                    (product,) = torch.autograd.grad(p.grad, p, grad_outputs=signs, retain_graph=True)
                state = self.state[p]
                curvature = state.setdefault("curvature", torch.zeros_like(p))
                curvature.lerp_((product * signs).abs(), 0.1)
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.addcdiv_(p.grad.detach(), curvature.add(EPS), value=-self.sign(group) * group["lr"])
        return loss

    def sign(self, group: Group) -> float:
        return -1.0 if group["maximize"] else 1.0


class DiagonalNewtonClimbsNever(DiagonalNewton):
    def sign(self, group: Group) -> float:
        return 1.0


class RelativeToTheMean(Consistent):
    """pytorch_optimizer's Adai before 4.0: moments are divided by their mean, which may be zero."""

    smallest = 0.0

    def move(self, p: Tensor, g: Tensor, group: Group, count: float) -> None:
        g = g + group["weight_decay"] * p
        moment = self.state[p].setdefault("moment", torch.zeros_like(p))
        moment.lerp_(g.square(), 0.5)
        share = moment / moment.mean().clamp(min=self.smallest)
        p.addcdiv_(g, 1.0 + share, value=-float(group["lr"]))


class RelativeToTheMeanRight(RelativeToTheMean):
    smallest = EPS


class Factored(torch.optim.Optimizer):
    """SM3: a square is bounded by the least of the largest ones along each axis."""

    def __init__(self, params: Any, lr: float = 1e-2) -> None:
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            for p in (p for p in group["params"] if p.grad is not None and p.numel()):
                state, axes = self.state[p], self.axes(p)
                bound = torch.full_like(p, torch.inf) if axes else torch.zeros_like(p)
                for i in axes:
                    bound = torch.minimum(bound, state.get(f"most{i}", torch.zeros_like(p)))
                bound = bound + p.grad.square()
                for i in axes:
                    others = tuple(k for k in range(p.ndim) if k != i)
                    state[f"most{i}"] = bound.amax(dim=others, keepdim=True) if others else bound
                p.addcdiv_(p.grad, bound.sqrt() + EPS, value=-float(group["lr"]))
        return loss

    def axes(self, p: Tensor) -> list[int]:
        return list(range(max(1, p.ndim)))


class FactoredForgetsScalars(Factored):
    """pytorch_optimizer's SM3 before 4.0: a tensor without axes has no axis to remember."""

    def axes(self, p: Tensor) -> list[int]:
        return list(range(p.ndim))
