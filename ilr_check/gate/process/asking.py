"""From a request to a subject: the TARGET is imported, and what was typed becomes values."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ilr_check.evidence.gate import Finding, Location
from ilr_check.gate import judge
from ilr_check.gate.process.request import GateRequest
from ilr_check.gate.subject import Subject
from ilr_check.optim.target import import_target, parse_argument


def values(typed: Iterable[str]) -> dict[str, Any]:
    """``name=value`` words as names and Python literals; raises ``ValueError`` naming the word."""
    return dict(parse_argument(text) for text in typed)


def subject_from(request: GateRequest, factory: Callable[..., Any]) -> tuple[Subject, str]:
    """The subject with its contract, and how the contract was found; raises ``ValueError`` with the mend."""
    return judge.subject_of(
        factory,
        contract=request.contract,
        args=values(request.args),
        declare=values(request.declare),
        names=request.names,
        impl=values(request.impl),
        tags=values(request.tags),
        setup=import_target(request.setup) if request.setup else None,
        device=request.device,
        dtype=request.dtype,
        name=request.target,
    )


def contract_of(subject: Subject) -> str:
    """The contract's name; empty where there is none."""
    return "" if subject.contract is None else subject.contract.name


def reference_findings(
    request: GateRequest, subject: Subject, location: Location | None
) -> tuple[Finding, ...]:
    """The same steps by the reference and by the target."""
    return judge.same_steps(
        subject,
        import_target(request.reference),
        args=values(request.args),
        seed=request.seed,
        location=location,
        name=request.reference,
    )
