"""Narrow arithmetic with one slip: what float32 inside, masters, Kahan sums or 8 bits hide from a glance."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..by_hand.base import Group, State
from ..by_hand.narrow import (
    EightBitAdam,
    KahanAdamW,
    MasterAdamW,
    SingleInside,
    SingleInsideSGD,
    StochasticAdamW,
)
from ..records import mutant


@mutant("adamw", "precision", "float32 inside, and decay by lr^2*wd", r"lr\^2|weight decay")
class SingleInsideDecaysByLrSquared(SingleInside):
    def decayed(self, p: Tensor, g: Tensor, group: Group, state: State) -> Tensor:
        return super().decayed(p, g, group | {"weight_decay": group["weight_decay"] * group["lr"]}, state)


@mutant("adamw", "precision", "float32 inside, and no bias correction of v", "first moment is corrected|bias")
class SingleInsideWithoutSecondCorrection(SingleInside):
    def corrections(self, group: Group, state: State) -> tuple[float, float]:
        return super().corrections(group, state)[0], 1.0


@mutant("adamw", "precision", "float32 inside, and eps inside the root", "inside the root")
class SingleInsideEpsInside(SingleInside):
    def denominator(self, v: Tensor, correction: float, group: Group) -> Tensor:
        return (v / correction + group["eps"]).sqrt()


@mutant("sgd", "precision", "float32 inside, and dampening is ignored", "dampening")
class SingleInsideWithoutDampening(SingleInsideSGD):
    def buffer(self, g: Tensor, group: Group, state: State) -> Tensor:
        return super().buffer(g, group | {"dampening": 0.0}, state)


@mutant("sgd", "precision", "float32 inside, and decay of the first entry alone", "decay|entries")
class SingleInsideDecaysOneEntry(SingleInsideSGD):
    def decayed(self, p: Tensor, g: Tensor, group: Group, state: State) -> Tensor:
        first = torch.zeros_like(p)
        first.reshape(-1)[:1] = group["weight_decay"]
        return g + first * p


@mutant(
    "adamw",
    "loading",
    "the masters of narrow weights are lost on load",
    "master|resum|load",
    killer="resume",
)
class MastersLostOnLoad(MasterAdamW):
    def load_state_dict(self, state_dict: Any) -> None:
        super().load_state_dict(state_dict)
        for p, state in self.state.items():
            if "master" in state:
                state["master"] = p.detach().float()


@mutant(
    "adamw", "precision", "the masters are kept in the weights' own narrow dtype", "master|rounded away|float"
)
class MastersInNarrow(MasterAdamW):
    def update(self, p: Tensor, g: Tensor, group: Group, state: State) -> None:
        super().update(p, g, group, state)
        if "master" in state:
            state["master"] = state["master"].to(p.dtype)


@mutant("adamw", "precision", "decay acts on the narrow weights and not on their masters", "master|decay")
class MasterWithoutDecay(MasterAdamW):
    def decayed(self, p: Tensor, g: Tensor, group: Group, state: State) -> Tensor:
        if "master" in state:
            return g
        return super().decayed(p, g, group, state)

    def update(self, p: Tensor, g: Tensor, group: Group, state: State) -> None:
        super().update(p, g, group, state)
        if "master" in state:
            p.mul_(1 - group["lr"] * group["weight_decay"])
            kept = state["master"]
            state["master"] = torch.where(p == kept.to(p.dtype), kept, p.float())


@mutant(
    "adamw",
    "precision",
    "the compensation of the Kahan sum is computed and never added",
    "kahan|compens|lost",
)
class KahanDropped(KahanAdamW):
    def compensation(self, state: State) -> Tensor:
        return torch.zeros_like(state["lost"], dtype=torch.float32)


@mutant("adamw", "precision", "the compensation of the Kahan sum has the wrong sign", "kahan|compens|lost")
class KahanWrongSign(KahanAdamW):
    def compensation(self, state: State) -> Tensor:
        return -super().compensation(state)


@mutant(
    "adamw", "loading", "the compensation of the Kahan sum is not saved", "resum|load|saved", killer="resume"
)
class KahanNotSaved(KahanAdamW):
    def state_dict(self) -> Any:
        stored = super().state_dict()
        stored["state"] = {
            i: state | {"lost": torch.zeros_like(state["lost"])} if "lost" in state else state
            for i, state in stored["state"].items()
        }
        return stored


@mutant(
    "adamw",
    "precision",
    "weights are cut off where they should be rounded by chance",
    "stochastic|biased|trunc",
)
class TruncatedForStochastic(StochasticAdamW):
    def noise(self, wide: Tensor) -> Tensor:
        return torch.zeros_like(wide.view(torch.int32))


@mutant("adamw", "precision", "stochastic rounding draws from half of the range", "stochastic|biased")
class HalfOfTheNoise(StochasticAdamW):
    def noise(self, wide: Tensor) -> Tensor:
        return torch.randint_like(wide.view(torch.int32), 0, 32768)


@mutant(
    "adamw",
    "precision",
    "stochastic rounding draws one number for a whole tensor",
    "stochastic|same|correlated",
)
class OneDrawForAll(StochasticAdamW):
    def noise(self, wide: Tensor) -> Tensor:
        drawn = torch.randint(0, 65536, (), dtype=torch.int32)
        return torch.zeros_like(wide.view(torch.int32)) + drawn


@mutant(
    "adamw", "precision", "stochastic rounding draws one number for each column", "stochastic|neighbour|same"
)
class OneDrawForAColumn(StochasticAdamW):
    def noise(self, wide: Tensor) -> Tensor:
        bits = wide.view(torch.int32)
        return (
            torch.randint_like(bits[:1], 0, 65536).expand_as(bits) if bits.ndim > 1 else super().noise(wide)
        )


@mutant("adamw", "precision", "stochastic rounding draws the same numbers at every step", "stochastic|same")
class SameDrawsAtEveryStep(StochasticAdamW):
    def noise(self, wide: Tensor) -> Tensor:
        generator = torch.Generator(wide.device).manual_seed(0)
        return torch.randint(0, 65536, wide.shape, generator=generator, dtype=torch.int32, device=wide.device)


@mutant("adamw", "precision", "stochastic rounding draws from twice the range", "stochastic|neither")
class TwiceTheNoise(StochasticAdamW):
    def noise(self, wide: Tensor) -> Tensor:
        return torch.randint_like(wide.view(torch.int32), 0, 131072)


@mutant("adam", "precision", "8-bit state is stored once and never again", "8.bit|stored|quanti|state|moment")
class EightBitStoredOnce(EightBitAdam):
    def store(self, state: State, key: str, value: Tensor) -> None:
        if f"{key}_done" not in state:
            super().store(state, key, value)
            state[f"{key}_done"] = f"{key}_scale" in state and bool(state[f"{key}_scale"].any())
            if not state[f"{key}_done"]:
                del state[f"{key}_done"]


@mutant("adam", "precision", "8-bit state with one scale for the whole tensor", "8.bit|block|quanti|state")
class EightBitOneScale(EightBitAdam):
    def scales(self, blocks: Tensor) -> Tensor:
        return blocks.abs().amax().expand(len(blocks), 1).clone()


@mutant(
    "adam", "precision", "8-bit state whose first moment has lost its signs", "8.bit|sign|quanti|state|moment"
)
class EightBitUnsigned(EightBitAdam):
    def bent(self, key: str, value: Tensor) -> Tensor:
        return super().bent(key, value).abs()


@mutant("adam", "precision", "8-bit state whose last block is forgotten", "8.bit|block|quanti|state|entries")
class EightBitLastBlockLost(EightBitAdam):
    def scales(self, blocks: Tensor) -> Tensor:
        scale = super().scales(blocks)
        scale[-1] = 0.0
        return scale


@mutant("adam", "loading", "the scales of 8-bit state are not saved", "resum|load|saved", killer="resume")
class EightBitScalesNotSaved(EightBitAdam):
    def state_dict(self) -> Any:
        stored = super().state_dict()
        stored["state"] = {
            i: {k: torch.ones_like(v) if k.endswith("_scale") else v for k, v in state.items()}
            for i, state in stored["state"].items()
        }
        return stored


@mutant(
    "adam",
    "precision",
    "8-bit state whose second moment is rounded down to zero",
    "8.bit|quanti|state|moment",
)
class EightBitSecondMomentLinear(EightBitAdam):
    def bent(self, key: str, value: Tensor) -> Tensor:
        return value

    def restored(self, state: State, key: str, p: Tensor) -> Tensor:
        value = super().restored(state, key, p)
        return value.sqrt() if key == "exp_avg_sq" else value
