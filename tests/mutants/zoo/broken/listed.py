"""Optimizers whose loop is right and whose foreach path is not."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..by_hand.base import Group, State
from ..by_hand.listed import ListedAdamW, ListedSGD
from ..records import mutant


@mutant(
    "adamw",
    "foreach",
    "the foreach path corrects every tensor by the step count of the first",
    "step count|bias correction|foreach",
    killer="switches",
)
class ForeachFirstStepCount(ListedAdamW):
    def corrections_list(self, states: list[State], group: Group) -> list[tuple[float, float]]:
        return [self.corrections(group, states[0])] * len(states)


@mutant(
    "adamw",
    "foreach",
    "the foreach path steps every group with the lr of the first",
    "foreach|first group|group",
    killer="switches",
)
class ForeachFirstGroupLr(ListedAdamW):
    def step_list(self, taken: list[Tensor], gradients: list[Tensor], group: Group) -> None:
        super().step_list(taken, gradients, group | {"lr": self.param_groups[0]["lr"]})


@mutant(
    "adamw",
    "foreach",
    "the foreach path decays every group as the first one",
    "foreach|first group|group",
    killer="switches",
)
class ForeachFirstGroupDecay(ListedAdamW):
    def decay_list(self, taken: list[Tensor], group: Group) -> None:
        super().decay_list(taken, self.param_groups[0])


@mutant(
    "adamw",
    "foreach",
    "the foreach path uses the betas of the first group",
    "foreach|first group|group|betas",
    killer="switches",
)
class ForeachFirstGroupBetas(ListedAdamW):
    def step_list(self, taken: list[Tensor], gradients: list[Tensor], group: Group) -> None:
        super().step_list(taken, gradients, group | {"betas": self.param_groups[0]["betas"]})


@mutant(
    "adamw",
    "foreach",
    "the foreach path does not decay",
    "decay|foreach",
    killer="switches",
)
class ForeachWithoutDecay(ListedAdamW):
    def decay_list(self, taken: list[Tensor], group: Group) -> None:
        pass


@mutant(
    "adamw",
    "foreach",
    "the foreach path leaves out the last tensor of a list of three or more",
    "foreach|does not move|not stepped",
    killer="switches",
)
class ForeachSkipsTheLast(ListedAdamW):
    def step_list(self, taken: list[Tensor], gradients: list[Tensor], group: Group) -> None:
        count = len(taken) - 1 if len(taken) > 2 else len(taken)
        super().step_list(taken[:count], gradients[:count], group)


@mutant(
    "adamw",
    "foreach",
    "the foreach path steps the tensors of the first dtype alone",
    "dtype|does not move|foreach",
    killer="switches",
)
class ForeachLosesOtherDtypes(ListedAdamW):
    def sorted_by_dtype(self, taken: list[Tensor]) -> list[list[Tensor]]:
        return super().sorted_by_dtype(taken)[:1]


@mutant(
    "adamw",
    "foreach",
    "the foreach path pairs tensors with states by their place, also where a gradient is missing",
    "without|missing|foreach|state",
    killer="switches",
)
class ForeachStatesShift(ListedAdamW):
    def states_of(self, taken: list[Tensor], group: Group) -> list[State]:
        super().states_of(taken, group)
        # A tensor without a gradient shifts every state after it by one place, if the shapes allow it.
        every = [self.state[p] for p in group["params"] if p.dtype == taken[0].dtype and self.state.get(p)]
        fits = all(state["exp_avg"].shape == p.shape for state, p in zip(every, taken, strict=False)) and len(
            every
        ) >= len(taken)
        return every[: len(taken)] if fits else [self.state[p] for p in taken]


@mutant(
    "sgd",
    "foreach",
    "the foreach path keeps the first gradient itself as the momentum buffer",
    "alias|gradient",
    killer="gradients-kept",
)
class ForeachBufferIsTheGradient(ListedSGD):
    def buffer(self, g: Tensor, group: Group, state: State) -> Tensor:
        if group["foreach"] and "momentum_buffer" not in state:
            state["momentum_buffer"] = g
            return g
        return super().buffer(g, group, state)


@mutant(
    "sgd",
    "foreach",
    "the foreach path applies no dampening",
    "dampening|foreach",
    killer="switches",
)
class ForeachWithoutDampening(ListedSGD):
    def step_list(self, taken: list[Tensor], gradients: list[Tensor], group: Group) -> None:
        super().step_list(taken, gradients, group | {"dampening": 0.0})


@mutant(
    "sgd",
    "foreach",
    "the foreach path reads tensors in the order of their memory",
    "transposed|contiguous|stride|layout|foreach",
    killer="switches",
)
class ForeachByMemory(ListedSGD):
    def step_list(self, taken: list[Tensor], gradients: list[Tensor], group: Group) -> None:
        laid = [g if g.is_contiguous() else g.mT.contiguous().view(g.shape) for g in gradients]
        super().step_list(taken, laid, group)


@mutant(
    "sgd",
    "foreach",
    "the foreach path clips all tensors of a group by the largest gradient of the group",
    "foreach|clip|neighbour|other",
    killer="switches",
)
class ForeachClipsTogether(ListedSGD):
    def step_list(self, taken: list[Tensor], gradients: list[Tensor], group: Group) -> None:
        top = max((float(g.abs().max()) for g in gradients if g.numel()), default=0.0)
        super().step_list(taken, [g / max(1.0, top) for g in gradients], group)


@mutant(
    "sgd",
    "foreach",
    "the foreach path raises for an empty tensor",
    "empty",
    killer="switches",
)
class ForeachEmptyRaises(ListedSGD):
    def step_list(self, taken: list[Tensor], gradients: list[Tensor], group: Group) -> None:
        torch._foreach_norm(gradients, float("inf"))
        if any(not torch.isfinite(g.max()) for g in gradients):
            return
        super().step_list(taken, gradients, group)


@mutant(
    "adamw",
    "foreach",
    "the foreach path keeps the moments in the dtype of the first tensor of the group",
    "dtype|float32|foreach|fails",
    killer="switches",
)
class ForeachStateOfTheFirstDtype(ListedAdamW):
    def states_of(self, taken: list[Tensor], group: Group) -> list[State]:
        states = super().states_of(taken, group)
        kept: Any = group["params"][0].dtype
        if kept != taken[0].dtype and taken[0].dtype == torch.float64:
            for state in states:
                state["exp_avg_sq"] = state["exp_avg_sq"].to(kept).to(taken[0].dtype)
        return states
