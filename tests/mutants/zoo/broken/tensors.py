"""Adam and SGD that handle plain tensors right and some shapes, sizes, layouts or dtypes wrong."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..by_hand.adam import HandAdam, HandAdamW
from ..by_hand.base import Group, State
from ..by_hand.layerwise import HandLAMB
from ..by_hand.sgd import HandSGD
from ..records import mutant

BLOCK = 4096
"""Entries that a kernel of the broken ones takes at once."""


@mutant(
    "adam",
    "tensors",
    "the kernel is told size(0) for the number of entries, so a matrix moves in its first entries only",
    "entries|does not move|shape|rows|first",
    thread="hpcaitech/ColossalAI#633",
)
class FirstEntriesOnly(HandAdam):
    def update(self, p: Tensor, g: Tensor, group: Group, state: State) -> None:
        if not state:
            self.start(p, group, state)
        count = p.shape[0] if p.dim() else 1
        part = {k: v if k == "step" else v.reshape(-1)[:count] for k, v in state.items()}
        flat = p.reshape(-1)[:count].clone()
        super().update(flat, g.reshape(-1)[:count], group, part)
        whole = p.reshape(-1).clone()
        whole[:count] = flat
        p.copy_(whole.reshape(p.shape))


@mutant(
    "sgd",
    "tensors",
    "the rest of a tensor whose size is no multiple of four is not updated",
    "entries|does not move|shape|length|odd",
)
class TailDropped(HandSGD):
    def move(self, p: Tensor, direction: Tensor, group: Group, state: State) -> None:
        whole = direction.clone().reshape(-1)
        if whole.numel() > 4:
            whole[whole.numel() // 4 * 4 :] = 0.0
        super().move(p, whole.reshape(p.shape), group, state)


@mutant(
    "adamw",
    "tensors",
    "tensors that wait for an empty last one are never stepped",
    "empty",
    thread="NVIDIA/TransformerEngine#3207",
)
class EmptyTailNotLaunched(HandAdamW):
    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            taken = [p for p in group["params"] if p.grad is not None]
            if taken and taken[-1].numel():
                for p in taken:
                    self.update(p, self.gradient(p, group), group, self.state[p])
        return loss


@mutant("adamw", "tensors", "the loop ends at the first empty tensor", "empty")
class StopsAtEmpty(HandAdamW):
    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                if not p.numel():
                    break
                self.update(p, self.gradient(p, group), group, self.state[p])
        return loss


@mutant("sgd", "tensors", "a group without parameters raises", "group|empty")
class EmptyGroupRaises(HandSGD):
    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            if group["params"][0].dtype == torch.float16:
                group["wide"] = True
        return super().step(closure)


@mutant(
    "adam",
    "tensors",
    "a tensor of more than 4096 entries is updated in its first 4096 only",
    "entries|large|does not move|size",
)
class FirstBlockOnly(HandAdam):
    def average(self, g: Tensor, group: Group, state: State) -> None:
        if g.numel() > BLOCK:
            g = g.clone()
            g.reshape(-1)[BLOCK:] = 0.0
        super().average(g, group, state)


@mutant(
    "sgd",
    "tensors",
    "blocks of 4096 entries overlap by one, so that their borders move twice",
    "entries|large|size|twice",
)
class BlocksOverlap(HandSGD):
    def move(self, p: Tensor, direction: Tensor, group: Group, state: State) -> None:
        twice = direction.clone()
        twice.reshape(-1)[BLOCK::BLOCK] *= 2.0
        super().move(p, twice, group, state)


@mutant(
    "adam",
    "tensors",
    "the state lies in the order of rows whatever the weights do, and is read by memory",
    "transposed|contiguous|stride|layout",
)
class StateReadByMemory(HandAdam):
    def average(self, g: Tensor, group: Group, state: State) -> None:
        if g.dim() == 2 and not g.is_contiguous():
            g = g.mT.contiguous().view(g.shape)
        super().average(g, group, state)


@mutant(
    "adamw",
    "tensors",
    "the step count is made in torch's default dtype; in bfloat16 it stops at 256",
    "default dtype",
    thread="pytorch/ao#4915",
)
class CountInDefaultDtype(HandAdamW):
    def start(self, p: Tensor, group: Group, state: State) -> None:
        super().start(p, group, state)
        state["step"] = torch.zeros(())


@mutant(
    "adam",
    "tensors",
    "the moments are made in torch's default dtype",
    "default dtype|float32",
)
class MomentsInDefaultDtype(HandAdam):
    def start(self, p: Tensor, group: Group, state: State) -> None:
        super().start(p, group, state)
        state["exp_avg_sq"] = torch.zeros(p.shape)

    def average(self, g: Tensor, group: Group, state: State) -> None:
        state["exp_avg_sq"] = state["exp_avg_sq"].to(g.dtype)
        super().average(g, group, state)
        state["exp_avg_sq"] = state["exp_avg_sq"].to(torch.get_default_dtype())

    def second_moment(self, group: Group, state: State) -> Tensor:
        return state["exp_avg_sq"].to(state["exp_avg"].dtype)


@mutant(
    "lamb",
    "tensors",
    "an update of zero is divided by its norm: a zero gradient makes the weights NaN",
    "zero gradient|finite|nan|no gradient",
)
class ZeroGradientIsNan(HandLAMB):
    def ratio(self, p: Tensor, step: Tensor) -> float:
        return float(p.norm() / step.norm()) if float(p.norm()) > 0 else 1.0


@mutant(
    "sgd",
    "tensors",
    "weights in float32 beside float64 ones are stepped with the float64 gradient rounded to bfloat16",
    "dtype|float32|mixed",
)
class NarrowedBesideWide(HandSGD):
    def gradient(self, p: Tensor, group: Group) -> Tensor:
        g = super().gradient(p, group)
        widest = any(q.dtype == torch.float64 for q in group["params"])
        return g.bfloat16().to(g.dtype) if widest and p.dtype == torch.float32 else g
