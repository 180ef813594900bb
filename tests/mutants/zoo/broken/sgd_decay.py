"""SGD and SGDW with a broken weight decay."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..by_hand.base import Group, State, shrink
from ..by_hand.sgd import HandSGD, HandSGDW
from ..records import mutant


@mutant(
    "sgd",
    "decay",
    "weight_decay is read and never used",
    "no effect|no weight decay",
    thread="tinygrad#17708, PaddlePaddle/Paddle#5836",
)
class DecayIgnored(HandSGD):
    def decayed(self, p: Tensor, g: Tensor, group: Group, state: State) -> Tensor:
        return g


@mutant("sgd", "decay", "half of the decay", r"\b0\.5\*|half")
class DecayHalved(HandSGD):
    def decayed(self, p: Tensor, g: Tensor, group: Group, state: State) -> Tensor:
        return g + 0.5 * group["weight_decay"] * p


@mutant(
    "sgd",
    "decay",
    "the weights grow: the decay has the wrong sign",
    r"-1\*lr|grow|wrong sign",
    thread="harvard-edge/cs249r_book#2058",
)
class DecayGrows(HandSGD):
    def decayed(self, p: Tensor, g: Tensor, group: Group, state: State) -> Tensor:
        return g - group["weight_decay"] * p


@mutant("sgd", "decay", "decays in the gradient and the weights", r"\b2\*lr|twice")
class DecayTwice(HandSGD):
    def update(self, p: Tensor, g: Tensor, group: Group, state: State) -> None:
        before = g + group["weight_decay"] * p
        shrink(p, group)
        self.move(p, self.direction(before, group, state), group, state)


@mutant(
    "sgd",
    "decay",
    "decays in the gradient at every other step",
    "every (other|second) step|only at (odd|even) steps|some steps",
)
class DecayEveryOtherStep(HandSGD):
    def decayed(self, p: Tensor, g: Tensor, group: Group, state: State) -> Tensor:
        state["t"] = state.get("t", 0) + 1
        return g + (state["t"] % 2) * group["weight_decay"] * p


@mutant(
    "sgd",
    "decay",
    "pulls towards zero by the weights of the first step",
    "initial weights",
)
class DecayOnInitialWeights(HandSGD):
    def decayed(self, p: Tensor, g: Tensor, group: Group, state: State) -> Tensor:
        return g + group["weight_decay"] * state.setdefault("initial", p.clone())


@mutant("sgd", "decay", "the sign of the weights decays, not the weights (L1)", r"L1|sign\(w\)")
class DecayL1(HandSGD):
    def decayed(self, p: Tensor, g: Tensor, group: Group, state: State) -> Tensor:
        return g + group["weight_decay"] * p.sign()


@mutant(
    "sgd",
    "decay",
    "a tensor whose gradient is zero is skipped, decay and all",
    "zero gradient",
)
class DecaySkipsZeroGradient(HandSGD):
    def update(self, p: Tensor, g: Tensor, group: Group, state: State) -> None:
        if g.any():
            super().update(p, g, group, state)


@mutant("sgd", "decay", "decay per step is lr^2 * weight_decay", r"lr\^2")
class DecayByLrSquared(HandSGD):
    def decayed(self, p: Tensor, g: Tensor, group: Group, state: State) -> Tensor:
        return g + group["lr"] * group["weight_decay"] * p


@mutant(
    "sgd",
    "decay",
    "the decay is subtracted after lr was multiplied in",
    r"decay per step is wd\b|not multiplied by lr|independent of lr",
)
class DecayWithoutLr(HandSGD):
    def update(self, p: Tensor, g: Tensor, group: Group, state: State) -> None:
        pull = group["weight_decay"] * p
        self.move(p, self.direction(g, group, state), group, state)
        p.sub_(pull)


@mutant(
    "sgd",
    "decay",
    "the decay is added after the momentum: it is decoupled",
    "decoupled",
)
class DecayMissesMomentum(HandSGD):
    def update(self, p: Tensor, g: Tensor, group: Group, state: State) -> None:
        self.move(p, self.direction(g, group, state) + group["weight_decay"] * p, group, state)


@mutant("sgd", "decay", "maximize turns the decay too, so that the weights grow", "maximi[sz]e")
class DecayMaximized(HandSGD):
    def gradient(self, p: Tensor, group: Group) -> Tensor:
        return p.grad

    def decayed(self, p: Tensor, g: Tensor, group: Group, state: State) -> Tensor:
        g = super().decayed(p, g, group, state)
        return -g if group["maximize"] else g


@mutant("sgd", "decay", "every group decays as the first group does", "group")
class DecayOfTheFirstGroup(HandSGD):
    def decayed(self, p: Tensor, g: Tensor, group: Group, state: State) -> Tensor:
        return g + self.param_groups[0]["weight_decay"] * p


@mutant(
    "sgd",
    "decay",
    "only tensors of two and more axes decay",
    "matri|1-d|one-dimensional|vector|axes|dimension|shape|some tensors|depends on the tensor",
)
class DecaySparesVectors(HandSGD):
    def decayed(self, p: Tensor, g: Tensor, group: Group, state: State) -> Tensor:
        return super().decayed(p, g, group, state) if p.dim() > 1 else g


@mutant(
    "sgdw",
    "decay",
    "decoupled by name, but the decay goes through the momentum buffer",
    "(in|to) the gradient|through the (momentum|buffer)",
)
class SGDWCoupled(HandSGDW):
    def decayed(self, p: Tensor, g: Tensor, group: Group, state: State) -> Tensor:
        return g + group["weight_decay"] * p


@mutant("sgdw", "decay", "decays after the step, the step's own move included", "after the step")
class SGDWDecaysAfter(HandSGDW):
    def update(self, p: Tensor, g: Tensor, group: Group, state: State) -> None:
        self.move(p, self.direction(g, group, state), group, state)
        shrink(p, group)


@mutant(
    "sgdw",
    "decay",
    "the decay keeps the lr of the first step while a schedule runs",
    "lr of the first step|initial lr",
)
class SGDWDecaysAtInitialLr(HandSGDW):
    def decayed(self, p: Tensor, g: Tensor, group: Group, state: State) -> Tensor:
        shrink(p, group, group.setdefault("initial", float(group["lr"])))
        return g


@mutant(
    "sgdw",
    "decay",
    "the decay takes the lr of the step before",
    "lr of the step before",
)
class SGDWDecaysAtOldLr(HandSGDW):
    def decayed(self, p: Tensor, g: Tensor, group: Group, state: State) -> Tensor:
        shrink(p, group, state.get("lr", group["lr"]))
        state["lr"] = float(group["lr"])
        return g


@mutant(
    "sgdw",
    "decay",
    "decays after the step, when the schedule has already set the next lr",
    "next lr|lr of the next step|one step late|after the step",
)
class SGDWDecaysAtNextLr(HandSGDW):
    """The decay that is owed is paid at the beginning of the next step, with the lr of that step."""

    def decayed(self, p: Tensor, g: Tensor, group: Group, state: State) -> Tensor:
        if state.get("owed"):
            shrink(p, group)
        state["owed"] = True
        return g


class ForeachSGDW(HandSGDW):
    """SGDW with a foreach path, as timm's: tensors of one dtype at a time."""

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
    ):
        super().__init__(params, lr, momentum, dampening, weight_decay, nesterov, maximize=maximize)
        for group in self.param_groups:
            group.setdefault("foreach", foreach)
        self.defaults["foreach"] = foreach

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        if not all(group["foreach"] for group in self.param_groups):
            return super().step(closure)
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            taken = [p for p in group["params"] if p.grad is not None]
            kinds = {p.dtype: [q for q in taken if q.dtype == p.dtype] for p in taken}
            self.decay_all(kinds, taken, group)
            for tensors in kinds.values():
                moves = [self.direction(self.gradient(p, group), group, self.state[p]) for p in tensors]
                torch._foreach_sub_(tensors, torch._foreach_mul(moves, float(group["lr"])))
        return loss

    def decay_all(self, kinds: dict[Any, list[Tensor]], taken: list[Tensor], group: Group) -> None:
        for tensors in kinds.values():
            torch._foreach_mul_(tensors, 1 - float(group["lr"]) * group["weight_decay"])


