"""The HTML report of the gate is one self-contained file that looks like the report of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from ilr_check.evidence import Finding, GateReport, atomic, verdict_order
from ilr_check.reporting import gate_causes, gate_words, verdicts
from ilr_check.reporting.escaping import page_text
from ilr_check.reporting.gate_words import LawVerdict
from ilr_check.reporting.html import asset, environment, policy

MAX_SHOWN = 40
"""This many findings of a law are shown in full; the rest is counted."""


@dataclass(frozen=True)
class LawPart:
    """One law with its part of the page."""

    law: LawVerdict
    shown: tuple[Finding, ...]
    hidden: int

    @property
    def deciding(self) -> Finding | None:
        """Return the finding that decides."""
        return self.law.findings[0] if self.law.findings else None

    @property
    def snippet(self) -> str:
        """Return the first reproducing case of a failure."""
        return next(
            (f.snippet for f in self.law.findings if f.snippet and f.verdict in verdict_order.FAILED), ""
        )


@dataclass(frozen=True)
class Entry:
    """One thing to act on: a cause, the law that tells it best, and the laws that repeat it."""

    part: LawPart
    finding: Finding | None
    echoes: tuple[LawPart, ...] = ()

    @property
    def severity(self) -> str:
        """Return the severity of a violation; empty for another verdict."""
        return self.part.law.severity if self.part.law.verdict == "violated" else ""


@dataclass(frozen=True)
class GatePage:
    """The whole page."""

    report: GateReport
    answer: str
    tone: str
    coverage: str
    exit_meaning: str
    tally: dict[str, int]
    laws: Sequence[LawPart]
    entries: Sequence[Entry]
    others: Sequence[LawPart]
    """Laws that fail, probably for the reasons of the entries."""

    @property
    def severities(self) -> dict[str, int]:
        """Return how many violated laws there are of each severity."""
        broken = [part.law.severity for part in self.laws if part.law.verdict == "violated"]
        return {severity: broken.count(severity) for severity in dict.fromkeys(broken)}


def write_gate_report(report: GateReport, target: Path, *, force: bool = False) -> Path:
    """Write the page in one step; raises ``UnwritableError``."""
    atomic.write(target, render(report).encode(), force=force)
    return target


def render(report: GateReport) -> str:
    """Return the page as text."""
    script = asset("report.js")
    text = (
        environment()
        .get_template("gate.html.j2")
        .render(
            page=build(report),
            js=Markup(script),
            policy=policy([script]),
            failed=verdict_order.FAILED,
            why=gate_words.why,
            figures=gate_words.figures,
        )
    )
    return page_text(text)


def build(report: GateReport) -> GatePage:
    """Return the contents of the page as plain data."""
    parts = [_part(law) for law in gate_words.laws(report)]
    entries, others = _entries(report, parts)
    unjudged = report.verdict == "holds" and bool(report.coverage.not_judged)
    return GatePage(
        report=report,
        answer=gate_words.answer(report),
        tone="inconclusive" if unjudged else report.verdict,
        coverage=gate_words.coverage(report),
        exit_meaning=gate_words.exit_meaning(report),
        tally=verdicts.tally(part.law.verdict for part in parts),
        laws=parts,
        entries=entries,
        others=others,
    )


def _part(law: LawVerdict) -> LawPart:
    return LawPart(law, law.findings[:MAX_SHOWN], max(0, len(law.findings) - MAX_SHOWN))


def _entries(report: GateReport, parts: Sequence[LawPart]) -> tuple[list[Entry], list[LawPart]]:
    """Return what to act on, a cause once, and the failing laws that add nothing to it."""
    failing = {part.law.text.id: part for part in parts if part.law.failed}
    causes = gate_causes.causes(gate_words.violations(report))
    echoes = {law.text.id for law in gate_words.echoes(report)}
    repeated = {cause.laws[0]: cause for cause in reversed(causes)}
    entries, placed = [], set()
    for name, part in failing.items():
        if name in echoes:
            continue
        cause = repeated.get(name)
        finding = part.deciding
        if cause is not None:
            finding = next((f for f in part.law.findings if gate_causes.says(f, cause.sentence)), finding)
        same = [law for law in (cause.laws if cause else ()) if law in echoes and law not in placed]
        placed.update(same)
        entries.append(Entry(part, finding, tuple(failing[law] for law in same)))
    return entries, [failing[name] for name in failing if name in echoes and name not in placed]
