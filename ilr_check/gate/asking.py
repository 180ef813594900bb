"""From a request to a subject: the TARGET is imported, and what was typed becomes values."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any

from ilr_check.evidence.gate import Finding, Location
from ilr_check.gate import judging
from ilr_check.gate.request import GateRequest
from ilr_check.gate.scenarios import traces
from ilr_check.gate.steps_apart import REFERENCE, apart
from ilr_check.gate.subject import Subject
from ilr_check.optim.target import import_target, parse_argument


def values(typed: Iterable[str]) -> dict[str, Any]:
    """``name=value`` words as names and Python literals; raises ``ValueError`` naming the word."""
    return dict(parse_argument(text) for text in typed)


def subject_from(request: GateRequest, factory: Callable[..., Any]) -> tuple[Subject, str]:
    """The subject with its contract, and how the contract was found; raises ``ValueError`` with the mend."""
    return judging.subject_of(
        factory,
        contract=request.contract,
        args=values(request.args),
        declare=values(request.declare),
        names=request.names,
        impl=values(request.impl),
        device=request.device,
        name=request.target,
    )


def contract_of(subject: Subject) -> str:
    """The contract's name; empty where there is none."""
    return "" if subject.contract is None else subject.contract.name


def reference_findings(
    request: GateRequest, subject: Subject, location: Location | None
) -> tuple[Finding, ...]:
    """The same steps by the reference and by the target; it gets those arguments that it takes."""
    factory = import_target(request.reference)
    reference, _ = judging.subject_of(
        factory,
        contract=contract_of(subject) or "auto",
        args=_taken(factory, values(request.args)),
        device=request.device,
        name=request.reference,
    )
    theirs, ours = (traces(one, request.seed) for one in (reference, subject))
    return tuple(apart(request, REFERENCE.id, ours, theirs, than=request.reference, location=location))


def _taken(factory: Any, args: dict[str, Any]) -> dict[str, Any]:
    try:
        known = inspect.signature(factory).parameters
    except (TypeError, ValueError):
        return args
    free = any(p.kind is p.VAR_KEYWORD for p in known.values())
    return {name: value for name, value in args.items() if free or name in known}
