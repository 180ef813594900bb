"""Run the laws of ``ilr-check gate`` on the session's optimizer under pytest, one test a law."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import msgspec

from ilr_check.evidence import Figure, Record, verdict_order
from ilr_check.evidence.gate import Finding
from ilr_check.gate.cases import LawCase
from ilr_check.gate.conclusion import command_of
from ilr_check.gate.law import GateLaw
from ilr_check.gate.laws import planned, training_laws
from ilr_check.gate.process.request import GateRequest
from ilr_check.gate.subject import Subject
from ilr_check.gate.subjects import subject_of
from ilr_check.optim.target import Target
from ilr_check.plugin.settings import PluginSettings, gate_options


class SessionGate:
    """Judges a session's optimizer by the exact tier of the gate, under its contract."""

    def __init__(self, target: Target, settings: PluginSettings) -> None:
        self._target = target
        self.options = gate_options(settings)
        self.laws: tuple[GateLaw, ...] = planned("exact", self.options.profile)

    @cached_property
    def subject(self) -> Subject:
        """Return the optimizer with its contract, which ``auto`` finds by measurement at the first use."""
        return self._found[0]

    @property
    def contract(self) -> str:
        """Return the contract, and how it was found."""
        subject, note = self._found
        return f"contract {'none' if subject.contract is None else subject.contract.name} ({note})"

    def not_sgd(self) -> str:
        """Return why the exact laws of SGD trainings do not judge this optimizer; empty where they do."""
        reason = training_laws.applies(self.subject)
        return f"{reason}; {self.contract}" if reason else ""

    def judge(self, law: GateLaw) -> tuple[tuple[Finding, ...], dict[str, Figure]]:
        """Return the findings and figures of a law, with the command that judges it again."""
        findings, figures = LawCase(law, lambda: self.subject, self.options).judged()
        line = self.replay(law)
        return tuple(msgspec.structs.replace(f, replay=line, unit=law.id) for f in findings), figures

    def replay(self, law: GateLaw) -> str:
        """Return the command that judges this law alone."""
        return command_of(GateRequest(target=self.options.name, options=self.options), law.id)

    @cached_property
    def _found(self) -> tuple[Subject, str]:
        return subject_of(self._target.factory, self.options)


def finding_text(finding: Finding) -> str:
    """Return diagnosis, measured number, place and smallest case of a finding as text."""
    measured, place = finding.measured.value, finding.location
    value = "none" if measured is None else f"{measured:.4g}"
    lines = [
        f"{finding.claim} is {finding.verdict} ({finding.group}): {finding.diagnosis or finding.message}",
        f"measured: {finding.quantity} = {value}" if finding.quantity else "",
        f"why: {finding.message}",
        "" if place is None else f"at: {place.file}:{place.line}",
        *(f"reproduce: {line}" for line in finding.snippet.splitlines()),
        f"replay: {finding.replay}",
    ]
    return "\n  ".join(line for line in lines if line)


def finding_properties(findings: tuple[Finding, ...], contract: str) -> Iterator[tuple[str, str]]:
    """Yield the contract and the diagnosis of a law for ``record_property``."""
    yield "ilr.contract", contract
    for finding in sorted(findings, key=lambda f: verdict_order.rank(f.verdict)):
        if finding.diagnosis:
            yield "ilr.diagnosis", finding.diagnosis
            return


def as_records(findings: tuple[Finding, ...]) -> tuple[Record, ...]:
    """Return findings as records of a run folder, the diagnosis before the message, with unique ids."""
    names = Record.__struct_fields__
    return tuple(
        Record(
            **{
                **{name: getattr(finding, name) for name in names},
                "id": f"{finding.unit}-{number}",
                "unit_size": len(findings),
                "message": ": ".join(part for part in (finding.diagnosis, finding.message) if part),
            }
        )
        for number, finding in enumerate(findings)
    )
