"""Load a contract by the name of a known family or from outside the package."""

from __future__ import annotations

from typing import Any

from ilr_check.optim.contracts import contract_named
from ilr_check.optim.contracts.contract import Contract


def contract_from(wanted: Any) -> Contract:
    """Return the contract that ``wanted`` names, or ``wanted`` itself if it is a contract.

    A name is that of a known family, ``FILE.py:NAME`` or ``package.module:NAME``. Raises ``ValueError`` if
    there is no such contract.
    """
    if isinstance(wanted, Contract):
        return wanted
    if not isinstance(wanted, str):
        raise ValueError(f"{wanted!r} is not a contract; give a name, FILE.py:NAME, or a Contract")
    if ":" not in wanted:
        return contract_named(wanted)
    from ilr_check.optim.target import import_target

    found = import_target(wanted, what="contract")
    if not isinstance(found, Contract):
        raise ValueError(
            f"contract {wanted!r} is of type {type(found).__name__}; it must be an "
            "ilr_check.optim.contracts.contract.Contract"
        )
    return found
