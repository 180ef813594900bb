"""SGD with a broken momentum buffer, learning rate or gradient."""

from __future__ import annotations

import torch
from torch import Tensor

from ..by_hand.base import Group, State
from ..by_hand.sgd import HandSGD, HandSGDW
from ..records import mutant


@mutant(
    "sgd",
    "momentum",
    "the buffer starts at (1 - dampening) g, where torch starts at g",
    r"starts at \(1 ?- ?dampening\)|starts dampened",
)
class BufferStartsDampened(HandSGD):
    def buffer(self, g: Tensor, group: Group, state: State) -> Tensor:
        state.setdefault("momentum_buffer", torch.zeros_like(g))
        return super().buffer(g, group, state)


@mutant("sgd", "momentum", "dampening is taken and ignored", "dampening has no effect|dampening.*ignored")
class DampeningIgnored(HandSGD):
    def buffer(self, g: Tensor, group: Group, state: State) -> Tensor:
        return super().buffer(g, group | {"dampening": 0.0}, state)


@mutant("sgd", "momentum", "the buffer is an average, undeclared: mu b + (1 - mu) g", "averag|EMA")
class BufferIsAverage(HandSGD):
    def buffer(self, g: Tensor, group: Group, state: State) -> Tensor:
        return super().buffer(g, group | {"dampening": group["momentum"]}, state)


@mutant("sgd", "momentum", "nesterov is taken and ignored", "nesterov has no effect")
class NesterovIgnored(HandSGD):
    def direction(self, g: Tensor, group: Group, state: State) -> Tensor:
        return super().direction(g, group | {"nesterov": False}, state)


@mutant("sgd", "momentum", "Nesterov's factor is applied twice: g + mu^2 b", "nesterov|look-?ahead")
class NesterovSquared(HandSGD):
    def direction(self, g: Tensor, group: Group, state: State) -> Tensor:
        if not group["nesterov"]:
            return super().direction(g, group, state)
        return g + group["momentum"] ** 2 * self.buffer(g, group, state)


@mutant(
    "sgd",
    "momentum",
    "lr goes into the buffer (Sutskever's form), undeclared",
    "lr is inside|inside the momentum buffer|sutskever",
)
class LrInsideBuffer(HandSGD):
    def direction(self, g: Tensor, group: Group, state: State) -> Tensor:
        if not group["momentum"]:
            return group["lr"] * g
        return super().direction(group["lr"] * g, group, state)

    def move(self, p: Tensor, direction: Tensor, group: Group, state: State) -> None:
        p.sub_(direction)


@mutant(
    "sgd",
    "momentum",
    "the buffer is forgotten whenever lr changes",
    "reset|forg[eo]t|lr changes|starts again",
)
class BufferResetsWithLr(HandSGD):
    def buffer(self, g: Tensor, group: Group, state: State) -> Tensor:
        if state.get("lr") != float(group["lr"]):
            state["momentum_buffer"] = None
        state["lr"] = float(group["lr"])
        return super().buffer(g, group, state)


@mutant(
    "sgd",
    "momentum",
    "tensors of one shape share one buffer",
    "share|other (parameter|tensor)s?|same shape|alone|neighbour",
)
class BufferSharedByShape(HandSGD):
    def buffer(self, g: Tensor, group: Group, state: State) -> Tensor:
        first = next(p for p in group["params"] if p.shape == g.shape)
        return super().buffer(g, group, self.state[first])


@mutant(
    "sgd",
    "momentum",
    "the buffer starts as the gradient itself, not a copy of it",
    r"alias|p\.grad|gradient('s)? (tensor|memory|storage)|set_to_none",
)
class BufferAliasesGradient(HandSGD):
    def buffer(self, g: Tensor, group: Group, state: State) -> Tensor:
        if state.get("momentum_buffer") is None:
            state["momentum_buffer"] = g
            return g
        return super().buffer(g, group, state)


@mutant("sgd", "momentum", "momentum loses its last tenth: 0.99 mu", "momentum (acts|is|decays)|memory")
class MomentumLeaks(HandSGD):
    def buffer(self, g: Tensor, group: Group, state: State) -> Tensor:
        return super().buffer(g, group | {"momentum": 0.99 * group["momentum"]}, state)


@mutant(
    "sgd",
    "momentum",
    "a parameter without gradient goes on moving by its buffer",
    "without (a )?gradient|grad(ient)? (is )?None|no gradient|missing gradient",
)
class MissingGradientMoves(HandSGD):
    @torch.no_grad()
    def step(self, closure=None):  # type: ignore[no-untyped-def]
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None and self.state[p].get("momentum_buffer") is not None:
                    buffer = self.state[p]["momentum_buffer"].mul_(group["momentum"])
                    self.move(p, buffer, group, self.state[p])
        return super().step(closure)


@mutant("sgd", "rate", "lr is squared", r"lr\^2|lr squared|square of lr|power of lr")
class LrSquared(HandSGD):
    def move(self, p: Tensor, direction: Tensor, group: Group, state: State) -> None:
        p.sub_(group["lr"] ** 2 * direction)