@mutant(
    "sgdw",
    "switch",
    "the foreach path decays every tensor once per dtype in the group",
    "dtype|mixed",
    thread="huggingface/pytorch-image-models#2750",
)
class ForeachDecaysPerDtype(ForeachSGDW):
    def decay_all(self, kinds: dict[Any, list[Tensor]], taken: list[Tensor], group: Group) -> None:
        for _ in kinds:
            torch._foreach_mul_(taken, 1 - float(group["lr"]) * group["weight_decay"])


@mutant(
    "sgdw", "switch", "the foreach path forgets the decay", "foreach", thread="kozistr/pytorch_optimizer#519"
)
class ForeachForgetsDecay(ForeachSGDW):
    def decay_all(self, kinds: dict[Any, list[Tensor]], taken: list[Tensor], group: Group) -> None:
        return


@mutant(
    "sgdw",
    "precision",
    "the decay factor is rounded to bfloat16",
    "bfloat16|bf16|rounded",
    thread="Nerogar/OneTrainer#996",
)
class DecayFactorInBfloat16(HandSGDW):
    def decayed(self, p: Tensor, g: Tensor, group: Group, state: State) -> Tensor:
        factor = torch.tensor(1 - float(group["lr"]) * group["weight_decay"], dtype=torch.bfloat16)
        p.mul_(factor.to(p.dtype))
        return g
