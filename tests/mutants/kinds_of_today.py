"""Right optimizers of kinds that people use today, which the gate accused or could not judge, and broken ones
that it let pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import torch
from inconsistent_optimizers import Consistent, Group
from torch import Tensor
from torch.optim.adamw import AdamW
from torch.optim.optimizer import Optimizer
from torch.optim.sgd import SGD


class YardstickOfLr(Consistent):
    """Its weight decay is in proportion to lr over the lr of its constructor, as a switch of some Lions has
    it."""

    def __init__(self, params: Any, lr: float = 1e-2, weight_decay: float = 0.0) -> None:
        super().__init__(params, lr=lr, weight_decay=weight_decay)
        self.yardstick = lr

    def move(self, p: Tensor, g: Tensor, group: Group, count: float) -> None:
        p.mul_(1 - group["weight_decay"] * group["lr"] / self.yardstick)
        super().move(p, g, {**group, "weight_decay": 0.0}, count)


class Collects(SGD):
    """Adds up the gradients of some steps and moves at the last of them."""

    steps = 4

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        for group in self.param_groups:
            for p in self.with_gradients(group):
                state = self.state[p]
                state["count"] = state.get("count", 0) + 1
                state["sum"] = p.grad if "sum" not in state else state["sum"] + p.grad
                if state["count"] % self.steps == 0:
                    p.sub_(group["lr"] / self.steps * state.pop("sum"))

    def with_gradients(self, group: Group) -> list[Tensor]:
        return [p for p in group["params"] if p.grad is not None]


class CollectsUpToTheFirstMissing(Collects):
    """Parameters after one without a gradient are passed over."""

    steps = 3

    def with_gradients(self, group: Group) -> list[Tensor]:
        found: list[Tensor] = []
        for p in group["params"]:
            if p.grad is None:
                break
            found.append(p)
        return found


class StepsInHooks(SGD):
    """Hangs a hook on each parameter, which torch refuses for a frozen one."""

    ilr_check_tags: ClassVar[Mapping[str, Any]] = {"steps_in_backward": True}

    def __init__(self, params: Any, lr: float = 0.1) -> None:
        super().__init__(params, lr=lr)
        for group in self.param_groups:
            for p in group["params"]:
                p.register_post_accumulate_grad_hook(self.hook)

    def hook(self, p: Tensor) -> None:
        with torch.no_grad():
            p.sub_(self.param_groups[0]["lr"] * p.grad)
        p.grad = None

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        self.beside()

    def beside(self) -> None:
        """Nothing is left to be done."""


class StepsInHooksMovesAll(StepsInHooks):
    """Its ``step`` decays every parameter, also those without a gradient."""

    @torch.no_grad()
    def beside(self) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                p.mul_(0.999)


class UsesNamesUp(AdamW):
    """Takes pairs of a name and a parameter and keeps the parameters alone."""

    def __init__(self, named_parameters: Any, lr: float = 1e-3, weight_decay: float = 1e-2) -> None:
        given = list(named_parameters)
        groups = given if isinstance(given[0], dict) else [{"params": given}]
        bare = [{**group, "params": [p for _, p in group["params"]]} for group in groups]
        super().__init__(bare, lr=lr, weight_decay=weight_decay)


class GroupsAlone(Consistent):
    """Takes groups that say what they need, and nothing else."""

    ilr_check_tags: ClassVar[Mapping[str, Any]] = {"group_keys": {"routed": False}}

    def __init__(self, param_groups: Any) -> None:
        groups = list(param_groups)
        if not all("routed" in group for group in groups):
            raise KeyError("routed")
        super().__init__(groups)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        param_group.setdefault("lr", 1e-2)
        super().add_param_group(param_group)


class GroupsAloneFirstLr(GroupsAlone):
    """The lr of the first group is used for all."""

    def move(self, p: Tensor, g: Tensor, group: Group, count: float) -> None:
        super().move(p, g, {**group, "lr": self.param_groups[0]["lr"]}, count)


class StepsAwayAndBack(Optimizer):
    """SGD from the gradient at a point nearby; coming back by subtraction rounds the weights."""

    ilr_check_tags: ClassVar[Mapping[str, Any]] = {"needs_closure": True}
    hidden, back = 0.0, 1.0

    def __init__(self, params: Any, lr: float = 0.1, weight_decay: float = 0.0) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any]) -> Any:  # type: ignore[override]
        with torch.enable_grad():
            closure()
        taken = [(p, g) for g in self.param_groups for p in g["params"] if p.grad is not None]
        away = [0.05 * p.grad / (1 + p.grad.norm()) for p, _ in taken]
        for (p, _), way in zip(taken, away, strict=True):
            p.add_(way)
        with torch.enable_grad():
            loss = closure()
        for (p, group), way in zip(taken, away, strict=True):
            p.sub_(self.back * way)
            p.sub_(group["lr"] * (p.grad + group["weight_decay"] * p + self.hidden))
        return loss


class StepsAwayWithAConstant(StepsAwayAndBack):
    """A constant of fixed size is hidden in its step."""

    hidden = 1e-12


class StaysAway(StepsAwayAndBack):
    """It goes on from the other point."""

    back = 0.0


class ClipsAll(Consistent):
    """Clips the gradients of all tensors together, so that a missing one makes the others larger."""

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        every = [p for group in self.param_groups for p in group["params"] if p.grad is not None]
        torch.nn.utils.clip_grad_norm_(every, 1.0)
        return super().step(closure)


class FindsItsStep(SGD):
    """Its steps are relative to the weights, and its constructor refuses an lr beside."""

    def __init__(self, params: Any, lr: float | None = None, relative_step: bool = True) -> None:
        if lr is not None and relative_step:
            raise ValueError("cannot combine a manual lr and relative_step=True")
        super().__init__(params, lr=1e-2 if lr is None else lr)


class MatricesAndTheRest:
    """Muon for matrices and AdamW for the rest, in one wrapper that is no torch.optim.Optimizer."""

    stepped = 2

    def __init__(self, params: Any, lr: float = 1e-3, weight_decay: float = 0.0) -> None:
        every = list(params)
        matrices, rest = [p for p in every if p.ndim == 2], [p for p in every if p.ndim != 2]
        kinds = ((torch.optim.Muon, matrices), (AdamW, rest))
        self.inside = [kind(mine, lr=lr, weight_decay=weight_decay) for kind, mine in kinds if mine]

    @property
    def param_groups(self) -> list[Group]:
        return [group for optimizer in self.inside for group in optimizer.param_groups]

    def step(self, closure: Any = None) -> None:
        for optimizer in self.inside[: self.stepped]:
            optimizer.step()


class MatricesAlone(MatricesAndTheRest):
    """The second optimizer inside is never stepped."""

    stepped = 1


class DecaysWithoutLr(Consistent):
    """Its weight decay does not know lr."""

    def move(self, p: Tensor, g: Tensor, group: Group, count: float) -> None:
        p.mul_(1 - 0.1 * group["weight_decay"])
        super().move(p, g, {**group, "weight_decay": 0.0}, count)


class WholeNumbers(AdamW):
    """Keeps the first moment of 4096 entries and more in whole numbers."""

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        for p, state in self.state.items():
            if state and p.numel() >= 4096:
                state["exp_avg"] = state.pop("codes").to(p.dtype) * state.pop("scale")
        loss = super().step(closure)
        for p, state in self.state.items():
            if state and p.numel() >= 4096:
                state["scale"] = state["exp_avg"].abs().max() / 127
                state["codes"] = (state.pop("exp_avg") / state["scale"]).round().to(torch.int8)
        return loss


class RoundsByChance(Consistent):
    """Rounds weights of bfloat16 by chance and draws no number for wide ones."""

    def one(self, p: Tensor, group: Group) -> None:
        wide = p.detach().float()
        if p.dtype is not torch.bfloat16:
            return super().one(p, group)
        assert p.grad is not None
        wide -= group["lr"] * p.grad.float()
        drawn = torch.randint_like(wide, 1 << 16, dtype=torch.int32)
        p.copy_((wide.view(torch.int32) + drawn).bitwise_and_(-65536).view(torch.float32))
        return None


class ForgetsTheDtypeOfMasters(Optimizer):
    """Masters are float32 until they are loaded: then the first step fails."""

    ilr_check_tags: ClassVar[Mapping[str, Any]] = {"rounding": "master"}

    def __init__(self, params: Any, lr: float = 0.1) -> None:
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    wide = torch.promote_types(p.dtype, torch.float32)
                    master = self.state[p].setdefault("master", p.detach().to(wide))
                    master.lerp_(master - group["lr"] * p.grad.to(wide), 1.0)
                    p.copy_(master)


class GrowsItsStep(SGD):
    """Its steps grow while they go on in one direction; a switch says whether they grow fast."""

    def __init__(self, params: Any, lr: float = 0.1, fast: bool = False) -> None:
        super().__init__(params, lr=lr)
        self.factor = 4.0 if fast else 2.0

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    state = self.state[p]
                    steady = "last" in state and bool(((state["last"] * p.grad) > 0).all())
                    state["size"] = min(state.get("size", 1e-3) * (self.factor if steady else 1.0), 1.0)
                    state["last"] = p.grad.clone()
                    p.sub_(p.grad, alpha=group["lr"] * state["size"])


class GrowsAtOnePace(GrowsItsStep):
    """The switch is read nowhere."""

    def __init__(self, params: Any, lr: float = 0.1, fast: bool = False) -> None:
        super().__init__(params, lr=lr)
