"""What the gate says of one optimizer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ilr_check.evidence import Figure
from ilr_check.evidence.exit_codes import exit_code
from ilr_check.evidence.gate import Finding
from ilr_check.evidence.records import VerdictWord


class GateViolation(AssertionError):
    """An optimizer does not keep its contract; the message lists what was found."""


@dataclass(frozen=True)
class GateResult:
    """All findings about one optimizer."""

    target: str
    contract: str
    contract_note: str
    """How the contract was found, and how sure that is."""
    findings: tuple[Finding, ...]
    fingerprint: Mapping[str, Any] = field(default_factory=dict)
    figures: Mapping[str, Figure] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """0 all hold, 1 something is violated, 2 an error or nothing judged, 3 something inconclusive."""
        return exit_code(self.findings)

    @property
    def verdict(self) -> VerdictWord | Literal["not run"]:
        """The worst word of all findings."""
        words = {f.verdict for f in self.findings if f.counts}
        for word in ("violated", "unexpected_pass", "error", "inconclusive", "holds", "expected_failure"):
            if word in words:
                return word
        return "not run"

    @property
    def violated(self) -> tuple[Finding, ...]:
        """Findings that speak against the optimizer."""
        return tuple(f for f in self.findings if f.verdict in ("violated", "unexpected_pass"))

    def raise_if_violated(self) -> None:
        """Raise ``GateViolation`` where a law is violated."""
        if self.violated:
            raise GateViolation(self._listed(self.violated))

    def raise_unless_holds(self) -> None:
        """Raise ``GateViolation`` unless every law that was judged holds."""
        if self.exit_code != 0:
            wrong = [f for f in self.findings if f.verdict not in ("holds", "skipped", "expected_failure")]
            raise GateViolation(self._listed(tuple(wrong)) if wrong else f"{self.target}: nothing was judged")

    def _listed(self, findings: tuple[Finding, ...]) -> str:
        lines = [f"{self.target} does not keep the contract {self.contract!r}:"]
        for finding in findings:
            lines.append(f"  {finding.claim} [{finding.group}]: {finding.verdict}: {finding.diagnosis}")
            lines.append(f"    {finding.message}")
            if finding.snippet:
                lines += [f"    | {line}" for line in finding.snippet.splitlines()]
        return "\n".join(lines)
