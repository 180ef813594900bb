"""The HTML report of the gate is one self-contained file that looks like the report of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from ilr_check.evidence import Finding, GateReport, atomic, verdict_order
from ilr_check.reporting import gate_words, verdicts
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
class GatePage:
    """The whole page."""

    report: GateReport
    answer: str
    sentence: str
    exit_meaning: str
    tally: dict[str, int]
    laws: Sequence[LawPart]

    @property
    def failing(self) -> list[LawPart]:
        """Return the laws that somebody has to act on."""
        return [part for part in self.laws if part.law.failed]


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
    return GatePage(
        report=report,
        answer=gate_words.answer(report),
        sentence=gate_words.sentence(report),
        exit_meaning=verdicts.EXIT_MEANINGS.get(report.exit_code, "unknown"),
        tally=verdicts.tally(part.law.verdict for part in parts),
        laws=parts,
    )


def _part(law: LawVerdict) -> LawPart:
    return LawPart(law, law.findings[:MAX_SHOWN], max(0, len(law.findings) - MAX_SHOWN))
