"""Verifies the theory of the intrinsic learning rate, and guards optimizers with its laws.

    import ilr_check
    run = ilr_check.verify(profile="quick", claims="core", seed=0)
    run.exit_code, run.path, run.records

Each name is imported when it is first used, so that ``import ilr_check`` is fast.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ilr_check.api import (
        Fingerprint,
        GateResult,
        Run,
        check_optimizer,
        fingerprint,
        parametrize_with_laws,
        verify,
    )
    from ilr_check.claims import register_claim
    from ilr_check.data.sets import register_data_set
    from ilr_check.gate.laws import register_law
    from ilr_check.optim.contracts import register_contract

_HOMES = {
    "Fingerprint": "api",
    "GateResult": "api",
    "Run": "api",
    "check_optimizer": "api",
    "fingerprint": "api",
    "parametrize_with_laws": "api",
    "register_claim": "claims",
    "register_contract": "optim.contracts",
    "register_data_set": "data.sets",
    "register_law": "gate.laws",
    "verify": "api",
}
"""The public names, each with the module that it is imported from."""

__all__ = [
    "Fingerprint",
    "GateResult",
    "Run",
    "check_optimizer",
    "fingerprint",
    "parametrize_with_laws",
    "register_claim",
    "register_contract",
    "register_data_set",
    "register_law",
    "verify",
]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"ilr_check.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
