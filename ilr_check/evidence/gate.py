"""What the gate says of one optimizer: findings are records, each with a diagnosis and a place to look at.

Field names are public: scripts read them. Adding a field is allowed, renaming one is not.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from ilr_check.evidence.manifest import ClaimText
from ilr_check.evidence.records import Record, VerdictWord

GATE_SCHEMA_VERSION = 1


class Location(msgspec.Struct, frozen=True):
    """Where the optimizer's ``step`` stands; lines count from 1."""

    file: str
    line: int
    end_line: int | None = None


class Finding(Record, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """One verdict about the optimizer, as a maintainer needs it."""

    diagnosis: str = ""
    """One sentence from measured facts on which a maintainer can act; empty where the law holds."""
    snippet: str = ""
    """The smallest reproducing case as a few lines of plain torch."""
    location: Location | None = None
    """Where to look; ``None`` where the source cannot be found."""


class GateReport(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """Everything the gate says of one optimizer; what ``gate --json`` prints."""

    made_by: str = "ilr-check gate"
    """The first field, by which an earlier report is recognised (``evidence.marks``)."""
    target: str
    contract: str
    verdict: VerdictWord | Literal["not run"]
    exit_code: int
    findings: tuple[Finding, ...]
    fingerprint: dict[str, Any]
    contract_note: str = ""
    """How the contract was found, and how sure that is."""
    laws: tuple[ClaimText, ...] = ()
    """The laws that were planned, in their order."""
    notices: tuple[str, ...] = ()
    """What a reader should know beside the verdicts, such as that a baseline was saved."""
    location: Location | None = None
    profile: str = "quick"
    seed: int = 0
    device: str = "cpu"
    seconds: float = 0.0
    command: str = ""
    versions: dict[str, str] = {}
    schema: int = GATE_SCHEMA_VERSION


def encode_report(report: GateReport) -> bytes:
    """The report as indented JSON, with a newline at the end."""
    return msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"


def decode_report(raw: bytes | str) -> GateReport:
    """Read a report back; raises ``msgspec.ValidationError`` with the path of the bad field."""
    return msgspec.json.decode(raw, type=GateReport)
