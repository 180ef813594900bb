"""Contracts: what each family of optimizers promises; one module a group of families, found by being here."""

from __future__ import annotations

import importlib
import pkgutil
from functools import lru_cache

from ilr_check.optim.contracts.contract import Contract
from ilr_check.spelling import did_you_mean


@lru_cache(maxsize=1)
def contracts() -> dict[str, Contract]:
    """Every contract by name."""
    found: dict[str, Contract] = {}
    for module in pkgutil.iter_modules(__path__):
        offered = getattr(importlib.import_module(f"{__name__}.{module.name}"), "CONTRACTS", ())
        found.update((contract.name, contract) for contract in offered)
    return dict(sorted(found.items()))


def contract_named(name: str) -> Contract:
    """One contract; raises ``ValueError`` with the known names for a stranger."""
    known = contracts()
    if name not in known:
        hint = did_you_mean(name, known)
        raise ValueError(f"unknown contract {name!r}; {hint}known are auto, {', '.join(known)}")
    return known[name]
