"""Optimizers with a mode, a closure, names, keys, hooks, a wrapper or a flat buffer, each with one slip."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..by_hand.base import Group, State
from ..by_hand.layerwise import HandMuon
from ..by_hand.modes import (
    BackwardSGD,
    Duck,
    FlatSGD,
    HandSAM,
    MuonWithAdamW,
    NamedAdamW,
    ScheduleFreeSGD,
)
from ..records import UNKNOWN, mutant


@mutant(
    UNKNOWN,
    "modes",
    "schedule-free SGD moves its weights by twice the gradient's part",
    "step|train|average|mode",
)
class ScheduleFreeTwice(ScheduleFreeSGD):
    def move(self, p: Tensor, g: Tensor, weight: float, group: Group) -> None:
        z = self.state[p].get("z", p).clone()
        super().move(p, g, weight, group)
        p.add_(g, alpha=float(group["lr"]) * (group["momentum"] * (1 - weight) - 1))
        self.state[p]["z"] = z - float(group["lr"]) * g


@mutant(UNKNOWN, "modes", "eval() and train() of schedule-free SGD do not undo each other", "train|eval|mode")
class ScheduleFreeModesDiffer(ScheduleFreeSGD):
    def share(self, train: bool, beta: float) -> float:
        return 1 - beta


@mutant(UNKNOWN, "modes", "schedule-free SGD does not save its averages' weight", "resum|load|saved")
class ScheduleFreeWeightNotSaved(ScheduleFreeSGD):
    def state_dict(self) -> Any:
        stored = super().state_dict()
        stored["state"] = {i: {**state, "weight_sum": 0.0} for i, state in stored["state"].items()}
        return stored


@mutant(UNKNOWN, "modes", "SAM stays at the perturbed weights", "closure|restore|rho|perturb|gradient")
class SAMStays(HandSAM):
    def restore(self, taken: list[tuple[Tensor, Group]], before: list[Tensor]) -> None:
        pass


@mutant(
    UNKNOWN, "modes", "SAM takes back its perturbation in the first tensor alone", "closure|restore|tensor"
)
class SAMRestoresOne(HandSAM):
    def restore(self, taken: list[tuple[Tensor, Group]], before: list[Tensor]) -> None:
        super().restore(taken[:1], before[:1])


@mutant(
    UNKNOWN,
    "modes",
    "SAM divides by a norm of zero: a zero gradient makes the weights NaN",
    "zero|nan|finite",
)
class SAMZeroGradientIsNan(HandSAM):
    def reach(self, norm: float, group: Group) -> float:
        return float(torch.tensor(group["rho"]) / torch.tensor(norm))


@mutant(
    "adamw",
    "modes",
    "parameters named bias are decayed by the constructor's default",
    "decay|bias|name|group",
)
class NamedAdamWDecaysAll(NamedAdamW):
    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            group["weight_decay"] = 0.01
        return super().step(closure)


@mutant("adamw", "modes", "parameters without two dimensions belong to no group", "name|does not move|step")
class NamedAdamWLosesVectors(NamedAdamW):
    def sort(self, name: str, p: Tensor, decayed: list[Any], others: list[Any]) -> None:
        if p.dim() >= 2 or not decayed:
            decayed.append(p)


@mutant(
    "adamw",
    "modes",
    "the AdamW branch of a mixed optimizer has no bias correction",
    "bias correction|corrected",
)
class MixedWithoutCorrection(MuonWithAdamW):
    def adam(self, p: Tensor, group: Group, state: State) -> None:
        p.sub_(group["lr"] * state["exp_avg"] / (state["exp_avg_sq"].sqrt() + group["eps"]))


@mutant("adamw", "modes", "the key use_muon is read from the first group for all", "group|key")
class KeyOfTheFirstGroup(MuonWithAdamW):
    def by_muon(self, group: Group) -> bool:
        return bool(self.param_groups[0]["use_muon"])


@mutant("sgd", "modes", "the hook keeps the lr of the constructor", "lr|schedul|hook|backward")
class HookKeepsLr(BackwardSGD):
    def watch(self, group: Group) -> None:
        kept = {**group}
        for p in group["params"]:
            if p.requires_grad:
                p.register_post_accumulate_grad_hook(lambda p: self.stepped(p, kept))


@mutant(
    "sgd",
    "modes",
    "a group that is added later gets no hooks, so it never steps",
    "group|late|hook|does not move",
)
class LateGroupWithoutHooks(BackwardSGD):
    def watch(self, group: Group) -> None:
        if len(self.param_groups) == 1:
            super().watch(group)


@mutant(
    "sgd",
    "modes",
    "the hook leaves the gradient, so the next backward pass adds to it",
    "gradient|hook|backward",
)
class HookLeavesGradient(BackwardSGD):
    def settle(self, p: Tensor) -> None:
        pass


@mutant(
    "adamw", "modes", "the wrapper's state_dict leaves the state inside out", "state_dict|resum|load|saved"
)
class DuckForgetsState(Duck):
    def state_dict(self) -> Any:
        return {**super().state_dict(), "state": {}}


@mutant(
    "adamw",
    "modes",
    "the wrapper hands out a copy of its groups, so a schedule has no effect",
    "schedul|lr|group",
)
class DuckCopiesGroups(Duck):
    @property
    def param_groups(self) -> list[Group]:
        return [dict(group) for group in self.inside.param_groups]


@mutant("adamw", "modes", "the wrapper steps its optimizer twice", "twice|step|bias")
class DuckStepsTwice(Duck):
    def step(self, closure: Any = None) -> Any:
        loss = self.inside.step(closure)
        self.inside.step()
        return loss


@mutant(
    "sgd", "modes", "the last entry of the flat buffer is never moved", "entries|does not move|flat|shape"
)
class FlatTailLost(FlatSGD):
    def moved(self, g: Tensor) -> Tensor:
        moved = g.clone()
        if len(moved) > 1:
            moved[-1] = 0.0
        return moved


@mutant(
    "sgd",
    "modes",
    "a missing gradient is a gradient of zero in the flat buffer",
    "without|None|missing|no grad",
)
class FlatFillsMissing(FlatSGD):
    def taken(self, group: Group) -> list[nn.Parameter]:
        return [p for p in group["params"] if p.requires_grad]

    def handed(self, p: nn.Parameter) -> Tensor:
        return torch.zeros_like(p) if p.grad is None else p.grad


@mutant("sgd", "modes", "a group that is added later is not in the flat buffer", "group|late|does not move")
class FlatWithoutLateGroup(FlatSGD):
    def __init__(self, *args: Any, **options: Any):
        super().__init__(*args, **options)
        self.laid = len(self.param_groups)

    def groups(self) -> list[Group]:
        return self.param_groups[: self.laid]


@mutant(
    "sgd",
    "modes",
    "momentum and weights of the flat buffer are split in opposite orders",
    "shape|flat|moment|entries",
)
class FlatSplitBackwards(FlatSGD):
    def step_flat(self, taken: list[nn.Parameter], group: Group) -> None:
        if group["momentum"] and len({p.shape for p in taken}) == 1:
            buffers = [self.state[p].get("momentum_buffer") for p in taken]
            if all(b is not None for b in buffers):
                for p, buffer in zip(taken, reversed(buffers), strict=True):
                    self.state[p]["momentum_buffer"] = buffer
        super().step_flat(taken, group)


@mutant(
    "muon", "modes", "Newton-Schulz entry by entry: nothing is orthogonalised", "orthogonal|singular|entr"
)
class MuonEntryByEntry(HandMuon):
    def orthogonal(self, g: Tensor, group: Group) -> Tensor:
        a, b, c = self.coefficients
        x = g.bfloat16()
        x = x / x.norm().clamp(min=group["eps"])
        for _ in range(group["ns_steps"]):
            squares = x * x
            x = a * x + (b * squares + c * squares * squares) * x
        return x


@mutant(
    "muon", "modes", "each row is normalised by itself before Newton-Schulz", "orthogonal|singular|row|norm"
)
class MuonNormalisesRows(HandMuon):
    def orthogonal(self, g: Tensor, group: Group) -> Tensor:
        rows = g / g.norm(dim=1, keepdim=True).clamp(min=group["eps"])
        return super().orthogonal(rows, group)
