"""Lion and sign descent with one slip each."""

from __future__ import annotations

import torch
from torch import Tensor

from ..by_hand.base import Group, State, shrink
from ..by_hand.signs import HandLion, HandSignSGD
from ..records import mutant


@mutant(
    "lion",
    "decay",
    "the decay goes through the sign (coupled)",
    "(?<!de)coupled|(in|to) the gradient",
    thread="bitsandbytes-foundation/bitsandbytes#1992",
)
class LionCoupled(HandLion):
    def decayed(self, p: Tensor, g: Tensor, group: Group) -> Tensor:
        return g + group["weight_decay"] * p


@mutant("lion", "moments", "beta1 and beta2 are swapped", "swapped|beta")
class LionBetasSwapped(HandLion):
    def update(self, p: Tensor, g: Tensor, group: Group, state: State) -> None:
        super().update(p, g, group | {"betas": group["betas"][::-1]}, state)


@mutant(
    "lion",
    "moments",
    "the momentum is updated before the sign is taken",
    "before the (sign|step)|order|memory first|updated before",
)
class LionRemembersFirst(HandLion):
    def update(self, p: Tensor, g: Tensor, group: Group, state: State) -> None:
        state.setdefault("exp_avg", torch.zeros_like(p))
        g = self.decayed(p, g, group)
        self.remember(g, group, state)
        p.sub_(group["lr"] * self.sign(self.looked_ahead(g, group, state)))


@mutant("lion", "moments", "the sign of zero is one", r"sign of zero|sign\(0\)|zero")
class LionSignOfZero(HandLion):
    def sign(self, direction: Tensor) -> Tensor:
        return torch.where(direction >= 0, 1.0, -1.0).to(direction.dtype)


@mutant("lion", "decay", "decays after the step, the step's own move included", "after the step")
class LionDecaysAfter(HandLion):
    def decayed(self, p: Tensor, g: Tensor, group: Group) -> Tensor:
        return g

    def update(self, p: Tensor, g: Tensor, group: Group, state: State) -> None:
        super().update(p, g, group, state)
        shrink(p, group)


@mutant("lion", "decay", "decay per step is lr^2 * weight_decay", r"lr\^2")
class LionDecayByLrSquared(HandLion):
    def decayed(self, p: Tensor, g: Tensor, group: Group) -> Tensor:
        shrink(p, group, group["lr"] ** 2)
        return g


@mutant(
    "lion",
    "decay",
    "weight_decay is divided by lr inside: decay per step is weight_decay",
    r"decay per step is wd\b|not multiplied by lr|independent of lr",
    thread="lucidrains/lion-pytorch#39 (there as an option)",
)
class LionDecayWithoutLr(HandLion):
    def decayed(self, p: Tensor, g: Tensor, group: Group) -> Tensor:
        shrink(p, group, 1.0)
        return g


@mutant("lion", "moments", "a soft sign, c / (|c| + 1e-8)", "soft|not a sign|degree|homogen|one size")
class LionSoftSign(HandLion):
    def sign(self, direction: Tensor) -> Tensor:
        return direction / (direction.abs() + 1e-8)


@mutant("signsgd", "moments", "the sign is taken before the average", "before the (average|momentum)|order")
class SignBeforeAverage(HandSignSGD):
    def direction(self, g: Tensor, group: Group, state: State) -> Tensor:
        mu = group["momentum"]
        if not mu:
            return g.sign()
        return state.setdefault("momentum_buffer", torch.zeros_like(g)).mul_(mu).add_(g.sign(), alpha=1 - mu)


@mutant("signsgd", "moments", "the sign of zero is one", r"sign of zero|sign\(0\)|zero")
class SignOfZero(HandSignSGD):
    def direction(self, g: Tensor, group: Group, state: State) -> Tensor:
        g = super().direction(g, group, state)
        return torch.where(g == 0, torch.ones_like(g), g)


@mutant("signsgd", "decay", "the decay is halved", r"\b0\.5\*|half")
class SignDecayHalved(HandSignSGD):
    def decay(self, p: Tensor, group: Group) -> None:
        shrink(p, group, 0.5 * group["lr"])


@mutant(
    "signsgd",
    "moments",
    "multiplied by the mean size of the gradient, undeclared",
    "degree|homogen|scale|size of the gradient",
)
class SignScaledByMean(HandSignSGD):
    def direction(self, g: Tensor, group: Group, state: State) -> Tensor:
        return super().direction(g, group, state) * g.abs().mean()
