"""Right optimizers that are written differently: the gate must pass every one.

``around_torch`` has those that leave the step to torch. Of the others, the rewrites of ``by_hand`` come
first, and the rest differ in the order of operations, in how the work is laid out in memory, or in what holds
the state.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import adam as torch_adam
from torch.optim import sgd as torch_sgd

from . import around_torch
from .broken.adam_decay import SwitchedAdam
from .broken.sgd_decay import ForeachSGDW
from .by_hand import (
    adam,
    adaptive,
    layerwise,
    lifetimes,
    listed,
    modes,
    narrow,
    recent,
    sgd,
    signs,
    variances,
)
from .by_hand.base import Group, Hand, State, shrink
from .records import UNKNOWN, VARIANTS, Variant, variant

__all__ = ["VARIANTS", "Variant", "around_torch"]

for contract, rewrite in {
    "sgd": sgd.HandSGD,
    "sgdw": sgd.HandSGDW,
    "adam": adam.HandAdam,
    "adamw": adam.HandAdamW,
    "adamax": adam.HandAdamax,
    "nadam": adam.HandNAdam,
    "radam": adam.HandRAdam,
    "rmsprop": adaptive.HandRMSprop,
    "adagrad": adaptive.HandAdagrad,
    "adadelta": adaptive.HandAdadelta,
    "rprop": adaptive.HandRprop,
    "lion": signs.HandLion,
    "signsgd": signs.HandSignSGD,
    "lamb": layerwise.HandLAMB,
    "lars": layerwise.HandLARS,
    "muon": layerwise.HandMuon,
    "adan": recent.HandAdan,
    "ademamix": recent.HandAdEMAMix,
    "adopt": recent.HandADOPT,
    "madgrad": recent.HandMADGRAD,
    "grams": recent.HandGrams,
    "cadamw": recent.HandCautiousAdamW,
    "clion": recent.HandCautiousLion,
    "adabelief": variances.HandAdaBelief,
    "yogi": variances.HandYogi,
    "diffgrad": variances.HandDiffGrad,
    "stableadamw": variances.HandStableAdamW,
    "laprop": variances.HandLaProp,
    "novograd": variances.HandNovoGrad,
    "pid": variances.HandPID,
}.items():
    variant(contract, "by hand, one parameter at a time")(rewrite)

for contract, written, rewrite in (
    (
        "adamw",
        "a foreach path of its own: decay, moments and a step size for each tensor",
        listed.ListedAdamW,
    ),
    ("sgd", "a foreach path of its own with one buffer for each tensor", listed.ListedSGD),
    ("adamw", "float32 inside, whatever the weights are", narrow.SingleInside),
    ("sgd", "float32 inside, whatever the weights are", narrow.SingleInsideSGD),
    ("adamw", "float32 masters of narrow weights", narrow.MasterAdamW),
    ("adamw", "what rounding lost is kept and added again", narrow.KahanAdamW),
    ("adamw", "the same, with moments as narrow as the weights", narrow.KahanWithNarrowMoments),
    ("adamw", "stochastic rounding of bfloat16 weights", narrow.StochasticAdamW),
    ("adam", "8-bit moments in blocks of 256 from 4096 entries on", narrow.EightBitAdam),
    ("adam", "4-bit moments in blocks of 128 from 4096 entries on", narrow.FourBitAdam),
    (UNKNOWN, "schedule-free, with train() and eval()", modes.ScheduleFreeSGD),
    (UNKNOWN, "SAM: two evaluations of a closure", modes.HandSAM),
    ("adamw", "named parameters, no decay for biases", modes.NamedAdamW),
    ("adamw", "groups need a key that chooses Muon or AdamW", modes.MuonWithAdamW),
    ("sgd", "steps in backward hooks", modes.BackwardSGD),
    ("adamw", "no torch.optim.Optimizer, but it has all that one needs", modes.Duck),
    ("sgd", "one flat buffer a group and dtype", modes.FlatSGD),
    ("adam", "unscales by itself under a GradScaler", lifetimes.ScaledAdam),
    ("adamw", "float32 moments for narrow weights, kept on load", lifetimes.WideStateAdamW),
    ("adamw", "Adam with a flag in the group, which older state dicts lack", lifetimes.FlaggedAdamW),
    ("sgd", "a raw buffer, so that lr = 0 is no trouble", lifetimes.RatioSGD),
):
    variant(contract, written)(rewrite)

variant("sgdw", "a foreach path, one dtype at a time")(ForeachSGDW)
variant("adam", "switches that are taken and change nothing")(SwitchedAdam)


@variant("sgd", "lr distributed over gradient and decay; the buffer by lerp-free addition")
class DistributedSGD(sgd.HandSGD):
    def move(self, p: Tensor, direction: Tensor, group: Group, state: State) -> None:
        p.add_(direction * -1.0 * group["lr"])

    def buffer(self, g: Tensor, group: Group, state: State) -> Tensor:
        old = state.get("momentum_buffer")
        state["momentum_buffer"] = (
            g.clone() if old is None else g - group["dampening"] * g + group["momentum"] * old
        )
        return state["momentum_buffer"]


@variant("sgd", "Nesterov in one formula: (1 + mu (1 - d)) g + mu^2 b")
class UnfoldedNesterov(sgd.HandSGD):
    def direction(self, g: Tensor, group: Group, state: State) -> Tensor:
        mu = group["momentum"]
        old = state.get("momentum_buffer")
        if not mu or not group["nesterov"] or old is None:
            return super().direction(g, group, state)
        ahead = (1 + mu * (1 - group["dampening"])) * g + mu * mu * old
        self.buffer(g, group, state)
        return ahead


@variant("sgd", "torch's functional form, with buffers that we keep")
class FunctionalSGD(sgd.HandSGD):
    def update(self, p: Tensor, g: Tensor, group: Group, state: State) -> None:
        buffers = [state.get("momentum_buffer")]
        torch_sgd.sgd(
            [p],
            [g],
            buffers,
            foreach=False,
            fused=False,
            weight_decay=group["weight_decay"],
            momentum=group["momentum"],
            lr=group["lr"],
            dampening=group["dampening"],
            nesterov=group["nesterov"],
            maximize=False,
        )
        if buffers[0] is not None:
            state["momentum_buffer"] = buffers[0]


@variant("sgd", "maximize on the negated gradient")
class Ascent(sgd.HandSGD):
    def gradient(self, p: Tensor, group: Group) -> Tensor:
        return -super().gradient(p, group)

    def decayed(self, p: Tensor, g: Tensor, group: Group, state: State) -> Tensor:
        return g - group["weight_decay"] * p

    def move(self, p: Tensor, direction: Tensor, group: Group, state: State) -> None:
        p.add_(group["lr"] * direction)


@variant("sgd", "buffers in float64, whatever the weights are")
class DoubleBuffers(sgd.HandSGD):
    def update(self, p: Tensor, g: Tensor, group: Group, state: State) -> None:
        wide = p.double()
        super().update(wide, g.double(), group, state)
        p.copy_(wide)


@variant(
    "adamw", "corrections folded into lr and eps, as Kingma and Ba suggest at the end of their section 2"
)
class FoldedAdamW(adam.HandAdamW):
    def move(self, p: Tensor, group: Group, state: State) -> None:
        first, second = self.corrections(group, state)
        v = self.second_moment(group, state)
        rate = group["lr"] * second**0.5 / first
        p.addcdiv_(rate * state["exp_avg"], v.sqrt().add_(group["eps"] * second**0.5), value=-1.0)


@variant("adamw", "decay and step subtracted at once")
class OneSubtraction(adam.HandAdamW):
    def decayed(self, p: Tensor, g: Tensor, group: Group, state: State) -> Tensor:
        return g

    def move(self, p: Tensor, group: Group, state: State) -> None:
        first, second = self.corrections(group, state)
        below = self.denominator(self.second_moment(group, state), second, group)
        p.sub_(group["lr"] * (state["exp_avg"] / first / below + group["weight_decay"] * p))


@variant("adam", "moments by lerp, the count as a Python integer")
class LerpedAdam(adam.HandAdam):
    def start(self, p: Tensor, group: Group, state: State) -> None:
        super().start(p, group, state)
        state["step"] = 0

    def average(self, g: Tensor, group: Group, state: State) -> None:
        first, second = group["betas"]
        state["exp_avg"].lerp_(g, 1 - first)
        state["exp_avg_sq"].lerp_(g * g, 1 - second)


@variant("adam", "powers of beta as running products in the state")
class RunningProducts(adam.HandAdam):
    def start(self, p: Tensor, group: Group, state: State) -> None:
        super().start(p, group, state)
        state["products"] = (1.0, 1.0)  # numbers, since load_state_dict would round a tensor

    def corrections(self, group: Group, state: State) -> tuple[float, float]:
        first, second = (
            product * beta for product, beta in zip(state["products"], group["betas"], strict=True)
        )
        state["products"] = (first, second)
        return 1 - first, 1 - second


@variant("adam", "torch's functional form, with state that we keep")
class FunctionalAdam(adam.HandAdam):
    def update(self, p: Tensor, g: Tensor, group: Group, state: State) -> None:
        if not state:
            self.start(p, group, state)
        torch_adam.adam(
            [p],
            [g],
            [state["exp_avg"]],
            [state["exp_avg_sq"]],
            [state["max_exp_avg_sq"]] if group["amsgrad"] else [],
            [state["step"]],
            foreach=False,
            fused=False,
            amsgrad=group["amsgrad"],
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            maximize=False,
        )


@variant("adamw", "all tensors of a group and dtype laid end to end and stepped as one")
class FlattenedAdamW(adam.HandAdamW):
    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            taken = [p for p in group["params"] if p.grad is not None]
            for p in taken:
                if not self.state[p]:
                    self.start(p, group, self.state[p])
            alike: dict[tuple[torch.dtype, torch.device, float], list[nn.Parameter]] = {}
            for p in taken:
                alike.setdefault((p.dtype, p.device, float(self.state[p]["step"])), []).append(p)
            for mine in alike.values():
                self.step_flat(mine, group)
        return loss

    def step_flat(self, taken: list[nn.Parameter], group: Group) -> None:
        states = [self.state[p] for p in taken]
        flat = torch.cat([p.detach().reshape(-1) for p in taken])
        g = torch.cat([self.gradient(p, group).reshape(-1) for p in taken])
        kept = [k for k in states[0] if k != "step"]
        state = {k: torch.cat([s[k].reshape(-1) for s in states]) for k in kept} | {
            "step": states[0]["step"].clone()
        }
        self.update(flat, g, group, state)
        start = 0
        for p, own in zip(taken, states, strict=True):
            stop = start + p.numel()
            p.copy_(flat[start:stop].reshape(p.shape))
            own["step"] = state["step"].clone()
            for k in kept:
                own[k].copy_(state[k][start:stop].reshape(p.shape))
            start = stop


@variant("rmsprop", "in place, with alpha for every product of a number and a tensor")
class InPlaceRMSprop(adaptive.HandRMSprop):
    def decayed(self, p: Tensor, g: Tensor, group: Group) -> Tensor:
        return g.add(p, alpha=group["weight_decay"])

    def denominator(self, v: Tensor, group: Group) -> Tensor:
        return v.sqrt().add_(group["eps"])

    def move(self, p: Tensor, direction: Tensor, group: Group, state: State) -> None:
        super().move(p, direction.mul(-1), group | {"lr": -group["lr"]}, state)


@variant("adagrad", "the root of the sum is what is kept, by hypot")
class RootedAdagrad(adaptive.HandAdagrad):
    def start(self, p: Tensor, group: Group) -> Tensor:
        return super().start(p, group).sqrt()

    def accumulate(self, g: Tensor, state: State) -> None:
        state["sum"] = torch.hypot(state["sum"], g)

    def denominator(self, s: Tensor, group: Group) -> Tensor:
        return s + group["eps"]


@variant("lion", "in place and in the order of the paper's authors")
class InPlaceLion(signs.HandLion):
    def update(self, p: Tensor, g: Tensor, group: Group, state: State) -> None:
        if not state:
            state["exp_avg"] = torch.zeros_like(p)
        first, second = group["betas"]
        shrink(p, group)
        p.sub_(state["exp_avg"].clone().mul_(first).add_(g, alpha=1 - first).sign_() * group["lr"])
        state["exp_avg"].mul_(second).add_(g, alpha=1 - second)


@variant("lion", "a foreach path: the same steps over lists")
class ListedLion(Hand):
    def __init__(
        self,
        params: Any,
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        *,
        foreach: bool = True,
    ):
        super().__init__(params, lr=lr, betas=betas, weight_decay=weight_decay, foreach=foreach)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            taken = [p for p in group["params"] if p.grad is not None]
            for dtype in {p.dtype for p in taken}:
                self.step_list([p for p in taken if p.dtype == dtype], group)
        return loss

    def step_list(self, taken: list[nn.Parameter], group: Group) -> None:
        for p in taken:
            self.state[p].setdefault("exp_avg", torch.zeros_like(p))
        gradients = [p.grad for p in taken]
        averages = [self.state[p]["exp_avg"] for p in taken]
        (first, second), lr = group["betas"], float(group["lr"])
        torch._foreach_mul_(taken, 1 - lr * group["weight_decay"])
        ahead = torch._foreach_mul(averages, first)
        torch._foreach_add_(ahead, gradients, alpha=1 - first)
        torch._foreach_sign_(ahead)
        torch._foreach_add_(taken, ahead, alpha=-lr)
        torch._foreach_mul_(averages, second)
        torch._foreach_add_(averages, gradients, alpha=1 - second)


@variant("lamb", "the ratio as a tensor, chosen by torch.where")
class TensorRatioLAMB(layerwise.HandLAMB):
    def ratio(self, p: Tensor, step: Tensor) -> Tensor:  # type: ignore[override]
        above, below = p.norm(), step.norm()
        return torch.where((above > 0) & (below > 0), above / below, torch.ones_like(above))


@variant("muon", "divided by norm + eps, as Jordan wrote it")
class AddedEpsMuon(layerwise.HandMuon):
    def normalised(self, x: Tensor, group: Group) -> Tensor:
        return x / (x.norm() + group["eps"])
