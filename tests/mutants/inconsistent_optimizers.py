"""Optimizers that each contradict themselves in one way, and the consistent optimizer on which they are
based."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

Group = dict[str, Any]


class Consistent(torch.optim.Optimizer):
    """An RMSprop with decoupled decay and a counted bias correction; ``foreach`` takes the same steps."""

    def __init__(
        self,
        params: Any,
        lr: float = 1e-2,
        weight_decay: float = 0.0,
        decay: float = 0.999,
        foreach: bool = False,
        maximize: bool = False,
    ):
        defaults = {"lr": lr, "weight_decay": weight_decay, "decay": decay, "foreach": foreach}
        super().__init__(params, {**defaults, "maximize": maximize, "centred": self.built_centred})

    built_centred = True

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            members = [p for p in group["params"] if p.grad is not None]
            for p in members:
                self.start(p)
            if group["foreach"]:
                self.together(members, group)
            else:
                for p in members:
                    self.one(p, group)
        return loss

    def start(self, p: Tensor) -> None:
        if not self.state[p]:
            self.state[p]["step"] = torch.tensor(0.0, dtype=torch.float32)
            self.state[p]["square"] = torch.zeros_like(p)

    def together(self, members: list[Tensor], group: Group) -> None:
        for p in members:
            self.one(p, group)

    def one(self, p: Tensor, group: Group) -> None:
        self.state[p]["step"] += 1
        self.move(p, self.gradient(p, group), group, float(self.state[p]["step"]))

    def gradient(self, p: Tensor, group: Group) -> Tensor:
        assert p.grad is not None
        return -p.grad if group["maximize"] else p.grad

    def move(self, p: Tensor, g: Tensor, group: Group, count: float) -> None:
        square, decay = self.state[p]["square"], group["decay"]
        square.mul_(decay).addcmul_(g, g, value=1 - decay)
        p.mul_(1 - group["lr"] * group["weight_decay"])
        p.addcdiv_(g, (square / (1 - decay**count)).sqrt_().add_(1e-8), value=-float(group["lr"]))


class ForeachOneCount(Consistent):
    """The foreach path corrects every tensor by the first one's step count."""

    def together(self, members: list[Tensor], group: Group) -> None:
        for p in members:
            self.state[p]["step"] += 1
        for p in members:
            self.move(p, self.gradient(p, group), group, float(self.state[members[0]]["step"]))


class ForeachFirstGroup(Consistent):
    """The foreach path takes the first group's lr."""

    def together(self, members: list[Tensor], group: Group) -> None:
        super().together(members, {**group, "lr": self.param_groups[0]["lr"]})


class ForeachDecaysTwice(Consistent):
    """The foreach path decays once for each dtype in the group."""

    def together(self, members: list[Tensor], group: Group) -> None:
        for _ in range(len({p.dtype for p in members}) - 1):
            for p in members:
                p.mul_(1 - group["lr"] * group["weight_decay"])
        super().together(members, group)


class MaximizeIgnored(Consistent):
    def gradient(self, p: Tensor, group: Group) -> Tensor:
        assert p.grad is not None
        return p.grad


class OneCountForAll(Consistent):
    """The step count runs over all tensors, in the only path."""

    count = 0

    def one(self, p: Tensor, group: Group) -> None:
        self.count += 1
        self.move(p, self.gradient(p, group), group, float(self.count))


class StopsAtEmpty(Consistent):
    """Tensors after an empty tensor are not stepped."""

    def together(self, members: list[Tensor], group: Group) -> None:
        empty = next((i for i, p in enumerate(members) if p.numel() == 0), len(members))
        super().together(members[:empty], group)

    def __init__(self, params: Any, lr: float = 1e-2, weight_decay: float = 0.0):
        super().__init__(params, lr, weight_decay, foreach=True)


class NoLateGroups(Consistent):
    """The state is made only in the constructor."""

    def __init__(self, params: Any, lr: float = 1e-2, weight_decay: float = 0.0):
        super().__init__(params, lr, weight_decay)
        for group in self.param_groups:
            for p in group["params"]:
                super().start(p)

    def start(self, p: Tensor) -> None:
        _ = self.state[p]["square"]


class FirstOfShape(Consistent):
    """The kernel takes the first dimension as the number of entries."""

    def one(self, p: Tensor, group: Group) -> None:
        kept = p.detach().clone().reshape(-1)
        super().one(p, group)
        count = p.shape[0] if p.ndim else 1
        p.view(-1)[count:].copy_(kept[count:]) if p.is_contiguous() else None


class MemoryOrder(Consistent):
    """Gradients are read in the order of their memory."""

    def gradient(self, p: Tensor, group: Group) -> Tensor:
        g = super().gradient(p, group)
        if g.is_contiguous() or g.numel() == 0 or 0 in g.stride():
            return g
        return g.as_strided((g.numel(),), (1,)).reshape(g.shape) if _dense(g) else g


def _dense(g: Tensor) -> bool:
    return 1 + sum((n - 1) * s for n, s in zip(g.shape, g.stride(), strict=True)) == g.numel()


