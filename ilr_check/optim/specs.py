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
"""What torch does not have, written here."""


class OptimizerSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An optimizer to build: ``name`` is a class of ``torch.optim``, or ``Lion``.

    ``args`` are its arguments besides lr and weight decay, which come from the hyper-parameters of a run.
    ``implementation`` is one of those that the class offers; see ``implementations``.
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
                    f"foreach and fused from implementation; it takes {', '.join(sorted(taken))}"
                )

    def takes(self, argument: str) -> bool:
        """Whether the class has such an argument."""
        return argument in _arguments(self.name)

    def argument(self, name: str) -> Any:
        """The value of an argument: as given, or else the default of the class."""
        return self.args[name] if name in self.args else _arguments(self.name)[name]

    def __hash__(self) -> int:
        return hash((self.name, tuple(sorted(self.args.items())), self.implementation))

    def __call__(self, parameters: Sequence[nn.Parameter], hyper: HyperParams) -> torch.optim.Optimizer:
        """The optimizer for these parameters; a weight decay that it does not take is left out."""
        taken = _arguments(self.name)
        rates = {name: getattr(hyper, name) for name in ("lr", "weight_decay") if name in taken}
        flags = _flags(self.name, self.implementation)
        built: torch.optim.Optimizer = optimizer_class(self.name)(parameters, **rates, **self.args, **flags)
        return built


def optimizer_class(name: str) -> Any:
    """The class of this name; raises ``ValueError`` where torch, in this version, has none."""
    found = REFERENCES.get(name, getattr(torch.optim, name, None))
    if not (isinstance(found, type) and issubclass(found, torch.optim.Optimizer)):
        raise ValueError(f"optimizer {name!r}: torch.optim {torch.__version__} has no such class")
    return found


@lru_cache(maxsize=64)
def implementations(name: str, device: str = "cpu") -> tuple[Implementation, ...]:
    """Those of torch's implementations that a class offers on a device, found by building each once."""
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
    except RuntimeError:  # torch's word for "not on this device"
        return False
    return True


def _flags(name: str, implementation: Implementation) -> dict[str, bool]:
    if implementation == "single-tensor":
        return {"foreach": False} if "foreach" in _arguments(name) else {}
    return {implementation: True}


@lru_cache(maxsize=64)
def _arguments(name: str) -> dict[str, Any]:
    """The arguments of a class besides the parameters, with their defaults."""
    found = inspect.signature(optimizer_class(name).__init__).parameters.values()
    return {p.name: p.default for p in found if p.name not in ("self", "params")}
