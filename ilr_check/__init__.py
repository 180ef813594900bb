"""Verifies the theory of the intrinsic learning rate, and guards optimizers with its laws.

    import ilr_check
    run = ilr_check.verify(profile="quick", claims="core", seed=0)
    run.exit_code, run.path, run.records

Everything is imported when it is first asked for, so that ``import ilr_check`` stays light.
"""

from __future__ import annotations

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

__all__ = [
    "Fingerprint",
    "GateResult",
    "Run",
    "check_optimizer",
    "fingerprint",
    "parametrize_with_laws",
    "verify",
]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name in __all__:
        from ilr_check import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
