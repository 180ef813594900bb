"""The laws of the gate: one file each, found by being here."""

from __future__ import annotations

import importlib
import pkgutil
from functools import lru_cache

from ilr_check.gate.law import GateLaw, Tier

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
