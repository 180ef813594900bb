"""One state of a net at two scales of its groups: whether the outputs agree to the last bit."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call

from ilr_check.nets.norms import Norm


def scaled(
    state: dict[str, Tensor], groups: tuple[tuple[str, ...], ...], factors: list[float]
) -> dict[str, Tensor]:
    """Return the state with each group multiplied by its factor."""
    of = {name: factor for names, factor in zip(groups, factors, strict=True) for name in names}
    return {name: value * of.get(name, 1.0) for name, value in state.items()}


def logits(module: nn.Module, state: dict[str, Tensor], x: Tensor) -> Tensor:
    """Return the net's outputs at a state."""
    with torch.no_grad():
        out: Tensor = functional_call(module, state, (x,))
        return out


def deviation(one: Tensor, two: Tensor) -> float:
    """Return the largest difference of two outputs in units of u times their size; 0 if every bit agrees."""
    if torch.equal(one, two):
        return 0.0
    unit = 0.5 * torch.finfo(one.dtype).eps
    return max(2.0, float((one - two).abs().max()) / (unit * max(float(one.abs().max()), 1e-300)))


def leaves_range(module: nn.Module, states: tuple[dict[str, Tensor], ...], x: Tensor) -> bool:
    """Return whether a variance, or a sum behind it, may leave the normal numbers at one of the states.

    A set that is not dead varies by more than 8 u max|z|, so the square of u max|z| must be a normal number.
    """
    largest: list[float] = []

    def see(part: nn.Module, args: tuple[Tensor], out: Tensor) -> None:
        sizes = args[0].double().abs().flatten(1).amax(1)
        largest.extend([float(sizes[sizes > 0].min()), float(sizes.max())] if bool((sizes > 0).any()) else [])

    hooks = [part.register_forward_hook(see) for part in module.modules() if isinstance(part, Norm)]
    with torch.no_grad():
        for state in states:
            functional_call(module, state, (x,))
    for hook in hooks:
        hook.remove()
    info = torch.finfo(next(iter(states[0].values())).dtype)
    entries = [w.double().abs() for state in states for w in state.values()]
    floor = info.tiny / info.eps
    return any(
        (info.eps * size) ** 2 < info.tiny or size**2 > info.max * info.eps for size in largest
    ) or any(bool(((w > 0) & (w < floor)).any()) for w in entries)
