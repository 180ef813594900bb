"""AdamW in narrow arithmetic: float32 inside, master weights, Kahan sums, stochastic rounding, 8-bit state.

Each class says by its tags what it computes in, so that the gate judges it by bounds of that arithmetic.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from .adam import HandAdam, HandAdamW
from .base import Group, State
from .sgd import HandSGD

NARROW = (torch.bfloat16, torch.float16)
QUANTISED_FROM, BLOCK = 4096, 256


class SingleInside(HandAdamW):
    """AdamW whose whole arithmetic is float32, whatever the weights are, as fused kernels have it."""

    ilr_check_tags: ClassVar[Mapping[str, Any]] = {"arithmetic": "float32"}

    def start(self, p: Tensor, group: Group, state: State) -> None:
        super().start(p.float(), group, state)

    def update(self, p: Tensor, g: Tensor, group: Group, state: State) -> None:
        for key in ("exp_avg", "exp_avg_sq"):
            if key in state:
                state[key] = state[key].float()
        wide = p.float() if p.dtype != torch.float32 else p.clone()
        super().update(wide, g.float(), group, state)
        p.copy_(wide)

    def load_state_dict(self, state_dict: Any) -> None:
        load_as_saved(self, state_dict)


class SingleInsideSGD(HandSGD):
    """SGD whose whole arithmetic is float32."""

    ilr_check_tags: ClassVar[Mapping[str, Any]] = {"arithmetic": "float32"}

    def update(self, p: Tensor, g: Tensor, group: Group, state: State) -> None:
        if state.get("momentum_buffer") is not None:
            state["momentum_buffer"] = state["momentum_buffer"].float()
        wide = p.float() if p.dtype != torch.float32 else p.clone()
        super().update(wide, g.float(), group, state)
        p.copy_(wide)

    def load_state_dict(self, state_dict: Any) -> None:
        load_as_saved(self, state_dict)


class MasterAdamW(SingleInside):
    """AdamW that keeps float32 masters of narrow weights in its state, and rounds them to the weights."""

    ilr_check_tags: ClassVar[Mapping[str, Any]] = {"arithmetic": "float32", "rounding": "master"}

    def update(self, p: Tensor, g: Tensor, group: Group, state: State) -> None:
        if p.dtype not in NARROW:
            super().update(p, g, group, state)
            return
        if "master" not in state:
            self.start(p, group, state)
            state["master"] = p.float()
        master = self.master(p, state)
        super().update(master, g.float(), group, state)
        state["master"] = master
        p.copy_(master)

    def master(self, p: Tensor, state: State) -> Tensor:
        """The master, or the weights themselves where somebody wrote to them."""
        kept = state["master"].float()
        return torch.where(kept.to(p.dtype) == p, kept, p.float())


def load_as_saved(optimizer: torch.optim.Optimizer, state_dict: Any) -> None:
    """Load, and give back to each tensor of the state the dtype in which it was saved."""
    torch.optim.Optimizer.load_state_dict(optimizer, state_dict)
    every = [p for group in optimizer.param_groups for p in group["params"]]
    for i, p in enumerate(every):
        for key, value in state_dict["state"].get(i, {}).items():
            if isinstance(value, Tensor) and value.is_floating_point():
                optimizer.state[p][key] = value.detach().clone().to(p.device)


class KahanAdamW(HandAdamW):
    """AdamW for narrow weights: float32 inside; what rounding the weights loses is kept and added again."""

    ilr_check_tags: ClassVar[Mapping[str, Any]] = {"rounding": "kahan"}

    def update(self, p: Tensor, g: Tensor, group: Group, state: State) -> None:
        if p.dtype not in NARROW:
            super().update(p, g, group, state)
            return
        if not state:
            self.start(p.float(), group, state)
            state["lost"] = torch.zeros_like(p)
        for key in ("exp_avg", "exp_avg_sq"):
            state[key] = state[key].float()
        before = p.float()
        moved = before.clone()
        super().update(moved, g.float(), group, state)
        wanted = moved - before + self.compensation(state)
        p.copy_(before + wanted)
        self.keep(wanted - (p.float() - before), p, state)

    def compensation(self, state: State) -> Tensor:
        return state["lost"].float()

    def keep(self, lost: Tensor, p: Tensor, state: State) -> None:
        state["lost"] = lost.to(p.dtype)

    def load_state_dict(self, state_dict: Any) -> None:
        load_as_saved(self, state_dict)


class StochasticAdamW(SingleInside):
    """AdamW for bfloat16 weights: float32 inside, rounded to the weights up or down by chance, unbiased."""

    ilr_check_tags: ClassVar[Mapping[str, Any]] = {
        "arithmetic": "float32",
        "rounding": "stochastic",
        "deterministic": False,
    }

    def update(self, p: Tensor, g: Tensor, group: Group, state: State) -> None:
        if p.dtype is not torch.bfloat16:
            super().update(p, g, group, state)
            return
        wide = p.float()
        super().update(wide, g.float(), group, state)
        p.copy_(self.rounded(wide))

    def rounded(self, wide: Tensor) -> Tensor:
        """bfloat16 is the upper half of float32: add a random lower half and cut it off."""
        bits = wide.view(torch.int32) + self.noise(wide)
        return (bits & -65536).view(torch.float32).bfloat16()

    def noise(self, wide: Tensor) -> Tensor:
        return torch.randint_like(wide.view(torch.int32), 0, 65536)


class KahanWithNarrowMoments(KahanAdamW):
    """Kahan summation beside moments that are as narrow as the weights."""

    def update(self, p: Tensor, g: Tensor, group: Group, state: State) -> None:
        super().update(p, g, group, state)
        for key in ("exp_avg", "exp_avg_sq"):
            state[key] = state[key].to(p.dtype)


class EightBitAdam(HandAdam):
    """Adam whose moments are kept in 8 bits, in blocks of 256 with a scale each, from 4096 entries on."""

    ilr_check_tags: ClassVar[Mapping[str, Any]] = {"state_bits": 8, "state_block": BLOCK}
    levels, block = 127, BLOCK

    def update(self, p: Tensor, g: Tensor, group: Group, state: State) -> None:
        if p.numel() < QUANTISED_FROM:
            super().update(p, g, group, state)
            return
        if not state:
            self.start(p, group, state)
            for key in ("exp_avg", "exp_avg_sq"):
                self.store(state, key, state[key])
        own = {key: value for key, value in state.items() if not key.startswith("exp_avg")}
        for key in ("exp_avg", "exp_avg_sq"):
            own[key] = self.restored(state, key, p)
        super().update(p, g, group, own)
        for key in ("exp_avg", "exp_avg_sq"):
            self.store(state, key, own.pop(key))
        state |= own

    def store(self, state: State, key: str, value: Tensor) -> None:
        """Integers of -levels to levels and the largest size of each block; the root of the second moment."""
        flat = self.bent(key, value).reshape(-1)
        blocks = torch.nn.functional.pad(flat, (0, -len(flat) % self.block)).reshape(-1, self.block)
        scale = self.scales(blocks)
        state[key] = (blocks / scale.clamp(min=1e-38) * self.levels).round().to(torch.int8)
        state[f"{key}_scale"] = scale

    def scales(self, blocks: Tensor) -> Tensor:
        return blocks.abs().amax(dim=1, keepdim=True)

    def bent(self, key: str, value: Tensor) -> Tensor:
        return value.sqrt() if key == "exp_avg_sq" else value

    def restored(self, state: State, key: str, p: Tensor) -> Tensor:
        blocks = state[key].to(p.dtype) / self.levels * state[f"{key}_scale"].to(p.dtype)
        value = blocks.reshape(-1)[: p.numel()].reshape(p.shape)
        return value * value if key == "exp_avg_sq" else value

    def load_state_dict(self, state_dict: Any) -> None:
        torch.optim.Optimizer.load_state_dict(self, state_dict)
        every = [p for group in self.param_groups for p in group["params"]]
        for i, p in enumerate(every):
            for key, value in state_dict["state"].get(i, {}).items():
                if isinstance(value, Tensor) and value.dtype is torch.int8:
                    self.state[p][key] = value.clone().to(p.device)


class FourBitAdam(EightBitAdam):
    """Adam whose moments are kept in 4 bits, in blocks of 128."""

    ilr_check_tags: ClassVar[Mapping[str, Any]] = {"state_bits": 4, "state_block": 128}
    levels, block = 7, 128
