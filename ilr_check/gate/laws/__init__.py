"""The laws of the gate stand here, one file each; this folder is searched for them."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar

from ilr_check.gate.expected_failures import MERGED
from ilr_check.gate.law import GateLaw, Tier
from ilr_check.plugins import Registry
from ilr_check.spelling import did_you_mean

TIERS: tuple[Tier, ...] = ("exact", "standard", "statistical")


LAST = 50
"""A law that states no place has this place within its tier."""
REGISTERED: Registry[str, GateLaw] = Registry("law")
Declared = TypeVar("Declared", bound="GateLaw | Callable[[], GateLaw]")


def register_law(declared: Declared) -> Declared:
    """Add a law from outside to the gate: a ``GateLaw``, or a function that returns one.

    Raises ``ValueError`` for an id that is taken, and ``TypeError`` for what is no law.
    """
    made: Any = declared
    law = made if isinstance(made, GateLaw) else made()
    if not isinstance(law, GateLaw):
        raise TypeError(f"register_law takes an ilr_check.gate.law.GateLaw, not {type(law).__name__}")
    REGISTERED.add(law.id, law, taken=law.id in _shipped())
    return declared


def gate_laws() -> dict[str, GateLaw]:
    """Return every law by id, from cheap to slow; those from outside come last within their tier."""
    found = [*_shipped().values(), *((LAST, law) for law in REGISTERED.registered().values())]
    found.sort(key=lambda pair: (TIERS.index(pair[1].tier), pair[0], pair[1].id))
    return {law.id: law for _, law in found}


@lru_cache(maxsize=1)
def _shipped() -> dict[str, tuple[int, GateLaw]]:
    """Return the laws of this folder with their places; raises ``TypeError`` for a file without one."""
    found: dict[str, tuple[int, GateLaw]] = {}
    for module in pkgutil.iter_modules(__path__):
        loaded = importlib.import_module(f"{__name__}.{module.name}")
        law = getattr(loaded, "LAW", None)
        if not isinstance(law, GateLaw):
            raise TypeError(f"{loaded.__name__} declares no law; write LAW = GateLaw(...) in it")
        found[law.id] = getattr(loaded, "ORDER", LAST), law
    return found


def planned(words: str = "all", profile: str = "quick") -> tuple[GateLaw, ...]:
    """Return the laws named by a list of ids and tiers, separated by commas, as far as the profile runs them.

    Raises ``ValueError`` for an unknown word.
    """
    every = gate_laws()
    affordable = ("exact",) if profile == "quick" else TIERS
    chosen: set[str] = set()
    for word in (part.strip() for part in words.split(",")):
        if MERGED.get(word, word) in every:
            chosen.add(MERGED.get(word, word))
        elif word == "all":
            chosen |= {law.id for law in every.values() if law.tier in affordable}
        elif word in TIERS:
            chosen |= {law.id for law in every.values() if law.tier == word}
        else:
            hint = did_you_mean(word, every)
            raise ValueError(f"unknown law {word!r}; {hint}known are all, {', '.join((*TIERS, *every))}")
    return tuple(law for law in every.values() if law.id in chosen)
