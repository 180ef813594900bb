"""Slips of released optimizers in weight decay, and under switches of the constructor such as the one that
chooses its form. The others are in ``released_slips``."""

from __future__ import annotations

from typing import Any

import torch
from inconsistent_optimizers import Consistent, Group
from released_slips import EPS
from torch import Tensor


class Switched(Consistent):
    """Weight decay is decoupled or added to the gradient, and the update is centred if asked for."""

    def __init__(
        self,
        params: Any,
        lr: float = 1e-2,
        weight_decay: float = 0.0,
        weight_decouple: bool = True,
        centred_moment: bool = False,
    ):
        super().__init__(params, lr, weight_decay)
        self.weight_decouple, self.centred_moment = weight_decouple, centred_moment

    def move(self, p: Tensor, g: Tensor, group: Group, count: float) -> None:
        if not self.weight_decouple:
            g, group = self.coupled(p, g, group), {**group, "weight_decay": 0.0}
        if self.centred_moment:
            mean = self.state[p].setdefault("mean", torch.zeros_like(p))
            mean.lerp_(g, 0.1)
            self.centre(p, mean, group, g)
            return
        super().move(p, g, group, count)

    def coupled(self, p: Tensor, g: Tensor, group: Group) -> Tensor:
        return g + group["weight_decay"] * p

    def centre(self, p: Tensor, mean: Tensor, group: Group, g: Tensor) -> None:
        square = self.state[p]["square"]
        square.mul_(0.9).addcmul_(g, g, value=0.1)
        p.mul_(1 - group["lr"] * group["weight_decay"])
        p.addcdiv_(g, (square - mean.square()).clamp(min=0.0).sqrt().add(EPS), value=-float(group["lr"]))


class DecayLostUnderASwitch(Switched):
    """pytorch_optimizer's CAME and SPlus before 4.0: the decay goes into a gradient that was used already."""

    def coupled(self, p: Tensor, g: Tensor, group: Group) -> Tensor:
        return g


class SwitchIgnored(Switched):
    """pytorch_optimizer's FlashAdamW before 3.11: decouple_lr is read nowhere."""

    def move(self, p: Tensor, g: Tensor, group: Group, count: float) -> None:
        self.centred_moment = False
        super().move(p, g, group, count)


class CentredInPlace(Switched):
    """pytorch_optimizer's LaProp before 3.11: the mean is subtracted from the state itself."""

    def centre(self, p: Tensor, mean: Tensor, group: Group, g: Tensor) -> None:
        square = self.state[p]["square"]
        square.mul_(0.9).addcmul_(g, g, value=0.1)
        square -= mean.square()
        p.addcdiv_(g, square.sqrt().add(EPS), value=-float(group["lr"]))


class RectifiedUphill(Consistent):
    """pytorch_optimizer's Lamb before 4.0: the step size is -lr while the variance cannot be trusted yet."""

    untrusted = -1.0

    def __init__(self, params: Any, lr: float = 1e-2, weight_decay: float = 0.0, rectify: bool = False):
        super().__init__(params, lr, weight_decay)
        self.rectify = rectify

    def move(self, p: Tensor, g: Tensor, group: Group, count: float) -> None:
        scale = self.untrusted if self.rectify and count <= 5 else 1.0
        super().move(p, g, {**group, "lr": group["lr"] * scale}, count)


class RectifiedUphillRight(RectifiedUphill):
    untrusted = 0.0


class Coupled(Consistent):
    """Weight decay is added to the gradient, or decoupled if asked for."""

    def __init__(
        self, params: Any, lr: float = 1e-2, weight_decay: float = 0.0, weight_decouple: bool = False
    ) -> None:
        super().__init__(params, lr, weight_decay)
        self.weight_decouple = weight_decouple

    def move(self, p: Tensor, g: Tensor, group: Group, count: float) -> None:
        if self.weight_decouple:
            self.shrink(p, group)
        else:
            g = self.coupled(p, g, group)
        super().move(p, g, {**group, "weight_decay": 0.0}, count)

    def coupled(self, p: Tensor, g: Tensor, group: Group) -> Tensor:
        return g + group["weight_decay"] * p

    def shrink(self, p: Tensor, group: Group) -> None:
        p.mul_(1 - group["lr"] * group["weight_decay"])


class CoupledDecayLost(Coupled):
    """pytorch_optimizer's DAdaptAdam before 4.1: only the decoupled form acts, and it is not the default."""

    def coupled(self, p: Tensor, g: Tensor, group: Group) -> Tensor:
        return g


class DecoupledTwice(Coupled):
    """pytorch_optimizer's ScalableShampoo before 4.0: it decays once for each of two gradients."""

    def shrink(self, p: Tensor, group: Group) -> None:
        for _ in range(2):
            super().shrink(p, group)


class DecaysTwice(Consistent):
    """Weight decay is applied twice, whatever the settings are."""

    def move(self, p: Tensor, g: Tensor, group: Group, count: float) -> None:
        p.mul_(1 - group["lr"] * group["weight_decay"])
        super().move(p, g, group, count)
