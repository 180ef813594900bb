"""The laws of the gate: one file each, found by being here."""

from __future__ import annotations

import importlib
import pkgutil
from functools import lru_cache

from ilr_check.gate.law import GateLaw, Tier
from ilr_check.spelling import did_you_mean

TIERS: tuple[Tier, ...] = ("exact", "standard", "statistical")


@lru_cache(maxsize=1)
def gate_laws() -> dict[str, GateLaw]:
    """Every law by id, from cheap to dear."""
    found: list[tuple[int, GateLaw]] = []
    for module in pkgutil.iter_modules(__path__):
        loaded = importlib.import_module(f"{__name__}.{module.name}")
        law = getattr(loaded, "LAW", None)
        if isinstance(law, GateLaw):
            found.append((getattr(loaded, "ORDER", 50), law))
    found.sort(key=lambda pair: (TIERS.index(pair[1].tier), pair[0], pair[1].id))
    return {law.id: law for _, law in found}


def planned(words: str = "all", profile: str = "quick") -> tuple[GateLaw, ...]:
    """Return the laws named by a list of ids and tiers, separated by commas, as far as the profile runs them.

    Raises ``ValueError`` for an unknown word.
    """
    every = gate_laws()
    affordable = ("exact",) if profile == "quick" else TIERS
    chosen: set[str] = set()
    for word in (part.strip() for part in words.split(",")):
        if word in every:
            chosen.add(word)
        elif word == "all":
            chosen |= {law.id for law in every.values() if law.tier in affordable}
        elif word in TIERS:
            chosen |= {law.id for law in every.values() if law.tier == word}
        else:
            hint = did_you_mean(word, every)
            raise ValueError(f"unknown law {word!r}; {hint}known are all, {', '.join((*TIERS, *every))}")
    return tuple(law for law in every.values() if law.id in chosen)
