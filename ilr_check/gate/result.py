"""The result of the gate for a Python caller."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ilr_check.evidence import Figure
from ilr_check.evidence.gate import Coverage, Finding, GateReport, decides
from ilr_check.evidence.verdict_order import FAILED
from ilr_check.gate.coverage import RunVerdict


class GateViolation(AssertionError):
    """An optimizer does not keep its contract; the message lists what was found."""


@dataclass(frozen=True)
class GateResult:
    """All findings about one optimizer, and the verdict that follows from them."""

    report: GateReport
    """The same as ``ilr-check gate --json`` writes."""
    figures: Mapping[str, Figure] = field(default_factory=dict)

    @property
    def target(self) -> str:
        """Return the optimizer's name."""
        return self.report.target

    @property
    def contract(self) -> str:
        """Return the contract's name; empty where no family was found."""
        return self.report.contract

    @property
    def contract_note(self) -> str:
        """Return how the contract was found, and how sure that is."""
        return self.report.contract_note

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Return every finding in the order of the laws."""
        return self.report.findings

    @property
    def fingerprint(self) -> Mapping[str, Any]:
        """Return the measurements that need no contract; empty where nobody asked for them."""
        return self.report.fingerprint

    @property
    def coverage(self) -> Coverage:
        """Return which of the planned laws were judged."""
        return self.report.coverage

    @property
    def exit_code(self) -> int:
        """Return 0: all hold, 1: a violation, 2: an error or nothing judged, 3: something inconclusive."""
        return self.report.exit_code

    @property
    def verdict(self) -> RunVerdict:
        """Return the verdict of the judgement; violations milder than ``fail_on`` do not decide it."""
        return self.report.verdict

    @property
    def violated(self) -> tuple[Finding, ...]:
        """Return the findings against the optimizer, of any severity."""
        return tuple(f for f in self.findings if f.verdict in ("violated", "unexpected_pass"))

    def raise_if_violated(self) -> None:
        """Raise ``GateViolation`` where a violation is grave enough to decide the verdict."""
        if self.exit_code == 1:
            raise GateViolation(self._listed(self._deciding(("violated", "unexpected_pass"))))

    def raise_unless_holds(self) -> None:
        """Raise ``GateViolation`` unless every law that applies was judged and holds."""
        if self.exit_code == 0:
            return
        wrong = self._deciding(FAILED)
        if wrong:
            raise GateViolation(self._listed(wrong))
        missing = [f"  {passed.law}: {passed.reason}" for passed in self.coverage.not_judged]
        if missing:
            raise GateViolation("\n".join([f"{self.target}: laws that apply were not judged:", *missing]))
        raise GateViolation(f"{self.target}: nothing was judged")

    def _deciding(self, words: tuple[str, ...]) -> tuple[Finding, ...]:
        return tuple(
            f
            for f in self.findings
            if f.verdict in words and (f.verdict != "violated" or decides(f, self.report.fail_on))
        )

    def _listed(self, findings: tuple[Finding, ...]) -> str:
        lines = [f"{self.target} does not keep the contract {self.contract!r}:"]
        for finding in findings:
            lines.append(f"  {finding.claim} [{finding.group}]: {finding.verdict}: {finding.diagnosis}")
            lines.append(f"    {finding.message}")
            if finding.snippet:
                lines += [f"    | {line}" for line in finding.snippet.splitlines()]
        return "\n".join(lines)
