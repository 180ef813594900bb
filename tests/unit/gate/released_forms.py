"""Optimizers in the forms of released packages, which differ from the reference of their family."""

from __future__ import annotations

from typing import Any

import torch

import ilr_check


def verdicts(optimizer: Any, **options: Any) -> dict[str, str]:
    """Return the severity of each violated law, the worst of it."""
    result = ilr_check.check_optimizer(optimizer, **options)
    found: dict[str, str] = {}
    for f in result.findings:
        if f.verdict == "violated" and found.get(f.claim) != "defect":
            found[f.claim] = f.severity
    return found


class Moments(torch.optim.Optimizer):
    """Keeps both averages of Adam and leaves the step to ``move``."""

    flaw = 1.0

    def __init__(
        self, params: Any, lr: float = 1e-3, betas: Any = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            one, two = group["betas"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state.update(t=0, m=torch.zeros_like(p), v=torch.zeros_like(p))
                state["t"] += 1
                state["m"].mul_(one).add_(p.grad, alpha=1 - one)
                state["v"].mul_(two).addcmul_(p.grad, p.grad, value=1 - two)
                self.move(p, state["m"], state["v"], state["t"], {**group, "one": one, "two": two})

    def move(self, p: Any, m: Any, v: Any, t: int, group: dict[str, Any]) -> None:
        """Take step t of a parameter; ``one`` and ``two`` in the group are its betas."""
        raise NotImplementedError


class InsideRoot(Moments):
    """Adam with eps inside the root, as some papers write it."""

    def __init__(self, params: Any, lr: float = 1e-3, betas: Any = (0.9, 0.999), eps: float = 1e-8) -> None:
        super().__init__(params, lr, betas, eps)
        for group in self.param_groups:
            del group["weight_decay"]

    def move(self, p: Any, m: Any, v: Any, t: int, group: dict[str, Any]) -> None:
        root = (v / (1 - group["two"] ** t) + group["eps"]).sqrt()
        p.sub_(self.flaw * group["lr"] * m / (1 - group["one"] ** t) / root)


class BoundedLamb(Moments):
    """LAMB as in torch_optimizer: norms of at most 10, and the bias is corrected in the whole step."""

    def move(self, p: Any, m: Any, v: Any, t: int, group: dict[str, Any]) -> None:
        r = m / (v.sqrt() + group["eps"]) + group["weight_decay"] * p
        size, length = p.norm().clamp(0, 10), r.norm()
        ratio = size / length if size > 0 and length > 0 else 1.0
        corrected = (1 - group["two"] ** t) ** 0.5 / (1 - group["one"] ** t)
        p.sub_(self.flaw * group["lr"] * corrected * ratio * r)


class SmallNumberAdamW(Moments):
    """AdamW as in pytorch_optimizer, with 1e-15 beside the variance and eps before the bias correction."""

    def move(self, p: Any, m: Any, v: Any, t: int, group: dict[str, Any]) -> None:
        p.mul_(1 - group["lr"] * group["weight_decay"])
        corrected = (1 - group["two"] ** t) ** 0.5 / (1 - group["one"] ** t)
        p.sub_(self.flaw * group["lr"] * corrected * m / ((v + 1e-15).sqrt() + group["eps"]))


class SimplifiedNAdam(InsideRoot):
    """NAdam without the schedule of its momentum; the constructor has no number for it."""

    def move(self, p: Any, m: Any, v: Any, t: int, group: dict[str, Any]) -> None:
        one = group["one"]
        mixed = one * m / (1 - one ** (t + 1)) + (1 - one) * p.grad / (1 - one**t)
        p.sub_(group["lr"] * mixed / ((v / (1 - group["two"] ** t)).sqrt() + group["eps"]))


class IgnoresItsSchedule(SimplifiedNAdam):
    """The same, and the constructor has a number for the schedule, which nothing reads."""

    def __init__(
        self, params: Any, lr: float = 2e-3, betas: Any = (0.9, 0.999), eps: float = 1e-8,
        momentum_decay: float = 4e-3,
    ) -> None:  # fmt: skip
        super().__init__(params, lr, betas, eps)
        self.param_groups[0]["momentum_decay"] = momentum_decay


class Layerwise(torch.optim.Optimizer):
    """LARS with the conventions of released packages."""

    vectors_plain, formula_at_zero, with_decay_only, no_decay_at_zero = False, False, False, False
    vectors_decay, sum_below, lr_inside = False, False, False
    flaw = 1.0

    def __init__(
        self, params: Any, lr: float = 1.0, momentum: float = 0.0, weight_decay: float = 0.0,
        trust_coefficient: float = 1e-3,
    ) -> None:  # fmt: skip
        options = {"momentum": momentum, "weight_decay": weight_decay}
        super().__init__(params, {"lr": lr, "trust_coefficient": trust_coefficient, **options})

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self.move(p, p.grad.clone(), group)

    def move(self, p: torch.Tensor, g: torch.Tensor, group: dict[str, Any]) -> None:
        decay = group["weight_decay"]
        size, slope = float(p.norm()), float(g.norm())
        known = size > 0 and (slope > 0 or (decay > 0 and self.formula_at_zero))
        if not (self.vectors_plain and p.dim() < 2) and not (self.no_decay_at_zero and not slope):
            g.add_(p, alpha=decay)
            if self.sum_below:
                known, below = size > 0 and float(g.norm()) > 0, float(g.norm())
            else:
                below = slope + decay * size
            if known and (decay or not self.with_decay_only) and not (self.vectors_decay and p.dim() < 2):
                g.mul_(self.flaw * group["trust_coefficient"] * size / below)
        if self.lr_inside:
            g.mul_(group["lr"])
        if group["momentum"]:
            state = self.state[p]
            state["buffer"] = g = g if "buffer" not in state else state["buffer"] * group["momentum"] + g
        p.sub_(g if self.lr_inside else group["lr"] * g)


class AdamaxW(torch.optim.Adamax):
    """Adamax with decoupled decay, or with too much of it."""

    share = 1.0

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        kept = [group["weight_decay"] for group in self.param_groups]
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.mul_(1 - self.share * group["lr"] * group["weight_decay"])
            group["weight_decay"] = 0.0
        super().step(closure)
        for group, decay in zip(self.param_groups, kept, strict=True):
            group["weight_decay"] = decay


class HalfAdamaxW(AdamaxW):
    share = 0.5
