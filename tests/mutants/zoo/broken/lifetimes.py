"""Right at every plain step, wrong over a training: late groups and gradients, scalers, loading, counts."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor

from ..by_hand.adam import HandAdam, HandAdamW, HandNAdam
from ..by_hand.adaptive import HandAdagrad
from ..by_hand.base import Group, State
from ..by_hand.lifetimes import FlaggedAdamW, RatioSGD, ScaledAdam, WideStateAdamW
from ..by_hand.sgd import HandSGD
from ..records import mutant


@mutant(
    "adagrad",
    "late",
    "state is made in the constructor, so that a group added later has none",
    "group|late",
    thread="pytorch/pytorch#53712",
)
class StateInConstructor(HandAdagrad):
    def __init__(self, *args: Any, **options: Any):
        super().__init__(*args, **options)
        for group in self.param_groups:
            for p in group["params"]:
                self.state[p] |= {"step": torch.tensor(0.0), "sum": self.start(p.detach(), group)}

    def update(self, p: Tensor, g: Tensor, group: Group, state: State) -> None:
        state["sum"] = state["sum"]
        super().update(p, g, group, state)


@mutant(
    "adamw", "late", "a group that is added later takes over the step count of the others", "group|count|late"
)
class LateGroupTakesCount(HandAdamW):
    def start(self, p: Tensor, group: Group, state: State) -> None:
        super().start(p, group, state)
        counts = [float(s["step"]) for q, s in self.state.items() if s is not state and "step" in s]
        known = {id(q) for q in self.param_groups[0]["params"]}
        if counts and id(p) not in known and group is not self.param_groups[0] and max(counts) > 1:
            state["step"] = torch.tensor(max(counts) - 1)


@mutant(
    "adam",
    "late",
    "the step count is the group's: a late first gradient is hardly corrected",
    "count|late|without",
)
class CountOfTheGroup(HandAdam):
    def corrections(self, group: Group, state: State) -> tuple[float, float]:
        return super().corrections(group, {"step": group["count"]})

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            group["count"] = group.get("count", 0) + 1
        return super().step(closure)


@mutant("sgd", "late", "a first gradient that comes late raises", "without|missing|late|None|first gradient")
class LateGradientRaises(HandSGD):
    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            taken = [p for p in group["params"] if p.grad is not None]
            begun = [p for p in taken if self.state[p].get("momentum_buffer") is not None]
            if begun and len(begun) < len(taken):
                raise RuntimeError("momentum buffers must all be there or all be missing")
        return super().step(closure)


@mutant(
    "adam", "late", "the moments of a parameter decay at steps without a gradient", "without|missing|state"
)
class MomentsFadeWithoutGradient(HandAdam):
    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        loss = super().step(closure)
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None and self.state.get(p):
                    self.state[p]["exp_avg"].mul_(group["betas"][0])
        return loss


@mutant(
    "sgd",
    "rate",
    "an lr tensor is scaled in place for one group and scaled back a step later",
    "tensor|lr|group",
)
class TensorLrInPlace(HandSGD):
    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        loss = super().step(closure)
        for group in self.param_groups[:1]:
            if isinstance(group["lr"], Tensor):
                group["lr"].mul_(0.5)
        return loss


@mutant(
    "adam",
    "rate",
    "an lr tensor is made that group's own at the first step: later changes are lost",
    "tensor|lr",
)
class TensorLrDetached(HandAdam):
    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            if isinstance(group["lr"], Tensor):
                group["kept_lr"] = group.get("kept_lr", group["lr"].clone())
        return super().step(closure)

    def move(self, p: Tensor, group: Group, state: State) -> None:
        super().move(p, group | {"lr": group.get("kept_lr", group["lr"])}, state)


@mutant(
    "adam",
    "scaler",
    "an overflow is heeded only while the optimizer unscales by itself",
    "scaler|overflow|inf|unscale",
    thread="pytorch/pytorch#95847",
)
class OverflowAfterUnscale(ScaledAdam):
    def overflown(self) -> bool:
        return self.scale() is not None and super().overflown()


@mutant("adam", "scaler", "an overflow is not heeded", "scaler|overflow|inf")
class OverflowIgnored(ScaledAdam):
    def overflown(self) -> bool:
        return False


@mutant("adam", "scaler", "gradients are never unscaled", "scaler|scale")
class NeverUnscaled(ScaledAdam):
    def scale(self) -> Tensor | None:
        return None


@mutant(
    "adam",
    "scaler",
    "gradients are unscaled in float16, so that small ones are lost",
    "scaler|scale|rounding",
)
class UnscaledInHalf(ScaledAdam):
    def gradient(self, p: Tensor, group: Group) -> Tensor:
        g = super().gradient(p, group)
        return g if self.scale() is None else g.half().to(g.dtype)


@mutant(
    "adam",
    "scaler",
    "a step that is skipped for an overflow counts for the bias correction",
    "scaler|overflow|count",
)
class OverflowCounts(ScaledAdam):
    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        if self.overflown():
            for state in self.state.values():
                if "step" in state:
                    state["step"] += 1
        return super().step(closure)


@mutant(
    "adamw",
    "loading",
    "float32 moments of narrow weights are cast to the weights' dtype on load",
    "resum|load|float32|narrow",
    thread="facebookresearch/fairseq2#212",
)
class NarrowedOnLoad(WideStateAdamW):
    def load_state_dict(self, state_dict: Any) -> None:
        torch.optim.Optimizer.load_state_dict(self, state_dict)


@mutant(
    "adamw",
    "loading",
    "a state dict from before the flag decoupled_decay loads as L2",
    "resum|load|older",
    thread="pytorch/pytorch#144972",
)
class OldStateIsL2(FlaggedAdamW):
    fallback = False


@mutant(
    "adamw",
    "loading",
    "a state dict from before the key decoupled_decay raises at the next step",
    "resum|load|older",
)
class OldStateRaises(FlaggedAdamW):
    def __setstate__(self, state: Any) -> None:
        torch.optim.Optimizer.__setstate__(self, state)


@mutant("adam", "loading", "loading halves the lr of every group but the first", "resum|load|group")
class LoadChangesLaterGroups(HandAdam):
    def load_state_dict(self, state_dict: Any) -> None:
        super().load_state_dict(state_dict)
        for group in self.param_groups[1:]:
            group["lr"] = group["lr"] * 0.5


@mutant(
    "nadam",
    "loading",
    "the product of momenta takes the weights' dtype on load",
    "resum|load|bfloat16|product",
)
class ProductNarrowedOnLoad(HandNAdam):
    def start(self, p: Tensor, group: Group, state: State) -> None:
        super().start(p, group, state)
        state["mu_product"] = torch.ones((), dtype=torch.float32)


@mutant(
    "adam", "loading", "a resumed path restarts the bias correction if lr was changed", "resum|load|count"
)
class LoadRestartsCount(HandAdam):
    def load_state_dict(self, state_dict: Any) -> None:
        before = [group["lr"] for group in self.param_groups]
        super().load_state_dict(state_dict)
        if before != [group["lr"] for group in self.param_groups]:
            for state in self.state.values():
                state["step"] = torch.zeros_like(torch.as_tensor(state["step"]))


@mutant("sgd", "copies", "a deepcopy shares the momentum buffers", "cop(y|ies)|share")
class DeepcopyShares(HandSGD):
    def __deepcopy__(self, memo: Any) -> Any:
        twin = copy.copy(self)
        twin.param_groups = [
            {**group, "params": copy.deepcopy(group["params"], memo)} for group in self.param_groups
        ]
        twin.state = copy.copy(self.state)
        places = zip(self.param_groups, twin.param_groups, strict=True)
        for p, q in ((p, q) for a, b in places for p, q in zip(a["params"], b["params"], strict=True)):
            if p in self.state:
                twin.state[q] = self.state[p]
        return twin


@mutant("adam", "copies", "pickle leaves the state out", "pickle|cop(y|ies)")
class PickleLosesState(HandAdam):
    def __getstate__(self) -> Any:
        return {**super().__getstate__(), "state": type(self.state)(dict)}


@mutant("sgd", "copies", "a copy has the options of the constructor again", "pickle|cop(y|ies)")
class CopyForgetsOptions(HandSGD):
    def __setstate__(self, state: Any) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            group["momentum"] = 0.0 if "momentum" in group else group["momentum"]


@mutant(
    "sgd",
    "rate",
    "the buffer is rescaled by lr over the last lr: a warm-up from lr = 0 divides by zero",
    "lr|zero|finite|nan|fails",
    thread="facebookresearch/fairseq#1408",
)
class RatioDividesByZero(RatioSGD):
    def update(self, p: Tensor, g: Tensor, group: Group, state: State) -> None:
        rate, mu = float(group["lr"]), group["momentum"]
        g = self.decayed(p, g, group, state)
        if not mu:
            p.sub_(rate * g)
            return
        if "velocity" not in state:
            state["velocity"] = rate * g
        else:
            ratio = rate / state["last"]
            state["velocity"] = mu * ratio * state["velocity"] + (1 - group["dampening"]) * rate * g
        state["last"] = rate
        p.sub_(rate * g + mu * state["velocity"] if group["nesterov"] else state["velocity"])


@mutant("adam", "rate", "a step with lr = 0 does not update the moments", "lr|zero|moment")
class ZeroLrSkips(HandAdam):
    def update(self, p: Tensor, g: Tensor, group: Group, state: State) -> None:
        if float(group["lr"]) != 0.0:
            super().update(p, g, group, state)


@mutant(
    "sgd",
    "state",
    "a copy of the weights is kept, and what others write to them is undone",
    "weights|written|outside",
)
class OwnCopyOfWeights(HandSGD):
    def move(self, p: Tensor, direction: Tensor, group: Group, state: State) -> None:
        if "own" not in state:
            state["own"] = p.clone()
            if group["weight_decay"]:
                state["own"] = p.clone()
        super().move(state["own"], direction, group, state)
        p.copy_(state["own"])


@mutant(
    "adamw",
    "state",
    "the step count is an 8-bit integer: it starts again after 255 steps",
    "count|late|step 10000|bias",
)
class CountWraps(HandAdamW):
    def corrections(self, group: Group, state: State) -> tuple[float, float]:
        return super().corrections(group, {"step": max(1, int(state["step"]) % 256)})


@mutant("adam", "state", "the step count is kept in float16 and stops at 2048", "count|late|step 10000|bias")
class CountInHalf(HandAdam):
    def start(self, p: Tensor, group: Group, state: State) -> None:
        super().start(p, group, state)
        state["step"] = torch.tensor(0.0, dtype=torch.float16)
