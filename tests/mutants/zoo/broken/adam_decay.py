"""Adam and AdamW with a broken weight decay."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..by_hand.adam import HandAdam, HandAdamW
from ..by_hand.base import Group, State, shrink
from ..records import mutant


@mutant(
    "adam", "decay", "Adam's name on AdamW's decoupled decay", "decoupled", thread="FlagOpen/FlagGems#4988"
)
class AdamDecoupled(HandAdam):
    decoupled = True


@mutant(
    "adamw",
    "decay",
    "AdamW's name on Adam's coupled decay",
    "(in|to) the gradient",
    thread="FlagOpen/FlagGems#4988",
)
class AdamWCoupled(HandAdamW):
    decoupled = False


@mutant("adamw", "decay", "decay per step is lr^2 * weight_decay", r"lr\^2")
class AdamWDecayByLrSquared(HandAdamW):
    def decayed(self, p: Tensor, g: Tensor, group: Group, state: State) -> Tensor:
        shrink(p, group, group["lr"] ** 2)
        return g


@mutant(
    "adamw",
    "decay",
    "decay per step is weight_decay, undeclared",
    r"decay per step is wd\b|not multiplied by lr|independent of lr",
    thread="NVIDIA/apex#1849, lucidrains/lion-pytorch#39",
)
class AdamWDecayWithoutLr(HandAdamW):
    def decayed(self, p: Tensor, g: Tensor, group: Group, state: State) -> Tensor:
        shrink(p, group, 1.0)
        return g


@mutant(
    "adamw",
    "decay",
    "the decay keeps the lr of the first step while a schedule runs",
    "lr of the first step|initial lr",
)
class AdamWDecaysAtInitialLr(HandAdamW):
    def decayed(self, p: Tensor, g: Tensor, group: Group, state: State) -> Tensor:
        shrink(p, group, state.setdefault("lr", float(group["lr"])))
        return g


@mutant("adamw", "decay", "decays after the step, the step's own move included", "after the step")
class AdamWDecaysAfter(HandAdamW):
    def decayed(self, p: Tensor, g: Tensor, group: Group, state: State) -> Tensor:
        return g

    def move(self, p: Tensor, group: Group, state: State) -> None:
        super().move(p, group, state)
        shrink(p, group)


@mutant(
    "adamw",
    "decay",
    "the decay uses the bias-corrected step size lr / (1 - beta1^t)",
    r"bias|lr ?/ ?\(1|early steps",
)
class AdamWDecayBiasCorrected(HandAdamW):
    def decayed(self, p: Tensor, g: Tensor, group: Group, state: State) -> Tensor:
        shrink(p, group, group["lr"] / self.corrections(group, state)[0])
        return g


@mutant(
    "adamw",
    "decay",
    "decays in the gradient as well as in the weights",
    "both|as well|twice|(in|to) the gradient",
)
class AdamWDecaysInBoth(HandAdamW):
    def decayed(self, p: Tensor, g: Tensor, group: Group, state: State) -> Tensor:
        coupled = g + group["weight_decay"] * p
        shrink(p, group)
        return coupled


@mutant(
    "adamw",
    "decay",
    "decays the first moment, not the weights",
    "no effect|moment",
    thread="mlverse/torch#821",
)
class AdamWDecaysMoment(HandAdamW):
    def decayed(self, p: Tensor, g: Tensor, group: Group, state: State) -> Tensor:
        shrink(state["exp_avg"], group)
        return g


@mutant(
    "adamw",
    "decay",
    "1-lr*wd is computed in the dtype of the weights",
    "round|bfloat16|bf16|float16|precision",
    thread="Nerogar/OneTrainer#996, pytorch/ao#1124",
)
class AdamWDecayRoundedAway(HandAdamW):
    def decayed(self, p: Tensor, g: Tensor, group: Group, state: State) -> Tensor:
        rate = torch.tensor(float(group["lr"]), dtype=torch.bfloat16 if p.dtype.itemsize == 2 else p.dtype)
        p.mul_(torch.ones_like(rate) - rate * group["weight_decay"])
        return g


@mutant("adamw", "decay", "the decay is three per cent too strong", r"1\.03\*")
class AdamWDecayThreePerCent(HandAdamW):
    def decayed(self, p: Tensor, g: Tensor, group: Group, state: State) -> Tensor:
        shrink(p, group, 1.03 * group["lr"])
        return g


@mutant("adamw", "decay", "no decay in the first ten steps", "no effect|first steps|late")
class AdamWDecayStartsLate(HandAdamW):
    def decayed(self, p: Tensor, g: Tensor, group: Group, state: State) -> Tensor:
        if state["step"] > 10:
            shrink(p, group)
        return g


@mutant(
    "adam",
    "decay",
    "the decay enters the first moment and not the second",
    "second moment|not in v|denominator",
)
class AdamDecayMissesSecondMoment(HandAdam):
    def decayed(self, p: Tensor, g: Tensor, group: Group, state: State) -> Tensor:
        state["plain"] = g
        return super().decayed(p, g, group, state)

    def average(self, g: Tensor, group: Group, state: State) -> None:
        first, second = group["betas"]
        plain = state.pop("plain")
        state["exp_avg"].mul_(first).add_(g, alpha=1 - first)
        state["exp_avg_sq"].mul_(second).addcmul_(plain, plain, value=1 - second)


@mutant("adam", "decay", "maximize turns the decay too, so that the weights grow", "maximi[sz]e")
class AdamDecayMaximized(HandAdam):
    def gradient(self, p: Tensor, group: Group) -> Tensor:
        return p.grad

    def decayed(self, p: Tensor, g: Tensor, group: Group, state: State) -> Tensor:
        g = super().decayed(p, g, group, state)
        return -g if group["maximize"] else g


class SwitchedAdam(HandAdam):
    """Adam with the switches of torch's: ``foreach`` and ``fused`` choose how the same step is computed."""

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        fused: bool | None = None,
    ):
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize)
        for group in self.param_groups:
            group.setdefault("foreach", foreach)
            group.setdefault("fused", fused)
        self.defaults |= {"foreach": foreach, "fused": fused}


@mutant("adam", "switch", "the fused path uses AdamW's rule", "fused", thread="FlagOpen/FlagGems#4988")
class FusedAdamIsAdamW(SwitchedAdam):
    def decayed(self, p: Tensor, g: Tensor, group: Group, state: State) -> Tensor:
        if not group["fused"]:
            return super().decayed(p, g, group, state)
        shrink(p, group)
        return g


@mutant("adam", "switch", "the foreach path adds eps inside the root", "foreach")
class ForeachEpsInside(SwitchedAdam):
    def denominator(self, v: Tensor, correction: float, group: Group) -> Tensor:
        if not group["foreach"]:
            return super().denominator(v, correction, group)
        return (v / correction + group["eps"] ** 2).sqrt()


@mutant("adam", "switch", "the foreach path leaves maximize out", "foreach|maximi[sz]e")
class ForeachForgetsMaximize(SwitchedAdam):
    def gradient(self, p: Tensor, group: Group) -> Tensor:
        return p.grad if group["foreach"] else super().gradient(p, group)
