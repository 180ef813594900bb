"""Optimizers that are driven otherwise than by ``step()`` alone; each says by its tags how.

Schedule-free SGD (Defazio et al. 2024), SAM (Foret et al. 2021), named parameters, groups with required keys,
steps in backward hooks, a wrapper that is no ``torch.optim.Optimizer``, and a flat buffer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from .base import Group, Hand, State, shrink
from .layerwise import HandMuon


class ScheduleFreeSGD(Hand):
    """z <- z - lr g; x <- (1 - c) x + c z; gradients at y = (1 - beta) z + beta x, which the weights hold."""

    ilr_check_tags: ClassVar[Mapping[str, Any]] = {"train_mode": True}

    def __init__(self, params: Any, lr: float = 1.0, momentum: float = 0.9, weight_decay: float = 0.0):
        super().__init__(params, lr=lr, momentum=momentum, weight_decay=weight_decay, train_mode=False)

    @torch.no_grad()
    def train(self) -> None:
        self.switch(True)

    @torch.no_grad()
    def eval(self) -> None:
        self.switch(False)

    def switch(self, train: bool) -> None:
        for group in self.param_groups:
            if group["train_mode"] != train:
                for p in group["params"]:
                    if "z" in self.state[p]:
                        p.lerp_(self.state[p]["z"], self.share(train, group["momentum"]))
                group["train_mode"] = train

    def share(self, train: bool, beta: float) -> float:
        """From x to y is a share 1 - beta of the way to z, and back the same way."""
        return 1 - beta if train else 1 - 1 / beta

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        if not self.param_groups[0]["train_mode"]:
            raise RuntimeError("call .train() before the first step")
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self.move(p, p.grad + group["weight_decay"] * p, self.weight(p, group), group)
        return loss

    def weight(self, p: Tensor, group: Group) -> float:
        """The share of the newest z in the average x: its lr^2 over the sum of all so far."""
        state, square = self.state[p], float(group["lr"]) ** 2
        state["weight_sum"] = state.get("weight_sum", 0.0) + square
        return float(square / state["weight_sum"]) if state["weight_sum"] else 0.0

    def move(self, p: Tensor, g: Tensor, weight: float, group: Group) -> None:
        state = self.state[p]
        if "z" not in state:
            state["z"] = p.clone()
        p.lerp_(state["z"], weight)
        p.add_(g, alpha=float(group["lr"]) * (group["momentum"] * (1 - weight) - 1))
        state["z"].sub_(g, alpha=float(group["lr"]))


class HandSAM(Hand):
    """The gradient at w + rho g / |g| moves w by SGD's step; the closure is called twice."""

    ilr_check_tags: ClassVar[Mapping[str, Any]] = {"needs_closure": True}

    def __init__(self, params: Any, lr: float = 0.1, weight_decay: float = 0.0, rho: float = 0.05):
        super().__init__(params, lr=lr, weight_decay=weight_decay, rho=rho)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        if closure is None:
            raise RuntimeError("SAM needs a closure that computes the loss and its gradients")
        with torch.enable_grad():
            loss = closure()
        taken = [(p, group) for group in self.param_groups for p in group["params"] if p.grad is not None]
        norm = torch.stack([p.grad.double().norm() for p, _ in taken]).norm() if taken else torch.ones(())
        before = [p.clone() for p, _ in taken]
        for p, group in taken:
            p.add_(p.grad * self.reach(float(norm), group))
        self.zero_grad()
        with torch.enable_grad():
            closure()
        self.restore(taken, before)
        for p, group in taken:
            if p.grad is not None:
                p.sub_(group["lr"] * (p.grad + group["weight_decay"] * p))
        return loss

    def reach(self, norm: float, group: Group) -> float:
        return group["rho"] / norm if norm > 0 else 0.0

    def restore(self, taken: list[tuple[Tensor, Group]], before: list[Tensor]) -> None:
        for (p, _), old in zip(taken, before, strict=True):
            p.copy_(old)


class NamedAdamW(torch.optim.AdamW):
    """AdamW that takes named parameters, and decays none that is a bias."""

    ilr_check_tags: ClassVar[Mapping[str, Any]] = {"named_parameters": True}

    def __init__(
        self,
        named_params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ):
        decayed: list[Any] = []
        others: list[Any] = []
        for name, p in named_params:
            self.sort(name, p, decayed, others)
        groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
        super().__init__([g for g in groups if g["params"]], lr=lr, betas=betas, eps=eps)

    def sort(self, name: str, p: Tensor, decayed: list[Any], others: list[Any]) -> None:
        (others if name.endswith("bias") else decayed).append(p)