class DividesByLastLr(Consistent):
    """The step is rescaled by the ratio of two lrs."""

    def one(self, p: Tensor, group: Group) -> None:
        last = self.state[p].get("last_lr", group["lr"])
        self.state[p]["last_lr"] = group["lr"]
        ratio = torch.tensor(float(group["lr"])) / torch.tensor(float(last))
        super().one(p, {**group, "lr": float(last) * float(ratio)})


class CountInDefaultDtype(Consistent):
    def start(self, p: Tensor) -> None:
        if not self.state[p]:
            super().start(p)
            self.state[p]["step"] = torch.tensor(0.0)


class CountInHalf(Consistent):
    """A count in float16 stops at 2048."""

    def start(self, p: Tensor) -> None:
        if not self.state[p]:
            super().start(p)
            self.state[p]["step"] = torch.tensor(0.0, dtype=torch.float16)


class Scaled(Consistent):
    """It unscales gradients itself, as fused optimizers do."""

    _step_supports_amp_scaling = True

    def skips(self) -> bool:
        return bool(getattr(self, "found_inf", 0))

    def gradient(self, p: Tensor, group: Group) -> Tensor:
        scale = getattr(self, "grad_scale", None)
        g = super().gradient(p, group)
        return g if scale is None else g / scale.to(g.dtype)

    def one(self, p: Tensor, group: Group) -> None:
        if not self.skips():
            super().one(p, group)


class ForgetsTheScale(Scaled):
    def gradient(self, p: Tensor, group: Group) -> Tensor:
        return Consistent.gradient(self, p, group)

    def move(self, p: Tensor, g: Tensor, group: Group, count: float) -> None:
        p.add_(g, alpha=-float(group["lr"]))  # an update that is not invariant under scales


class StepsOnOverflow(Scaled):
    def skips(self) -> bool:
        return getattr(self, "grad_scale", None) is not None and super().skips()


class ChangesTheLr(Consistent):
    """An lr that is a tensor is multiplied in place."""

    def one(self, p: Tensor, group: Group) -> None:
        if isinstance(group["lr"], Tensor):
            group["lr"].mul_(0.5)
        super().one(p, group)


class LrReadOnce(Consistent):
    """The lr of the first step is kept."""

    def one(self, p: Tensor, group: Group) -> None:
        kept = self.state[p].setdefault("lr", group["lr"])
        super().one(p, {**group, "lr": kept})


class LrOfTheScheduler(Consistent):
    """A group that a scheduler has touched steps with its initial lr."""

    def one(self, p: Tensor, group: Group) -> None:
        super().one(p, {**group, "lr": group.get("initial_lr", group["lr"])})


class LrCachedByTheFirst(Consistent):
    """Tensors after the first step with the lr of the step before."""

    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        result = super().step(closure)
        for group in self.param_groups:
            group["last"] = group["lr"]
        return result

    def one(self, p: Tensor, group: Group) -> None:
        first = p is group["params"][0]
        super().one(p, group if first else {**group, "lr": group.get("last", group["lr"])})


class OwnCopy(Consistent):
    """It steps a copy of the weights from the constructor, and overwrites what stands in the weights."""

    def __init__(self, params: Any, lr: float = 1e-2, weight_decay: float = 0.0):
        super().__init__(params, lr, weight_decay)
        self.copies = {p: p.detach().clone() for group in self.param_groups for p in group["params"]}

    def one(self, p: Tensor, group: Group) -> None:
        p.copy_(self.copies.setdefault(p, p.detach().clone()))
        super().one(p, group)
        self.copies[p] = p.detach().clone()


class DecayOverwritten(Consistent):
    """The step replaces the decay in its groups by a constant."""

    def one(self, p: Tensor, group: Group) -> None:
        group["weight_decay"] = 0.01
        super().one(p, group)


class EntrywiseMuon(torch.optim.Optimizer):
    """A Muon whose iteration multiplies entries instead of matrices."""

    def __init__(
        self,
        params: Any,
        lr: float = 0.02,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        eps: float = 1e-7,
        ns_steps: int = 5,
    ):
        defaults = {"lr": lr, "weight_decay": weight_decay, "momentum": momentum, "nesterov": nesterov}
        super().__init__(params, {**defaults, "eps": eps, "ns_steps": ns_steps})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self.one(p, group)

    def one(self, p: nn.Parameter, group: Group) -> None:
        assert p.grad is not None
        if p.ndim != 2:
            raise ValueError("matrices only")
        buffer = self.state[p].setdefault("buffer", torch.zeros_like(p))
        buffer.lerp_(p.grad, 1 - group["momentum"])
        x = p.grad.lerp(buffer, group["momentum"]) if group["nesterov"] else buffer.clone()
        x = (x.bfloat16() / x.bfloat16().norm().clamp(min=group["eps"])).bfloat16()
        for _ in range(group["ns_steps"]):
            a = x * x
            x = 3.4445 * x + (-4.775 * a + 2.0315 * a * a) * x
        p.mul_(1 - group["lr"] * group["weight_decay"])
        p.add_(x.to(p.dtype), alpha=-group["lr"] * max(1, p.shape[0] / p.shape[1]) ** 0.5)
