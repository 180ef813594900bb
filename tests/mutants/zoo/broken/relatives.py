"""Adamax, NAdam, RAdam, RMSprop, Adagrad, Adadelta and Rprop with one slip each."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..by_hand.adam import HandAdamax, HandNAdam, HandRAdam
from ..by_hand.adaptive import HandAdadelta, HandAdagrad, HandRMSprop, HandRprop
from ..by_hand.base import Group, State, shrink
from ..records import mutant


@mutant("adamax", "bias correction", "no bias correction of the first moment", "bias correction|corrected")
class AdamaxWithoutBias(HandAdamax):
    def corrections(self, group: Group, state: State) -> tuple[float, float]:
        return 1.0, 1.0


@mutant("adamax", "eps", "eps is left out of the maximum", r"\beps\b")
class AdamaxEpsIgnored(HandAdamax):
    def average(self, g: Tensor, group: Group, state: State) -> None:
        super().average(g, group | {"eps": 0.0}, state)


@mutant("adamax", "moments", "the maximum never forgets: max(u, |g|)", "beta2|forget|never decays|memory")
class AdamaxNeverForgets(HandAdamax):
    def average(self, g: Tensor, group: Group, state: State) -> None:
        first = group["betas"][0]
        state["exp_avg"].lerp_(g, 1 - first)
        state["exp_inf"] = torch.maximum(state["exp_inf"], g.abs() + group["eps"])


@mutant(
    "nadam",
    "moments",
    "the momentum schedule stands still: momentum_decay is ignored",
    "momentum_decay|schedule",
)
class NAdamScheduleIgnored(HandNAdam):
    def momentum(self, t: float, group: Group) -> float:
        return float(group["betas"][0])


@mutant("nadam", "decay", "decoupled_weight_decay is taken and ignored", "decoupled|(in|to) the gradient")
class NAdamDecoupledIgnored(HandNAdam):
    def decayed(self, p: Tensor, g: Tensor, group: Group, state: State) -> Tensor:
        return super().decayed(p, g, group | {"decoupled_weight_decay": False}, state)


@mutant(
    "nadam",
    "bias correction",
    "the product of momenta starts again at every step",
    "product|bias correction|corrected",
)
class NAdamProductForgotten(HandNAdam):
    def move(self, p: Tensor, group: Group, state: State) -> None:
        state["mu_product"] = torch.ones_like(state["mu_product"])
        super().move(p, group, state)


@mutant("radam", "moments", "rectifies from rho > 4 on instead of 5", "rectif|rho|threshold")
class RAdamRectifiesEarly(HandRAdam):
    threshold = 4.0


@mutant("radam", "moments", "the rectification is left out", "rectif")
class RAdamUnrectified(HandRAdam):
    def rectification(self, length: float, longest: float) -> float:
        return 1.0


@mutant("rmsprop", "eps", "eps is inside the root, undeclared", "inside the root")
class RMSpropEpsInside(HandRMSprop):
    def denominator(self, v: Tensor, group: Group) -> Tensor:
        return (v + group["eps"]).sqrt()


@mutant("rmsprop", "moments", "alpha and 1 - alpha are swapped", "alpha|swapped")
class RMSpropAlphaSwapped(HandRMSprop):
    def variance(self, g: Tensor, group: Group, state: State) -> Tensor:
        return super().variance(g, group | {"alpha": 1 - group["alpha"]}, state)


@mutant("rmsprop", "moments", "centered is taken and ignored", "cent(er|r)ed")
class RMSpropCenteredIgnored(HandRMSprop):
    def variance(self, g: Tensor, group: Group, state: State) -> Tensor:
        return super().variance(g, group | {"centered": False}, state)


@mutant("rmsprop", "decay", "the decay is decoupled, undeclared", "decoupled")
class RMSpropDecoupled(HandRMSprop):
    def update(self, p: Tensor, g: Tensor, group: Group, state: State) -> None:
        shrink(p, group)
        super().update(p, g, group | {"weight_decay": 0.0}, state)


@mutant(
    "rmsprop",
    "momentum",
    "lr goes into the momentum buffer (TensorFlow's form), undeclared",
    "lr is inside|inside the momentum buffer",
    thread="huggingface/pytorch-image-models RMSpropTF (there by design)",
)
class RMSpropLrInsideBuffer(HandRMSprop):
    def move(self, p: Tensor, direction: Tensor, group: Group, state: State) -> None:
        super().move(p, group["lr"] * direction, group | {"lr": 1.0}, state)


@mutant(
    "rmsprop",
    "moments",
    "the average of squares starts at one, undeclared",
    "starts? at|initial",
)
class RMSpropStartsAtOne(HandRMSprop):
    def variance(self, g: Tensor, group: Group, state: State) -> Tensor:
        if state["step"] == 1:
            state["square_avg"].fill_(1.0)
        return super().variance(g, group, state)


@mutant("adagrad", "eps", "eps is inside the root", "inside the root")
class AdagradEpsInside(HandAdagrad):
    def denominator(self, s: Tensor, group: Group) -> Tensor:
        return (s + group["eps"]).sqrt()


@mutant("adagrad", "rate", "lr_decay is one step ahead: lr / (1 + t lr_decay)", "lr_decay|off by one")
class AdagradDecayAhead(HandAdagrad):
    def rate(self, group: Group, state: State) -> Any:
        return group["lr"] / (1 + float(state["step"]) * group["lr_decay"])


@mutant(
    "adagrad",
    "moments",
    "the sum of squares forgets: an average of 0.999",
    "forget|decays|average|accumul",
)
class AdagradForgets(HandAdagrad):
    def accumulate(self, g: Tensor, state: State) -> None:
        state["sum"].mul_(0.999).addcmul_(g, g)


@mutant(
    "adagrad",
    "moments",
    "initial_accumulator_value is taken and ignored",
    "accumulator",
)
class AdagradStartIgnored(HandAdagrad):
    def start(self, p: Tensor, group: Group) -> Tensor:
        return torch.zeros_like(p)


@mutant(
    "adagrad",
    "decay",
    "the decay enters the step and not the sum of squares",
    "decay.*(sum|accumul)|not in the (sum|accumul)",
)
class AdagradDecayMissesSum(HandAdagrad):
    def decayed(self, p: Tensor, g: Tensor, group: Group) -> Tensor:
        self.pull = group["weight_decay"] * p
        return super().decayed(p, g, group)

    def accumulate(self, g: Tensor, state: State) -> None:
        super().accumulate(g - self.pull, state)


@mutant("adadelta", "moments", "the steps' average counts lr in", "squared steps has lr")
class AdadeltaRemembersLr(HandAdadelta):
    def remember(self, delta: Tensor, group: Group, state: State) -> None:
        super().remember(group["lr"] * delta, group, state)


@mutant(
    "adadelta", "moments", "the steps' average is not kept: it stays at eps", "delta|accumul|squared steps"
)
class AdadeltaForgets(HandAdadelta):
    def remember(self, delta: Tensor, group: Group, state: State) -> None:
        return


@mutant("rprop", "moments", "steps again at once after a flip of sign", "flip|sign change|turn")
class RpropStepsAfterFlip(HandRprop):
    def after_flip(self, g: Tensor, kept: Tensor) -> Tensor:
        return g


@mutant("rprop", "moments", "the two factors of etas are swapped", r"\betas?\b|swapped")
class RpropEtasSwapped(HandRprop):
    def update(self, p: Tensor, g: Tensor, group: Group, state: State) -> None:
        super().update(p, g, group | {"etas": group["etas"][::-1]}, state)