class MuonWithAdamW(Hand):
    """Muon for groups whose ``use_muon`` is set, AdamW for the others; the key is required."""

    ilr_check_tags: ClassVar[Mapping[str, Any]] = {"group_keys": {"use_muon": False}}

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        momentum: float = 0.95,
    ):
        super().__init__(
            params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, momentum=momentum, maximize=False
        )

    def add_param_group(self, param_group: Group) -> None:
        if "use_muon" not in param_group:
            raise ValueError("each group needs the key use_muon")
        super().add_param_group(param_group)

    def update(self, p: Tensor, g: Tensor, group: Group, state: State) -> None:
        shrink(p, group)
        if self.by_muon(group):
            buffer = state.setdefault("momentum_buffer", torch.zeros_like(g)).lerp_(g, 1 - group["momentum"])
            direction = g.lerp(buffer, group["momentum"])
            pushed = self.orthogonal(direction, {"eps": 1e-7, "ns_steps": 5})
            p.sub_(group["lr"] * max(1.0, p.shape[0] / p.shape[1]) ** 0.5 * pushed.to(p.dtype))
            return
        if not state:
            state |= {"step": 0, "exp_avg": torch.zeros_like(p), "exp_avg_sq": torch.zeros_like(p)}
        state["step"] += 1
        first, second = group["betas"]
        state["exp_avg"].lerp_(g, 1 - first)
        state["exp_avg_sq"].mul_(second).addcmul_(g, g, value=1 - second)
        self.adam(p, group, state)

    coefficients = HandMuon.coefficients
    orthogonal, normalised = HandMuon.orthogonal, HandMuon.normalised

    def by_muon(self, group: Group) -> bool:
        return bool(group["use_muon"])

    def adam(self, p: Tensor, group: Group, state: State) -> None:
        first, second = (1 - beta ** state["step"] for beta in group["betas"])
        below = state["exp_avg_sq"].sqrt() / second**0.5 + group["eps"]
        p.sub_(group["lr"] / first * state["exp_avg"] / below)


class BackwardSGD(Hand):
    """SGD that steps each parameter as soon as its gradient is there, in a hook; ``step`` does nothing."""

    ilr_check_tags: ClassVar[Mapping[str, Any]] = {"steps_in_backward": True}

    def __init__(self, params: Any, lr: float = 1e-3, momentum: float = 0.0, weight_decay: float = 0.0):
        super().__init__(params, lr=lr, momentum=momentum, weight_decay=weight_decay)

    def add_param_group(self, param_group: Group) -> None:
        super().add_param_group(param_group)
        self.watch(self.param_groups[-1])

    def watch(self, group: Group) -> None:
        for p in group["params"]:
            if p.requires_grad:
                p.register_post_accumulate_grad_hook(lambda p: self.stepped(p, self.group_of(p)))

    def group_of(self, p: Tensor) -> Group:
        """The group as it is now: loading a state dict makes new ones."""
        return next(group for group in self.param_groups if any(p is q for q in group["params"]))

    @torch.no_grad()
    def stepped(self, p: Tensor, group: Group) -> None:
        assert p.grad is not None
        g = p.grad + group["weight_decay"] * p
        if group["momentum"]:
            state = self.state[p]
            old = state.get("momentum_buffer")
            state["momentum_buffer"] = g if old is None else group["momentum"] * old + g
            g = state["momentum_buffer"]
        p.sub_(float(group["lr"]) * g)
        self.settle(p)

    def settle(self, p: Tensor) -> None:
        p.grad = None

    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        return None if closure is None else closure()


class Duck:
    """AdamW that is no ``torch.optim.Optimizer``: it has groups, a state, ``step`` and the dictionaries."""

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ):
        self.inside = torch.optim.AdamW(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)
        self.defaults = self.inside.defaults

    @property
    def param_groups(self) -> list[Group]:
        return self.inside.param_groups

    @property
    def state(self) -> Any:
        return self.inside.state

    def step(self, closure: Any = None) -> Any:
        return self.inside.step(closure)

    def zero_grad(self, set_to_none: bool = True) -> None:
        self.inside.zero_grad(set_to_none)

    def state_dict(self) -> Any:
        return self.inside.state_dict()

    def load_state_dict(self, state_dict: Any) -> None:
        self.inside.load_state_dict(state_dict)

    def add_param_group(self, param_group: Group) -> None:
        self.inside.add_param_group(param_group)


class FlatSGD(Hand):
    """SGD over one flat buffer a group and dtype, as sharded optimizers lay their weights out."""

    def __init__(self, params: Any, lr: float = 1e-3, momentum: float = 0.0, weight_decay: float = 0.0):
        super().__init__(params, lr=lr, momentum=momentum, weight_decay=weight_decay)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.groups():
            taken = self.taken(group)
            for dtype in dict.fromkeys(p.dtype for p in taken):
                self.step_flat([p for p in taken if p.dtype == dtype], group)
        return loss

    def groups(self) -> list[Group]:
        return self.param_groups

    def taken(self, group: Group) -> list[nn.Parameter]:
        return [p for p in group["params"] if p.grad is not None]

    def step_flat(self, taken: list[nn.Parameter], group: Group) -> None:
        flat = torch.cat([p.reshape(-1) for p in taken])
        g = torch.cat([self.handed(p).reshape(-1) for p in taken]) + group["weight_decay"] * flat
        if group["momentum"]:
            old = [self.state[p].get("momentum_buffer") for p in taken]
            parts = self.split(g, taken)
            parts = [
                part if kept is None else group["momentum"] * kept + part
                for part, kept in zip(parts, old, strict=True)
            ]
            for p, part in zip(taken, parts, strict=True):
                self.state[p]["momentum_buffer"] = part
            g = torch.cat([part.reshape(-1) for part in parts])
        flat = flat - float(group["lr"]) * self.moved(g)
        for p, part in zip(taken, self.split(flat, taken), strict=True):
            p.copy_(part)

    def handed(self, p: nn.Parameter) -> Tensor:
        assert p.grad is not None
        return p.grad

    def moved(self, g: Tensor) -> Tensor:
        return g

    def split(self, flat: Tensor, taken: list[nn.Parameter]) -> list[Tensor]:
        parts = torch.split(flat, [p.numel() for p in taken])
        return [part.reshape(p.shape).clone() for part, p in zip(parts, taken, strict=True)]
