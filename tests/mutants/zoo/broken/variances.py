"""AdaBelief, Yogi, diffGrad, StableAdamW, LaProp, NovoGrad and PID with one slip each."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..by_hand.base import Group, State
from ..by_hand.variances import (
    HandAdaBelief,
    HandDiffGrad,
    HandLaProp,
    HandNovoGrad,
    HandPID,
    HandStableAdamW,
    HandYogi,
)
from ..records import mutant


@mutant(
    "adabelief", "moments", "the variance is that of the gradient: Adam", "variance is that of the gradient"
)
class AdaBeliefOfGradient(HandAdaBelief):
    def off(self, g: Tensor, state: State) -> Tensor:
        return g


@mutant("adabelief", "eps", "eps is not added to the variance", "not added to the variance")
class AdaBeliefEpsMissing(HandAdaBelief):
    def added(self, group: Group) -> float:
        return 0.0


@mutant("adabelief", "moments", "the variance has the old average", "variance|average|moment")
class AdaBeliefOldAverage(HandAdaBelief):
    def off(self, g: Tensor, state: State) -> Tensor:
        return g - state.get("old", torch.zeros_like(g))

    def average(self, g: Tensor, group: Group, state: State) -> None:
        super().average(g, group, state)
        state["old"] = state["m"].clone()


@mutant("yogi", "moments", "the sign of the change is turned", "sign|variance|moment|moved")
class YogiTurned(HandYogi):
    def average(self, g: Tensor, group: Group, state: State) -> None:
        state["v"].add_((1 - group["betas"][1]) * torch.sign(state["v"] - g * g) * g * g).abs_()


@mutant("yogi", "moments", "v moves by the difference: Adam's average", "variance|average|moment|moved")
class YogiIsAdam(HandYogi):
    def average(self, g: Tensor, group: Group, state: State) -> None:
        state["v"].lerp_(g * g, 1 - group["betas"][1])


@mutant("yogi", "decay", "the decay is left out", "decay has no effect")
class YogiWithoutDecay(HandYogi):
    def update(self, p: Tensor, g: Tensor, group: Group, state: State) -> None:
        super().update(p, g, group | {"weight_decay": 0.0}, state)


@mutant("diffgrad", "moments", "the change of the gradient is always zero", "friction|moved|half")
class DiffGradConstant(HandDiffGrad):
    def change(self, g: Tensor, state: State) -> Tensor:
        return torch.zeros_like(g)


@mutant("diffgrad", "moments", "the change keeps its sign", "friction|moved|change")
class DiffGradSigned(HandDiffGrad):
    def change(self, g: Tensor, state: State) -> Tensor:
        return state["before"] - g


@mutant("diffgrad", "decay", "decoupled by mistake", "decoupled")
class DiffGradDecoupled(HandDiffGrad):
    def update(self, p: Tensor, g: Tensor, group: Group, state: State) -> None:
        p.mul_(1 - group["lr"] * group["weight_decay"])
        super().update(p, g, group | {"weight_decay": 0.0}, state)


@mutant("stableadamw", "rate", "lr is not divided: AdamW", "not divided")
class StableAdamWUnclipped(HandStableAdamW):
    def size(self, g: Tensor, v: Tensor, group: Group) -> Tensor:
        return torch.ones((), dtype=g.dtype)


@mutant("stableadamw", "rate", "small updates are blown up: no floor of 1", "size|floor|moved")
class StableAdamWBlownUp(HandStableAdamW):
    def size(self, g: Tensor, v: Tensor, group: Group) -> Tensor:
        return (g * g / v.clamp(min=group["eps"] ** 2)).mean().sqrt()


@mutant("stableadamw", "decay", "the decay has no lr", r"decay|moved")
class StableAdamWDecayBare(HandStableAdamW):
    def decay_rate(self, rate: Tensor, group: Group) -> Any:
        return 1.0


@mutant("laprop", "bias correction", "the average is not corrected", "bias correction")
class LaPropUncorrected(HandLaProp):
    def correction(self, share: float) -> float:
        return 1.0


@mutant("laprop", "bias correction", "the variance is corrected outside of the root", "correct|root|moved")
class LaPropCorrectedOutside(HandLaProp):
    def root(self, v: Tensor, correction: float) -> Tensor:
        return v.sqrt() / correction


@mutant("laprop", "decay", "the decay is added", r"minus|sign|\b-1\*")
class LaPropGrows(HandLaProp):
    def decay(self, p: Tensor, group: Group) -> None:
        p.mul_(1 + group["lr"] * group["weight_decay"])


@mutant("novograd", "moments", "v starts at (1 - beta2) of the first square", "start|norm|moved")
class NovoGradStartsSmall(HandNovoGrad):
    def first(self, squares: Tensor, second: float) -> Tensor:
        return (1 - second) * squares


@mutant("novograd", "moments", "grad_averaging is taken and ignored", "grad_averaging has no effect")
class NovoGradNeverAverages(HandNovoGrad):
    def update(self, p: Tensor, g: Tensor, group: Group, state: State) -> None:
        super().update(p, g, group | {"grad_averaging": False}, state)


@mutant("novograd", "decay", "the decay is left out", "decay has no effect")
class NovoGradWithoutDecay(HandNovoGrad):
    def pull(self, p: Tensor, group: Group) -> Tensor:
        return 0.0 * p


@mutant("pid", "momentum", "dampening is taken and ignored", "dampening has no effect")
class PIDUndampened(HandPID):
    def sum_up(self, g: Tensor, group: Group, state: State) -> None:
        state["i"].mul_(group["momentum"]).add_(g)


@mutant("pid", "momentum", "the derivative has the other sign", "derivative|sign|moved")
class PIDTurned(HandPID):
    def change(self, g: Tensor, state: State) -> Tensor:
        return state["before"] - g


@mutant(
    "pid", "momentum", "the derivative is that of the weights' last gradient: never zero", "derivative|moved"
)
class PIDDerivativeOfAll(HandPID):
    def change(self, g: Tensor, state: State) -> Tensor:
        return g
