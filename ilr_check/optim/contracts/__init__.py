"""A contract states what a family of optimizers promises. Every contract in this folder is found."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar

from ilr_check.optim.contracts.contract import Contract
from ilr_check.plugins import Registry
from ilr_check.spelling import did_you_mean

MACHINERY = ("contract", "loading", "reference", "running")
"""These modules of this folder serve every contract and declare none."""
REGISTERED: Registry[str, Contract] = Registry("contract")
Declared = TypeVar("Declared", bound="Contract | Callable[[], Contract]")


def register_contract(declared: Declared) -> Declared:
    """Add a contract from outside: a ``Contract``, or a function that returns one.

    Raises ``ValueError`` for a name that is taken, and ``TypeError`` for anything that is not a contract.
    """
    made: Any = declared
    contract = made if isinstance(made, Contract) else made()
    if not isinstance(contract, Contract):
        raise TypeError(
            "register_contract takes an ilr_check.optim.contracts.contract.Contract, "
            f"not {type(contract).__name__}"
        )
    REGISTERED.add(contract.name, contract, taken=contract.name in _shipped())
    return declared


def contracts() -> dict[str, Contract]:
    """Return every contract by name."""
    return dict(sorted({**_shipped(), **REGISTERED.registered()}.items()))


@lru_cache(maxsize=1)
def _shipped() -> dict[str, Contract]:
    """Return the contracts of this folder; raises ``TypeError`` for a file that declares none."""
    found: dict[str, Contract] = {}
    for module in pkgutil.iter_modules(__path__):
        if module.name in MACHINERY:
            continue
        loaded = importlib.import_module(f"{__name__}.{module.name}")
        if not getattr(loaded, "CONTRACTS", ()):
            raise TypeError(f"{loaded.__name__} declares no contract; write CONTRACTS = (...) in it")
        found.update((contract.name, contract) for contract in loaded.CONTRACTS)
    return found


def contract_named(name: str) -> Contract:
    """Return one contract; raises ``ValueError`` with the known names for an unknown one."""
    known = contracts()
    if name not in known:
        hint = did_you_mean(name, known)
        raise ValueError(f"unknown contract {name!r}; {hint}known are auto, {', '.join(known)}")
    return known[name]
