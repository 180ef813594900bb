"""Correct optimizers that each behave as a released one does, at which the gate once saw a defect."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import torch
from inconsistent_optimizers import Consistent, Group
from torch import Tensor


class SilentAtFirst(Consistent):
    """It collects moments for five steps before it moves, as schedule-free RAdam does."""

    def move(self, p: Tensor, g: Tensor, group: Group, count: float) -> None:
        kept = p.clone()
        super().move(p, g, group, count)
        if count <= 5:
            p.copy_(kept)


class ClippedByItsMean(Consistent):
    """A step is divided by its root mean square where that exceeds 1; so entries interact, but not always."""

    def move(self, p: Tensor, g: Tensor, group: Group, count: float) -> None:
        size = g.square().mean().sqrt() if g.numel() else torch.ones((), dtype=g.dtype)
        super().move(p, g / size.clamp(min=1.0), group, count)


class RefusesTwoRates(Consistent):
    """One lr for all groups, said by an exception, as Prodigy has it."""

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        if len({float(group["lr"]) for group in self.param_groups}) > 1:
            raise RuntimeError("different lr values in different groups are not supported")
        return super().step(closure)


class Float32Factor(Consistent):
    """A factor in its state is float32, whatever the weights are."""

    def start(self, p: Tensor) -> None:
        if not self.state[p]:
            super().start(p)
            self.state[p]["factor"] = torch.ones((), dtype=torch.float32)

    def one(self, p: Tensor, group: Group) -> None:
        self.start(p)
        self.state[p]["factor"].mul_(0.999)
        super().one(p, {**group, "lr": float(group["lr"]) * float(self.state[p]["factor"])})


class TakesAnyKeyword(Consistent):
    """It has no weight decay, takes the keyword and drops it."""

    def __init__(self, params: Any, lr: float = 1e-2, **dropped: Any):
        super().__init__(params, lr)
        for group in self.param_groups:
            self.defaults.pop("weight_decay", None)
            group.pop("weight_decay", None)

    def move(self, p: Tensor, g: Tensor, group: Group, count: float) -> None:
        super().move(p, g, {**group, "weight_decay": 0.0}, count)


class SparesVectors(torch.optim.AdamW):
    """AdamW that puts what has fewer than two axes into a group of its own, without weight decay."""

    def __init__(self, params: Any, lr: float = 1e-3, weight_decay: float = 1e-2) -> None:
        params = list(params)
        groups = params if isinstance(params[0], dict) else [{"params": params}]
        divided = []
        for group in groups:
            mine = list(group["params"])
            matrices, vectors = [p for p in mine if p.ndim >= 2], [p for p in mine if p.ndim < 2]
            divided += [{**group, "params": matrices}, {**group, "params": vectors, "weight_decay": 0.0}]
        super().__init__([group for group in divided if group["params"]], lr=lr, weight_decay=weight_decay)


class WrapsSGD(torch.optim.Optimizer):
    """A wrapper around SGD that is saved and loaded beside it. A closure computes the gradients twice."""

    ilr_check_tags: ClassVar[Mapping[str, Any]] = {"needs_closure": True}

    def __init__(self, params: Any, lr: float = 0.1, weight_decay: float = 0.0) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay})
        self.inner = torch.optim.SGD(self.param_groups, lr=lr, weight_decay=weight_decay, momentum=0.5)
        self.param_groups = self.inner.param_groups

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        assert closure is not None, "it needs a closure"
        for _ in range(2):
            with torch.enable_grad():
                loss = closure()
        self.inner.step()
        return loss


class Muon(torch.optim.Optimizer):
    """Muon for matrices and AdamW for vectors in one class. ``eps`` is that of AdamW, and Newton-Schulz has a
    constant of its own."""

    own_eps = 1e-7

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.95),
        eps: float = 1e-8,
    ) -> None:
        numbers = {"lr": lr, "weight_decay": weight_decay, "momentum": momentum, "betas": betas, "eps": eps}
        super().__init__(params, numbers)

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            for p in (p for p in group["params"] if p.grad is not None):
                p.mul_(1.0 - group["lr"] * group["weight_decay"])
                p.sub_(group["lr"] * (self.matrix if p.ndim == 2 else self.vector)(p, p.grad, group))
        return loss

    def matrix(self, p: Tensor, g: Tensor, group: Group) -> Tensor:
        """Return the momentum with Nesterov's mix, orthogonalised in the dtype of the weights."""
        m = self.state[p].setdefault("m", torch.zeros_like(p))
        m.lerp_(g, 1.0 - group["momentum"])
        x = g.lerp(m, group["momentum"])
        x = x / (x.norm() + self.own_eps)
        for _ in range(5):
            square = x @ x.T
            x = 3.4445 * x + (-4.775 * square + 2.0315 * square @ square) @ x
        return x * float(max(1.0, p.shape[0] / p.shape[1])) ** 0.5

    def vector(self, p: Tensor, g: Tensor, group: Group) -> Tensor:
        """Return the step of AdamW."""
        state, (beta1, beta2) = self.state[p], group["betas"]
        count = state["count"] = state.get("count", 0) + 1
        m = state.setdefault("m", torch.zeros_like(p)).lerp_(g, 1.0 - beta1)
        v = state.setdefault("v", torch.zeros_like(p)).lerp_(g * g, 1.0 - beta2)
        return m / (1.0 - beta1**count) / ((v / (1.0 - beta2**count)).sqrt() + self.eps(group))

    def eps(self, group: Group) -> float:
        """Return the eps of AdamW."""
        return float(group["eps"])


class MuonForgetsEps(Muon):
    """``eps`` acts on nothing."""

    def eps(self, group: Group) -> float:
        return 1e-8


class SignsOfMatrices(Consistent):
    """Matrices move by signs, as those of EmoFact do, and vectors by their moments."""

    def move(self, p: Tensor, g: Tensor, group: Group, count: float) -> None:
        if p.ndim < 2:
            super().move(p, g, group, count)
        else:
            p.mul_(1 - group["lr"] * group["weight_decay"]).sub_(g.sign(), alpha=float(group["lr"]))


class TrainsSmallWeights(Consistent):
    """Only weights that begin near zero are trained, as SaRA does."""

    def start(self, p: Tensor) -> None:
        if not self.state[p]:
            super().start(p)
            self.state[p]["mask"] = (p.abs() < 1e-3).to(p.dtype)

    def move(self, p: Tensor, g: Tensor, group: Group, count: float) -> None:
        kept = p.clone()
        super().move(p, g, group, count)
        p.copy_(torch.where(self.state[p]["mask"] > 0, p, kept))


class WarmsUpToItsOwnLr(Consistent):
    """The lr of the constructor is where the warm-up ends, as that of ApolloDQN is."""

    def __init__(self, params: Any, lr: float = 1e-2, weight_decay: float = 0.0):
        super().__init__(params, lr, weight_decay)
        self.lr = lr

    def move(self, p: Tensor, g: Tensor, group: Group, count: float) -> None:
        super().move(p, g, {**group, "lr": self.lr * min(1.0, count / 100)}, count)
