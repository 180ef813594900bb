"""Adam, AdamW and AMSGrad with broken moments, bias corrections, eps or state."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..by_hand.adam import HandAdam, HandAdamW
from ..by_hand.base import Group, State
from ..records import mutant


@mutant(
    "adam",
    "bias correction",
    "no bias correction of the first moment",
    "only the second moment is corrected|first moment is not corrected|no bias correction",
)
class BiasMissingOnFirst(HandAdam):
    def corrections(self, group: Group, state: State) -> tuple[float, float]:
        return 1.0, super().corrections(group, state)[1]


@mutant(
    "adamw",
    "bias correction",
    "no bias correction of the second moment",
    "only the first moment is corrected|second moment is not corrected|no bias correction",
)
class BiasMissingOnSecond(HandAdamW):
    def corrections(self, group: Group, state: State) -> tuple[float, float]:
        return super().corrections(group, state)[0], 1.0


@mutant(
    "adamw",
    "bias correction",
    "the corrections are one step ahead: 1 - beta^(t + 1)",
    "off by one step",
)
class BiasOneStepAhead(HandAdamW):
    def corrections(self, group: Group, state: State) -> tuple[float, float]:
        return super().corrections(group, {"step": state["step"] + 1})


@mutant(
    "adam",
    "bias correction",
    "the corrections lag one step from the second step on",
    "off by one step|bias correction",
)
class BiasOneStepLate(HandAdam):
    def corrections(self, group: Group, state: State) -> tuple[float, float]:
        return super().corrections(group, {"step": max(1, float(state["step"]) - 1)})


@mutant(
    "adam",
    "bias correction",
    "one step counter for all parameters, counted per parameter",
    "counter|step count|share|other (parameter|tensor)s?|neighbour|alone",
)
class CounterShared(HandAdam):
    def corrections(self, group: Group, state: State) -> tuple[float, float]:
        self.counted = getattr(self, "counted", 0) + 1
        return super().corrections(group, {"step": self.counted})


@mutant(
    "adamw",
    "bias correction",
    "the correction of the second moment is not under the root",
    "bias correction|root",
)
class BiasWithoutRoot(HandAdamW):
    def denominator(self, v: Tensor, correction: float, group: Group) -> Tensor:
        return v.sqrt() / correction + group["eps"]


@mutant("adam", "bias correction", "the corrections use each other's beta", "bias correction|swapped")
class BiasSwapped(HandAdam):
    def corrections(self, group: Group, state: State) -> tuple[float, float]:
        first, second = super().corrections(group, state)
        return second, first


@mutant(
    "adamw",
    "bias correction",
    "powers of beta come from a running product that a state_dict forgets",
    "state_dict|resum|load|saved",
)
class BiasProductNotSaved(HandAdamW):
    def corrections(self, group: Group, state: State) -> tuple[float, float]:
        products = self.__dict__.setdefault("products", {})
        first, second = products.get(id(state["exp_avg"]), (1.0, 1.0))
        first, second = first * group["betas"][0], second * group["betas"][1]
        products[id(state["exp_avg"])] = first, second
        return 1 - first, 1 - second


@mutant(
    "adam",
    "bias correction",
    "bias correction stops after 1000 steps",
    "bias correction|late steps|at step 10000",
)
class BiasStopsAtThousand(HandAdam):
    def corrections(self, group: Group, state: State) -> tuple[float, float]:
        return (1.0, 1.0) if state["step"] > 1000 else super().corrections(group, state)


@mutant("adamw", "eps", "eps is inside the root: sqrt(v / c2 + eps)", "inside the root")
class EpsInsideRoot(HandAdamW):
    def denominator(self, v: Tensor, correction: float, group: Group) -> Tensor:
        return (v / correction + group["eps"]).sqrt()


@mutant(
    "adam",
    "eps",
    "eps is added before the bias correction: (sqrt(v) + eps) / sqrt(c2)",
    "before the bias correction",
)
class EpsBeforeCorrection(HandAdam):
    def denominator(self, v: Tensor, correction: float, group: Group) -> Tensor:
        return (v.sqrt() + group["eps"]) / math.sqrt(correction)


@mutant(
    "adamw", "eps", "eps is taken and ignored: 1e-8 always", "eps (has no effect|is ignored|acts as|is fixed)"
)
class EpsIgnored(HandAdamW):
    def denominator(self, v: Tensor, correction: float, group: Group) -> Tensor:
        return super().denominator(v, correction, group | {"eps": 1e-8})


@mutant("adam", "eps", "eps is multiplied by lr", r"\beps\b")
class EpsTimesLr(HandAdam):
    def denominator(self, v: Tensor, correction: float, group: Group) -> Tensor:
        return super().denominator(v, correction, group | {"eps": float(group["lr"]) * group["eps"]})


@mutant("adamw", "eps", "eps bounds the root from below instead of being added", "floor|clamp")
class EpsAsClamp(HandAdamW):
    def denominator(self, v: Tensor, correction: float, group: Group) -> Tensor:
        return (v.sqrt() / math.sqrt(correction)).clamp(min=group["eps"])


@mutant("adam", "eps", "eps is added twice", r"\beps\b")
class EpsTwice(HandAdam):
    def denominator(self, v: Tensor, correction: float, group: Group) -> Tensor:
        return super().denominator(v, correction, group) + group["eps"]


@mutant("adam", "moments", "beta1 and beta2 are swapped", "swapped|beta")
class BetasSwapped(HandAdam):
    def update(self, p: Tensor, g: Tensor, group: Group, state: State) -> None:
        super().update(p, g, group | {"betas": group["betas"][::-1]}, state)


@mutant(
    "adamw",
    "moments",
    "the second moment is that of g - m (AdaBelief), undeclared",
    "AdaBelief|g ?- ?m|cent(er|r)ed|variance",
)
class SecondMomentCentred(HandAdamW):
    def average(self, g: Tensor, group: Group, state: State) -> None:
        first, second = group["betas"]
        state["exp_avg"].lerp_(g, 1 - first)
        rest = g - state["exp_avg"]
        state["exp_avg_sq"].mul_(second).addcmul_(rest, rest, value=1 - second)


@mutant(
    "adamw",
    "moments",
    "the second moment is one step old",
    "second moment.*(old|before|late|lag)|v of the step before|before v",
)
class SecondMomentOneStepOld(HandAdamW):
    def average(self, g: Tensor, group: Group, state: State) -> None:
        state["old"] = g**2 if state["step"] == 1 else state["exp_avg_sq"].clone()
        super().average(g, group, state)

    def second_moment(self, group: Group, state: State) -> Tensor:
        return state["old"]


@mutant(
    "adam",
    "moments",
    "the first moment is not averaged: m <- beta1 m + g",
    r"\bsum(s|med)?\b|not averaged|without \(?1 ?- ?b",
)
class FirstMomentSummed(HandAdam):
    def average(self, g: Tensor, group: Group, state: State) -> None:
        before = group["betas"][0] * state["exp_avg"]
        super().average(g, group, state)
        state["exp_avg"] = before + g


@mutant("adam", "moments", "Nesterov's look-ahead in the first moment, undeclared", "nesterov|look-?ahead")
class HiddenNesterov(HandAdam):
    def average(self, g: Tensor, group: Group, state: State) -> None:
        super().average(g, group, state)
        state["g"] = g

    def move(self, p: Tensor, group: Group, state: State) -> None:
        kept, first = state["exp_avg"], group["betas"][0]
        state["exp_avg"] = first * kept + (1 - first) * state.pop("g")
        super().move(p, group, state)
        state["exp_avg"] = kept


@mutant("adam", "moments", "amsgrad is taken and ignored", "amsgrad")
class AmsgradIgnored(HandAdam):
    def second_moment(self, group: Group, state: State) -> Tensor:
        return state["exp_avg_sq"]


@mutant("adam", "moments", "amsgrad keeps the maximum of the first moment's square", "amsgrad")
class AmsgradOfFirstMoment(HandAdam):
    def second_moment(self, group: Group, state: State) -> Tensor:
        if not group["amsgrad"]:
            return state["exp_avg_sq"]
        state["max_exp_avg_sq"] = torch.maximum(state["max_exp_avg_sq"], state["exp_avg"] ** 2)
        return state["max_exp_avg_sq"]


@mutant("adamw", "moments", "amsgrad takes the maximum of the bias-corrected moments", "amsgrad")
class AmsgradOfCorrected(HandAdamW):
    def second_moment(self, group: Group, state: State) -> Tensor:
        if not group["amsgrad"]:
            return state["exp_avg_sq"]
        correction = self.corrections(group, state)[1]
        corrected = state["exp_avg_sq"] / correction
        state["max_exp_avg_sq"] = torch.maximum(state["max_exp_avg_sq"], corrected)
        return state["max_exp_avg_sq"] * correction


@mutant("adamw", "moments", "amsgrad forgets the maximum from step to step", "amsgrad")
class AmsgradForgets(HandAdamW):
    def second_moment(self, group: Group, state: State) -> Tensor:
        if group["amsgrad"]:
            state["max_exp_avg_sq"].copy_(state["exp_avg_sq"])
        return state["exp_avg_sq"]


@mutant(
    "adam",
    "precision",
    "the second moment is kept in float32 for float64 weights",
    "float32|single precision",
)
class SecondMomentInSingle(HandAdam):
    def average(self, g: Tensor, group: Group, state: State) -> None:
        super().average(g, group, state)
        state["exp_avg_sq"] = state["exp_avg_sq"].float().to(g.dtype)


@mutant("adamw", "precision", "the moments are kept in bfloat16", "bfloat16|bf16")
class MomentsInBfloat16(HandAdamW):
    def start(self, p: Tensor, group: Group, state: State) -> None:
        super().start(p, group, state)
        state["exp_avg"] = state["exp_avg"].bfloat16()

    def average(self, g: Tensor, group: Group, state: State) -> None:
        first, second = group["betas"]
        state["exp_avg"] = (first * state["exp_avg"].to(g.dtype) + (1 - first) * g).bfloat16()
        state["exp_avg_sq"].mul_(second).addcmul_(g, g, value=1 - second)

    def move(self, p: Tensor, group: Group, state: State) -> None:
        super().move(p, group, state | {"exp_avg": state["exp_avg"].to(p.dtype)})


@mutant(
    "adam",
    "state",
    "the step counter is not in the state_dict: bias correction starts again",
    "state_dict|resum|load|saved",
)
class CounterNotSaved(HandAdam):
    def update(self, p: Tensor, g: Tensor, group: Group, state: State) -> None:
        counted = self.__dict__.setdefault("counted", {})
        if not state:
            self.start(p, group, state)
        state["step"] = counted.get(id(p), torch.tensor(0.0))
        super().update(p, g, group, state)
        counted[id(p)] = state.pop("step")


@mutant("adamw", "state", "group betas are ignored: the constructor's are used everywhere", "group")
class GroupBetasIgnored(HandAdamW):
    def update(self, p: Tensor, g: Tensor, group: Group, state: State) -> None:
        super().update(p, g, group | {"betas": self.defaults["betas"]}, state)


@mutant(
    "adamw",
    "rate",
    "lr is scaled by the root of the tensor's row count, undeclared",
    "shape|depends on the tensor|rows",
)
class HiddenShapeFactor(HandAdamW):
    def move(self, p: Tensor, group: Group, state: State) -> None:
        rows = p.shape[0] if p.dim() > 1 else 1
        super().move(p, group | {"lr": group["lr"] / math.sqrt(rows)}, state)


@mutant("adam", "rate", "lr warms up over ten steps, unasked", "warm|first steps|early steps|at steps? 1")
class HiddenWarmup(HandAdam):
    def move(self, p: Tensor, group: Group, state: State) -> None:
        part = min(1.0, float(state["step"]) / 10)
        super().move(p, group | {"lr": group["lr"] * part}, state)


@mutant("adamw", "moments", "updates are clipped to [-1, 1] per weight, unasked", "clip|bounded|clamp")
class HiddenUpdateClip(HandAdamW):
    def move(self, p: Tensor, group: Group, state: State) -> None:
        first, second = self.corrections(group, state)
        below = self.denominator(self.second_moment(group, state), second, group)
        p.sub_(group["lr"] * (state["exp_avg"] / first / below).clamp(-1, 1))
