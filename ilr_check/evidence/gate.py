"""The gate's report on one optimizer. A finding is a record with a diagnosis and a place in the source.

Field names are public: scripts read them. Adding a field is allowed, renaming one is not.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from ilr_check.evidence.manifest import ClaimText
from ilr_check.evidence.records import Record, VerdictWord

GATE_SCHEMA_VERSION = 1

Severity = Literal["defect", "fragility", "departure"]
"""``defect``: the optimizer breaks its promise in plain training. ``fragility``: it goes wrong in legal but
unusual use. ``departure``: it follows a documented or common convention that differs from the contract."""
SEVERITIES: tuple[Severity, ...] = ("defect", "fragility", "departure")
"""Severities, the worst first."""


BASELINE_LAW = "same-as-baseline"
"""The law of ``--baseline``: a violation is a change since another version, and no defect by itself."""


class Location(msgspec.Struct, frozen=True):
    """Where the optimizer's ``step`` stands; lines count from 1."""

    file: str
    line: int
    end_line: int | None = None


class Finding(Record, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """One verdict about the optimizer, for its maintainer."""

    diagnosis: str = ""
    """A sentence from measured facts that tells a maintainer what to fix. It is empty if the law holds."""
    snippet: str = ""
    """The smallest reproducing case as a few lines of plain torch."""
    location: Location | None = None
    """The place in the source, or ``None`` if the source cannot be found."""
    severity: Severity = "defect"
    """The severity of a violation of this case; docs/severity.md has the policy."""
    remedy: str = ""
    """The option that accepts a departure, such as ``--declare eps_place=inside``, or "" if there is none."""
    open: bool = False
    """Whether a skipped law applies to this optimizer, so that a verdict is missing."""


class PassedLaw(msgspec.Struct, frozen=True):
    """A law that has no verdict, and the reason."""

    law: str
    reason: str


class Coverage(msgspec.Struct, frozen=True, kw_only=True):
    """The planned laws that were judged and those that were not, with the reasons."""

    judged: tuple[str, ...] = ()
    not_applicable: tuple[PassedLaw, ...] = ()
    """Laws that do not concern this optimizer."""
    not_judged: tuple[PassedLaw, ...] = ()
    """Laws that concern it and have no verdict."""


class GateReport(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """The report of the gate on one optimizer; ``gate --json`` prints it."""

    made_by: str = "ilr-check gate"
    """The first field, by which an earlier report is recognised (``evidence.marks``)."""
    target: str
    contract: str
    verdict: VerdictWord | Literal["not run"]
    exit_code: int
    findings: tuple[Finding, ...]
    fingerprint: dict[str, Any]
    coverage: Coverage = Coverage()
    fail_on: Severity = "defect"
    """The mildest severity of a violation that decides the verdict and the exit code."""
    contract_note: str = ""
    """How the contract was found, and how certain this is."""
    laws: tuple[ClaimText, ...] = ()
    """The laws that were planned, in their order."""
    notices: tuple[str, ...] = ()
    """Further notes for a reader, such as that a baseline was saved."""
    location: Location | None = None
    profile: str = "quick"
    seed: int = 0
    device: str = "cpu"
    seconds: float = 0.0
    command: str = ""
    versions: dict[str, str] = {}
    schema: int = GATE_SCHEMA_VERSION


def decides(finding: Finding, fail_on: Severity) -> bool:
    """Return whether a violation is severe enough to decide the verdict of the run."""
    return SEVERITIES.index(finding.severity) <= SEVERITIES.index(fail_on)


def encode_report(report: GateReport) -> bytes:
    """Return the report as indented JSON, with a newline at the end."""
    return msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"


def decode_report(raw: bytes | str) -> GateReport:
    """Return the report that JSON describes. Raises ``msgspec.ValidationError`` that names the wrong
    field."""
    return msgspec.json.decode(raw, type=GateReport)