@mutant("sgd", "rate", "lr is one step old under a schedule", "lr of the step before")
class LrOneStepOld(HandSGD):
    def move(self, p: Tensor, direction: Tensor, group: Group, state: State) -> None:
        p.sub_(state.get("lr", group["lr"]) * direction)
        state["lr"] = float(group["lr"])


@mutant(
    "sgd",
    "rate",
    "lr is read once, when the optimizer is built: schedules do nothing",
    "lr of the first step|constructor|schedule",
)
class LrOfConstructor(HandSGD):
    def move(self, p: Tensor, direction: Tensor, group: Group, state: State) -> None:
        p.sub_(float(self.defaults["lr"]) * direction)


@mutant("sgd", "rate", "every group moves with the lr of the first group", "group")
class LrOfTheFirstGroup(HandSGD):
    def move(self, p: Tensor, direction: Tensor, group: Group, state: State) -> None:
        p.sub_(self.param_groups[0]["lr"] * direction)


@mutant("sgd", "rate", "a tensor lr is read once: changing it in place does nothing", "tensor lr|lr.*tensor")
class TensorLrCached(HandSGD):
    def move(self, p: Tensor, direction: Tensor, group: Group, state: State) -> None:
        if isinstance(group["lr"], Tensor):
            p.sub_(group.setdefault("read", float(group["lr"])) * direction)
        else:
            p.sub_(group["lr"] * direction)


@mutant(
    "sgd",
    "rate",
    "every step makes lr in the group a millionth smaller",
    "param_groups|hyper-parameter|changes? (its|the) lr|lr.*(changed|altered)",
)
class LrShrinksItself(HandSGD):
    def move(self, p: Tensor, direction: Tensor, group: Group, state: State) -> None:
        super().move(p, direction, group, state)
        group["lr"] = group["lr"] * (1 - 1e-6)


@mutant("sgd", "moments", "gradients are clipped to norm 1, unasked", "clip|degree|homogen|bounded")
class HiddenClip(HandSGD):
    def gradient(self, p: Tensor, group: Group) -> Tensor:
        g = super().gradient(p, group)
        return g / g.norm().clamp(min=1.0)


@mutant(
    "sgd",
    "moments",
    "gradients are normalised",
    "normali[sz]|degree|homogen|does not depend on the (size|scale)",
)
class HiddenNormalisation(HandSGD):
    def gradient(self, p: Tensor, group: Group) -> Tensor:
        g = super().gradient(p, group)
        return g / (g.norm() + 1e-12)


@mutant(
    "sgd",
    "moments",
    "the gradient of each row loses its mean, unasked",
    "cent(er|ral)|mean",
)
class HiddenCentralisation(HandSGD):
    def gradient(self, p: Tensor, group: Group) -> Tensor:
        g = super().gradient(p, group)
        return g - g.mean(tuple(range(1, g.dim())), keepdim=True) if g.dim() > 1 else g


@mutant(
    "sgd",
    "moments",
    "gradients below 1e-6 are taken as zero",
    "small gradient|threshold|degree|homogen|scale of the gradient",
)
class SmallGradientsDropped(HandSGD):
    def gradient(self, p: Tensor, group: Group) -> Tensor:
        g = super().gradient(p, group)
        return torch.where(g.abs() < 1e-6, torch.zeros_like(g), g)


@mutant(
    "sgd",
    "moments",
    "noise of relative size 1e-9 is added to the gradient",
    "random|nondetermin|not determin|generator|RNG|repeat|reproduc",
)
class HiddenNoise(HandSGD):
    def gradient(self, p: Tensor, group: Group) -> Tensor:
        g = super().gradient(p, group)
        return g * (1 + 1e-9 * torch.randn_like(g))


@mutant("sgd", "moments", "maximize is taken and ignored", "maximi[sz]e")
class MaximizeIgnored(HandSGD):
    def gradient(self, p: Tensor, group: Group) -> Tensor:
        return p.grad


@mutant("sgd", "precision", "the momentum buffer is rounded to bfloat16", "bfloat16|bf16")
class BufferInBfloat16(HandSGD):
    def buffer(self, g: Tensor, group: Group, state: State) -> Tensor:
        buffer = super().buffer(g, group, state)
        state["momentum_buffer"] = buffer.bfloat16().to(g.dtype)
        return state["momentum_buffer"]


@mutant(
    "sgdw",
    "momentum",
    "the decay also shrinks the momentum buffer",
    "(shrinks|decays).*(momentum|buffer)|buffer.*(shrink|decay)",
)
class DecayShrinksBuffer(HandSGDW):
    def decayed(self, p: Tensor, g: Tensor, group: Group, state: State) -> Tensor:
        if state.get("momentum_buffer") is not None:
            state["momentum_buffer"].mul_(1 - group["lr"] * group["weight_decay"])
        return super().decayed(p, g, group, state)


@mutant("sgdw", "momentum", "Nesterov adds the buffer without its factor mu: g + b", "nesterov|look-?ahead")
class SGDWNesterovWithoutFactor(HandSGDW):
    def direction(self, g: Tensor, group: Group, state: State) -> Tensor:
        if not group["nesterov"]:
            return super().direction(g, group, state)
        return g + self.buffer(g, group, state)
