"""SGD whose arithmetic is right and whose conduct is not: state, closures, odd tensors, the outer world."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from ..by_hand.base import Group, State
from ..by_hand.sgd import HandSGD
from ..records import mutant


@mutant("sgd", "conduct", "the closure is called twice in a step", "closure")
class ClosureTwice(HandSGD):
    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        if closure is not None:
            with torch.enable_grad():
                closure()
        return super().step(closure)


@mutant("sgd", "conduct", "the closure runs with gradients switched off", "closure")
class ClosureWithoutGrad(HandSGD):
    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        loss = closure() if closure is not None else None
        super().step()
        return loss


@mutant("sgd", "conduct", "the closure's loss is thrown away: step returns None", "closure|loss")
class LossThrownAway(HandSGD):
    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        super().step(closure)


@mutant("sgd", "conduct", "returns inside the loop: only the first group moves", "group")
class OnlyTheFirstGroup(HandSGD):
    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        groups = self.param_groups
        try:
            self.param_groups = groups[:1]
            return super().step(closure)
        finally:
            self.param_groups = groups


@mutant(
    "sgd",
    "conduct",
    "stops at the first parameter that has no gradient",
    "without (a )?gradient|grad(ient)? (is )?None|no gradient|missing gradient",
)
class StopsAtMissingGradient(HandSGD):
    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    break
                self.update(p, self.gradient(p, group), group, self.state[p])
        return loss


@mutant(
    "sgd",
    "conduct",
    "a parameter without gradient is stepped with a gradient of zero",
    "without (a )?gradient|grad(ient)? (is )?None|no gradient|missing gradient",
)
class MissingGradientIsZero(HandSGD):
    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    p.grad = torch.zeros_like(p)
        return super().step(closure)


@mutant(
    "sgd",
    "conduct",
    "writes into a reshaped copy where a tensor is not contiguous",
    "contiguous|stride|transposed",
)
class NonContiguousLost(HandSGD):
    def move(self, p: Tensor, direction: Tensor, group: Group, state: State) -> None:
        p.reshape(-1).sub_(group["lr"] * direction.reshape(-1))


@mutant(
    "sgd",
    "conduct",
    "a non-contiguous gradient is read in the order of its memory",
    "contiguous|stride|transposed",
)
class GradientReadByMemory(HandSGD):
    def gradient(self, p: Tensor, group: Group) -> Tensor:
        g = super().gradient(p, group)
        return g if g.is_contiguous() else g.as_strided(g.shape, torch.empty_like(p).contiguous().stride())


@mutant("sgd", "conduct", "0-d tensors are passed over", "0-d|scalar|zero-dim")
class ScalarsPassedOver(HandSGD):
    def update(self, p: Tensor, g: Tensor, group: Group, state: State) -> None:
        if p.dim():
            super().update(p, g, group, state)


@mutant("sgd", "conduct", "an empty tensor raises", "empty")
class EmptyRaises(HandSGD):
    def update(self, p: Tensor, g: Tensor, group: Group, state: State) -> None:
        if not torch.isfinite(g).all() or g.abs().max() > 1e30:
            return
        super().update(p, g, group, state)


@mutant(
    "sgd",
    "conduct",
    "adds the decay to p.grad in place",
    r"changes the gradient|p\.grad",
)
class GradientChanged(HandSGD):
    def decayed(self, p: Tensor, g: Tensor, group: Group, state: State) -> Tensor:
        return g.add_(p, alpha=group["weight_decay"])


@mutant(
    "sgd",
    "conduct",
    "clears the gradients at the end of the step",
    r"changes the gradient|zero_grad|p\.grad",
)
class GradientCleared(HandSGD):
    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        loss = super().step(closure)
        self.zero_grad()
        return loss


@mutant("sgd", "conduct", "sets the default dtype to that of the last parameter", "default dtype")
class SetsDefaultDtype(HandSGD):
    def update(self, p: Tensor, g: Tensor, group: Group, state: State) -> None:
        torch.set_default_dtype(p.dtype)
        super().update(p, g, group, state)


@mutant(
    "sgd",
    "conduct",
    "leaves gradients switched off",
    "grad mode|grad(ient)?s? ?(is |are )?(switched |left )?(off|enabled|disabled)",
)
class LeavesGradOff(HandSGD):
    def step(self, closure: Any = None) -> Any:
        loss = super().step(closure)
        torch.set_grad_enabled(False)
        return loss


@mutant("sgd", "conduct", "seeds torch's global generator at every step", "seed|random|generator|RNG")
class SeedsTheWorld(HandSGD):
    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        torch.manual_seed(0)
        return super().step(closure)


@mutant(
    "sgd",
    "conduct",
    "replaces the storage of the parameter, so that views of it go stale",
    "storage|in place|data_ptr|memory|view|replace",
)
class ReplacesStorage(HandSGD):
    def move(self, p: Tensor, direction: Tensor, group: Group, state: State) -> None:
        p.data = p.data - group["lr"] * direction


@mutant("sgd", "state", "state_dict leaves the momentum buffers out", "state_dict|resum|load|saved")
class BuffersNotSaved(HandSGD):
    def buffer(self, g: Tensor, group: Group, state: State) -> Tensor:
        kept = self.__dict__.setdefault("kept", {})
        owner = next(p for p, s in self.state.items() if s is state)
        return super().buffer(g, group, kept.setdefault(owner, {}))

    def update(self, p: Tensor, g: Tensor, group: Group, state: State) -> None:
        state["step"] = state.get("step", 0) + 1
        super().update(p, g, group, state)


@mutant(
    "sgd",
    "state",
    "the buffers live on the class: copies of the optimizer share them",
    "share|second (optimizer|instance)|another optimizer|cop(y|ies)|class|instance",
)
class StateOnTheClass(HandSGD):
    """Two optimizers whose parameters have the same place and shape write into one buffer."""

    everywhere: ClassVar[dict[Any, State]] = {}

    def __init__(self, params: Any, *args: Any, **options: Any):
        super().__init__(params, *args, **options)
        self.everywhere.clear()

    def buffer(self, g: Tensor, group: Group, state: State) -> Tensor:
        place = next(i for i, s in enumerate(self.state.values()) if s is state)
        held = self.everywhere.setdefault((place, g.shape, g.dtype), {})
        state["momentum_buffer"] = super().buffer(g, group, held)
        return state["momentum_buffer"]


@mutant("sgd", "state", "add_param_group drops the group's own options", "group")
class AddedGroupLosesOptions(HandSGD):
    def add_param_group(self, param_group: Any) -> None:
        super().add_param_group({"params": param_group["params"]} if self.param_groups else param_group)


@mutant("sgd", "state", "options of a group are overwritten by the constructor's", "group")
class GroupOptionsOverwritten(HandSGD):
    def add_param_group(self, param_group: Any) -> None:
        super().add_param_group(param_group)
        self.param_groups[-1] |= self.defaults


@mutant(
    "sgd",
    "state",
    "loading a state_dict restores the buffers and not the hyper-parameters",
    "state_dict|resum|load|saved",
)
class LoadForgetsGroups(HandSGD):
    def load_state_dict(self, state_dict: Any) -> None:
        kept = [{k: v for k, v in group.items() if k != "params"} for group in self.param_groups]
        super().load_state_dict(state_dict)
        for group, options in zip(self.param_groups, kept, strict=True):
            group |= options
