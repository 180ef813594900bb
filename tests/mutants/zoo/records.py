"""What the catalogues hold: a mutant with what was planted in it, and a variant that is right."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

Factory = Callable[..., torch.optim.Optimizer]
UNKNOWN = "auto"
"""The contract of what belongs to no family that we know."""
KINDS = (
    "decay",
    "momentum",
    "bias correction",
    "eps",
    "moments",
    "rate",
    "switch",
    "precision",
    "state",
    "conduct",
    "foreach",
    "tensors",
    "modes",
    "late",
    "scaler",
    "loading",
    "copies",
)


@dataclass(frozen=True)
class Mutant:
    """A broken optimizer: the contract that it breaks, the one thing planted, and words that name it.

    ``expect`` are regular expressions; the diagnosis is right if a finding's sentence has one of them.
    ``thread`` is the public report of the same defect in a released package, where there is one.
    """

    name: str
    contract: str
    kind: str
    planted: str
    expect: tuple[str, ...]
    factory: Factory
    thread: str = ""
    declare: Mapping[str, Any] = field(default_factory=dict)
    killer: str = ""
    """The law that is made for this defect, where one is named."""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"{self.name}: kind {self.kind!r} is none of {', '.join(KINDS)}")
        if not self.expect:
            raise ValueError(f"{self.name} needs words that name its defect")


@dataclass(frozen=True)
class Variant:
    """A right optimizer: its contract, how it is written, and what it declares where a contract may vary."""

    name: str
    contract: str
    written: str
    factory: Factory
    declare: Mapping[str, Any] = field(default_factory=dict)
    args: Mapping[str, Any] = field(default_factory=dict)
    package: str = ""


MUTANTS: dict[str, Mutant] = {}
VARIANTS: dict[str, Variant] = {}


def mutant(
    contract: str,
    kind: str,
    planted: str,
    *expect: str,
    thread: str = "",
    declare: dict[str, Any] | None = None,
    killer: str = "",
) -> Callable[[type], type]:
    """Enter the decorated class into the catalogue of mutants."""

    def enter(cls: type) -> type:
        if cls.__name__ in MUTANTS:
            raise ValueError(f"two mutants are called {cls.__name__}")
        MUTANTS[cls.__name__] = Mutant(
            cls.__name__, contract, kind, planted, expect, cls, thread, declare or {}, killer
        )
        return cls

    return enter


def variant(
    contract: str, written: str, *, declare: dict[str, Any] | None = None, args: dict[str, Any] | None = None
) -> Callable[[Factory], Factory]:
    """Enter the decorated class or factory into the catalogue of right variants."""

    def enter(factory: Factory) -> Factory:
        name = factory.__name__
        if name in VARIANTS:
            raise ValueError(f"two variants are called {name}")
        VARIANTS[name] = Variant(name, contract, written, factory, declare or {}, args or {})
        return factory

    return enter
