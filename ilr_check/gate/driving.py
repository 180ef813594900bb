"""Give an optimizer its parameters and its gradients: plainly, named, by a closure, in backward."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ilr_check.gate.tags import Tags


def arranged(parameters: Any, tags: Tags, *, named: bool) -> Any:
    """Return parameters, or groups of them, in the form that the constructor takes.

    ``named`` makes pairs of a name and a parameter. The names say nothing of a bias or a norm.
    """
    parameters = list(parameters)
    grouped = bool(parameters) and isinstance(parameters[0], Mapping)
    if grouped:
        count = 0
        groups = []
        for group in parameters:
            members = list(group["params"])
            shown = _named(members, count) if named else members
            groups.append({**tags.group_keys, **group, "params": shown})
            count += len(members)
        return groups
    shown = _named(parameters, 0) if named else parameters
    return [{**tags.group_keys, "params": shown}] if tags.group_keys else shown


def _named(parameters: Sequence[nn.Parameter], first: int) -> list[tuple[str, nn.Parameter]]:
    return [(f"layers.{first + i}.weight", p) for i, p in enumerate(parameters)]


def prepare(optimizer: Any, tags: Tags, setup: Any = None) -> Any:
    """Put a new optimizer into the mode for training, and run the user's own ``--setup`` on it."""
    if setup is not None:
        optimizer = setup(optimizer) or optimizer
    train = getattr(optimizer, "train", None)
    if tags.train_mode is not False and callable(train):
        train()
    return optimizer


def take_step(
    optimizer: Any,
    parameters: Sequence[nn.Parameter],
    gradients: Sequence[Tensor | None],
    *,
    closure: bool = False,
    in_backward: bool = False,
) -> None:
    """Take one step with these gradients; every call of its closure gives the same ones."""
    if in_backward:
        for parameter in parameters:
            parameter.grad = None
        _run_backward(parameters, gradients)
        if callable(getattr(optimizer, "step", None)):
            optimizer.step()
        return
    _hand_over(parameters, gradients)
    if not closure:
        optimizer.step()
        return

    def evaluate() -> Tensor:
        _hand_over(parameters, gradients)
        for parameter in parameters:
            if parameter.grad is not None and not bool(parameter.isfinite().all()):
                parameter.grad.fill_(float("nan"))  # as of any loss, at weights that are not numbers
        # A loss that stands still ends a line search after its first step; a step may be in proportion to it.
        return torch.ones(())

    optimizer.step(evaluate)


def _hand_over(parameters: Sequence[nn.Parameter], gradients: Sequence[Tensor | None]) -> None:
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = None if gradient is None else layout_copy(gradient)


def layout_copy(tensor: Tensor) -> Tensor:
    """Return a copy with the same strides, also where these leave gaps; an expanded tensor stays one."""
    if tensor.layout != torch.strided or tensor.is_contiguous():
        return tensor.detach().clone()
    if 0 in tensor.stride():
        thin = tensor.detach()[tuple(slice(0, 1) if s == 0 else slice(None) for s in tensor.stride())]
        return thin.clone().expand(tensor.shape)
    copied = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device=tensor.device)
    return copied.copy_(tensor.detach())


def _run_backward(parameters: Sequence[nn.Parameter], gradients: Sequence[Tensor | None]) -> None:
    """Call ``backward`` on a loss whose gradients are exactly the given ones."""
    terms = [
        (parameter * gradient).sum()
        for parameter, gradient in zip(parameters, gradients, strict=True)
        if gradient is not None and parameter.requires_grad
    ]
    if terms:
        torch.autograd.backward(terms)
