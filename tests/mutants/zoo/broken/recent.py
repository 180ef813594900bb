"""Adan, AdEMAMix, ADOPT, MADGRAD, Grams and the cautious steps with one slip each."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..by_hand.base import Group, State, shrink
from ..by_hand.recent import (
    HandAdan,
    HandAdEMAMix,
    HandADOPT,
    HandCautiousAdamW,
    HandCautiousLion,
    HandGrams,
    HandMADGRAD,
)
from ..records import mutant


@mutant("adan", "moments", "the average of differences has the weight 1 and not beta2", "multiplied by beta2")
class AdanDifferencesWhole(HandAdan):
    def by_differences(self, weight: float) -> float:
        return 1.0


@mutant("adan", "moments", "the squares are those of the gradient alone", "squares reads? the gradient alone")
class AdanSquaresPlain(HandAdan):
    def squared(self, g: Tensor, change: Tensor, weight: float) -> Tensor:
        return g * g


@mutant("adan", "bias correction", "no bias correction", "bias correction")
class AdanWithoutBias(HandAdan):
    def correction(self, share: float, state: State) -> float:
        return 1.0


@mutant("ademamix", "moments", "alpha multiplies the fast average too", "both averages")
class AdEMAMixAlphaOnBoth(HandAdEMAMix):
    def mixed(self, fast: Tensor, state: State, group: Group) -> Tensor:
        return group["alpha"] * (fast + state["slow"])


@mutant("ademamix", "moments", "the slow average is left out", "slow average is left out")
class AdEMAMixFastOnly(HandAdEMAMix):
    def mixed(self, fast: Tensor, state: State, group: Group) -> Tensor:
        return fast


@mutant(
    "ademamix", "bias correction", "the slow average is corrected for its bias", "slow average is corrected"
)
class AdEMAMixSlowCorrected(HandAdEMAMix):
    def mixed(self, fast: Tensor, state: State, group: Group) -> Tensor:
        slow = state["slow"] / (1 - group["betas"][2] ** state["step"])
        return fast + group["alpha"] * slow


@mutant("adopt", "moments", "divides by the moment with the new gradient, as Adam does", "new gradient")
class ADOPTDividesByNew(HandADOPT):
    def denominator(self, g: Tensor, group: Group, state: State) -> Tensor:
        second = group["betas"][1]
        new = second * state["exp_avg_sq"] + (1 - second) * g * g
        return new.sqrt().clamp(min=group["eps"])


@mutant("adopt", "moments", "clip_exp is taken and ignored", "not clipped")
class ADOPTUnclipped(HandADOPT):
    def update(self, p: Tensor, g: Tensor, group: Group, state: State) -> None:
        super().update(p, g, group | {"clip_exp": None}, state)


@mutant("adopt", "decay", "decouple is taken and ignored", "decoupled|(in|to) the gradient|no effect")
class ADOPTAlwaysCoupled(HandADOPT):
    def update(self, p: Tensor, g: Tensor, group: Group, state: State) -> None:
        super().update(p, g, group | {"decouple": False}, state)


@mutant("madgrad", "moments", "a square root in place of the cube root", "square root")
class MADGRADSquareRoot(HandMADGRAD):
    def root(self, v: Tensor) -> Tensor:
        return v.sqrt()


@mutant("madgrad", "rate", "the weight of a gradient is lr, without sqrt(t)", r"lr\*sqrt\(t\)")
class MADGRADWeightsEqual(HandMADGRAD):
    def weight(self, group: Group, state: State) -> float:
        return float(group["lr"] + group["eps"]) if group["lr"] else 0.0


@mutant("madgrad", "momentum", "momentum is taken and ignored", "momentum has no effect")
class MADGRADWithoutMomentum(HandMADGRAD):
    def averaged(self, p: Tensor, z: Tensor, momentum: float) -> Tensor:
        return z


@mutant("grams", "moments", "the sign is that of the average: Adam's step", "sign is that of the average")
class GramsIsAdam(HandGrams):
    def turned(self, u: Tensor, g: Tensor) -> Tensor:
        return u


@mutant("grams", "decay", "the decay is halved", r"\b0\.5\*|half")
class GramsDecayHalved(HandGrams):
    def update(self, p: Tensor, g: Tensor, group: Group, state: State) -> None:
        super().update(p, g, group | {"weight_decay": 0.5 * group["weight_decay"]}, state)


@mutant("grams", "moments", "beta1 and beta2 are swapped", "swapped")
class GramsBetasSwapped(HandGrams):
    def update(self, p: Tensor, g: Tensor, group: Group, state: State) -> None:
        super().update(p, g, group | {"betas": group["betas"][::-1]}, state)


@mutant("cadamw", "moments", "the mask is not scaled up", "not scaled")
class CautiousUnscaled(HandCautiousAdamW):
    def turned(self, u: Tensor, g: Tensor) -> Tensor:
        return u * (u * g > 0)


@mutant("cadamw", "moments", "the mask keeps the entries that go uphill", "uphill|against")
class CautiousUphill(HandCautiousAdamW):
    def turned(self, u: Tensor, g: Tensor) -> Tensor:
        mask = (u * g < 0).to(u.dtype)
        return u * mask * (mask.numel() / (mask.sum() + 1))


@mutant("cadamw", "decay", "decays by weight_decay without lr", r"decay per step is wd\b|not multiplied")
class CautiousDecayWithoutLr(HandCautiousAdamW):
    def update(self, p: Tensor, g: Tensor, group: Group, state: State) -> None:
        shrink(p, group, 1.0)
        super().update(p, g, group | {"weight_decay": 0.0}, state)


@mutant("clion", "moments", "nothing is masked: Lion", "no entry is masked")
class CautiousLionBold(HandCautiousLion):
    def turned(self, u: Tensor, g: Tensor) -> Tensor:
        return u


@mutant("clion", "moments", "the mask is not scaled up", "not scaled")
class CautiousLionUnscaled(HandCautiousLion):
    def turned(self, u: Tensor, g: Tensor) -> Tensor:
        return u * (u * g > 0)


@mutant("clion", "moments", "the average is updated before the sign is taken", "updated before")
class CautiousLionRemembersFirst(HandCautiousLion):
    def update(self, p: Tensor, g: Tensor, group: Group, state: State) -> None:
        m: Any = state.setdefault("exp_avg", torch.zeros_like(p))
        first, second = group["betas"]
        shrink(p, group)
        m.mul_(second).add_(g, alpha=1 - second)
        p.sub_(group["lr"] * self.turned((first * m + (1 - first) * g).sign(), g))
