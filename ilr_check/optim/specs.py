"""Optimizers as values: a class by name, its arguments, and which of torch's implementations runs."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal, get_args

import msgspec
import torch
from torch import nn

from ilr_check.optim.hyper import HyperParams
from ilr_check.optim.lion import Lion

Implementation = Literal["single-tensor", "foreach", "fused"]
IMPLEMENTATIONS: tuple[Implementation, ...] = get_args(Implementation)
Argument = bool | int | float | str | tuple[float, ...]

REFERENCES: dict[str, type[torch.optim.Optimizer]] = {"Lion": Lion}
"""Optimizers that torch does not have and this package does."""


class OptimizerSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An optimizer to build. ``name`` is a class of ``torch.optim``, or ``Lion``.

    ``args`` are its arguments except lr and weight decay, which come from the hyper-parameters of a run.
    ``implementation`` is one that the class offers (see ``implementations``). Raises ``ValueError`` for an
    unknown class, implementation or argument.
    """

    name: str
    args: dict[str, Argument] = {}
    implementation: Implementation = "single-tensor"

    def __post_init__(self) -> None:
        optimizer_class(self.name)
        if self.implementation not in IMPLEMENTATIONS:
            raise ValueError(
                f"implementation={self.implementation!r}: must be one of {', '.join(IMPLEMENTATIONS)}"
            )
        taken = _arguments(self.name)
        for name in self.args:
            if name not in taken or name in ("lr", "weight_decay", "foreach", "fused"):
                raise ValueError(
                    f"args[{name!r}] is not for {self.name}; lr and weight_decay come from the run, "
                    f"foreach and fused from implementation; the class takes {', '.join(sorted(taken))}"
                )

    def takes(self, argument: str) -> bool:
        """Return whether the class has an argument of this name."""
        return argument in _arguments(self.name)

    def argument(self, name: str) -> Any:
        """Return the value of an argument: the given one, or else the default of the class."""
        return self.args[name] if name in self.args else _arguments(self.name)[name]

    def __hash__(self) -> int:
        return hash((self.name, tuple(sorted(self.args.items())), self.implementation))

    def __call__(self, parameters: Sequence[nn.Parameter], hyper: HyperParams) -> torch.optim.Optimizer:
        """Return the optimizer for these parameters. A weight decay that the class does not take is left
        out."""
        taken = _arguments(self.name)
        rates = {name: getattr(hyper, name) for name in ("lr", "weight_decay") if name in taken}
        flags = _flags(self.name, self.implementation)
        built: torch.optim.Optimizer = optimizer_class(self.name)(parameters, **rates, **self.args, **flags)
        return built


def optimizer_class(name: str) -> Any:
    """Return the class of this name. Raises ``ValueError`` if this version of torch has none."""
    found = REFERENCES.get(name, getattr(torch.optim, name, None))
    if not (isinstance(found, type) and issubclass(found, torch.optim.Optimizer)):
        raise ValueError(f"optimizer {name!r}: torch.optim {torch.__version__} has no such class")
    return found


@lru_cache(maxsize=64)
def implementations(name: str, device: str = "cpu") -> tuple[Implementation, ...]:
    """Return the implementations that a class offers on a device. Each is built once to find out."""
    optimizer_class(name)
    return tuple(way for way in IMPLEMENTATIONS if _offers(name, way, device))


def _offers(name: str, implementation: Implementation, device: str) -> bool:
    if implementation == "single-tensor":
        return True
    if implementation not in _arguments(name):
        return False
    probe = nn.Parameter(torch.zeros(2, 2, device=device))
    try:
        optimizer_class(name)([probe], **{implementation: True})
    except RuntimeError:  # torch raises it for an implementation that the device lacks
        return False
    return True


def _flags(name: str, implementation: Implementation) -> dict[str, bool]:
    if implementation == "single-tensor":
        return {"foreach": False} if "foreach" in _arguments(name) else {}
    return {implementation: True}


@lru_cache(maxsize=64)
def _arguments(name: str) -> dict[str, Any]:
    """Return the arguments of a class except the parameters, with their defaults."""
    found = inspect.signature(optimizer_class(name).__init__).parameters.values()
    return {p.name: p.default for p in found if p.name not in ("self", "params")}
