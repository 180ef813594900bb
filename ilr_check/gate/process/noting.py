"""Findings that no law makes: about the process, a reference, a baseline. Imports no torch."""

from __future__ import annotations

from ilr_check.evidence import ClaimText, Margin, Measured
from ilr_check.evidence.gate import Finding, Location, Severity
from ilr_check.evidence.records import VerdictWord
from ilr_check.gate.process.request import GateRequest

NOTHING, NO_MARGIN = Measured(value=None), Margin()


def noted(
    request: GateRequest,
    claim: str,
    group: str,
    verdict: VerdictWord,
    *,
    diagnosis: str = "",
    message: str = "",
    measured: Measured = NOTHING,
    expected: float | None = None,
    margin: Margin = NO_MARGIN,
    quantity: str = "",
    n_steps: int = 0,
    location: Location | None = None,
    severity: Severity = "defect",
) -> Finding:
    """Return one finding about the request's target."""
    return Finding(
        id=f"{claim}:{group}" if group else claim,
        claim=claim,
        kind="exact",
        form="exact",
        group=group,
        subject={"target": request.target},
        verdict=verdict,
        measured=measured,
        expected=expected,
        margin=margin,
        detectable=None,
        false_fail=0.0,
        false_pass=0.0,
        rivals=(),
        n_runs=1,
        n_steps=n_steps,
        seed=request.options.seed,
        device=request.options.device,
        dtype="",
        seconds=0.0,
        message=message or diagnosis,
        replay="",
        unit=claim,
        unit_size=1,
        quantity=quantity,
        diagnosis=diagnosis,
        location=location,
        severity=severity,
    )


def text_of(
    name: str, title: str, statement: str, *, equation: str = "", source: str, meaning: str
) -> ClaimText:
    """Return the text of a law that has no file of its own in ``laws/``."""
    return ClaimText(
        id=name,
        title=title,
        statement=statement,
        equation=equation,
        source=source,
        kind="exact",
        chapter="gate",
        groups=("gate",),
        rivals=(),
        meaning=meaning,
    )
