"""Optimizers that go on otherwise from a saved state, and twins that do not."""

from __future__ import annotations

from typing import Any

import torch
from inconsistent_optimizers import Consistent, Group
from torch import Tensor


class OldStatesDescendOtherwise(Consistent):
    """An option of the group chooses the rule, and an old state without the option gets the other rule."""

    fallback = False

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            group.setdefault("centred", self.fallback)

    def move(self, p: Tensor, g: Tensor, group: Group, count: float) -> None:
        super().move(p, g if group["centred"] else 2 * g.sign(), group, count)


class OldStatesGoOn(OldStatesDescendOtherwise):
    fallback = True


class OldStatesTakeTheDefault(Consistent):
    """A state without ``decay`` gets the default of the class, whatever the user of the old state had set."""

    fallback_decay = 0.999

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            group.setdefault("decay", self.fallback_decay)


class OldStatesTakeAnotherDefault(OldStatesTakeTheDefault):
    fallback_decay = 0.5


class WideMoments(Consistent):
    """Moments of narrow weights are float32; Optimizer.load_state_dict casts them to the weights' dtype."""

    def start(self, p: Tensor) -> None:
        if not self.state[p]:
            super().start(p)
            self.state[p]["square"] = torch.zeros_like(p, dtype=torch.promote_types(p.dtype, torch.float32))

    def move(self, p: Tensor, g: Tensor, group: Group, count: float) -> None:
        square, decay = self.state[p]["square"], group["decay"]
        wide = square.to(torch.promote_types(p.dtype, torch.float32))
        g = g.to(wide.dtype)
        wide = wide * decay + g * g * (1 - decay)
        square.copy_(wide)
        p.mul_(1 - group["lr"] * group["weight_decay"])
        p.sub_((group["lr"] * g / ((wide / (1 - decay**count)).sqrt() + 1e-8)).to(p.dtype))


class WideMomentsKept(WideMoments):
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        members = [p for group in self.param_groups for p in group["params"]]
        for i, saved in state_dict["state"].items():
            self.state[members[i]]["square"] = saved["square"].clone()
