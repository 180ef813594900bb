"""Print the gate's work on a terminal: a line a law, then every failure in full, and the exit code."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.text import Text

from ilr_check.evidence import Finding, GateReport, verdict_order
from ilr_check.reporting import gate_words, numbers, verdicts
from ilr_check.reporting.escaping import one_line
from ilr_check.reporting.gate_words import LawVerdict
from ilr_check.reporting.terminal import STYLES

MAX_CASES = 3
"""This many findings of a law are printed in full, the first of each sentence; the rest is counted."""


class GateTerminal:
    """Prints to a console; a line about what is being judged is shown on a terminal only, and taken back."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = Console() if console is None else console
        self._status = self.console.status("") if self.console.is_terminal else None

    def working(self, what: str) -> None:
        """Show what is being done."""
        if self._status is not None:
            self._status.update(Text(one_line(what)))
            self._status.start()

    def close(self) -> None:
        """Remove the progress line; this is safe at any time."""
        if self._status is not None:
            self._status.stop()

    def finished(self, report: GateReport) -> None:
        """Print the whole report."""
        self.close()
        self._line(one_line(gate_words.coverage(report)), "bold")
        contract = one_line(report.contract or "none")
        note = f" ({one_line(report.contract_note)})" if report.contract_note else ""
        self._line(f"{one_line(report.target)}: contract {contract}{note}", "bold")
        if cause := gate_words.headline(report):
            self._line(one_line(cause), "bold red")
        if changed := gate_words.changes(report):
            self._line(one_line(changed), "bold yellow")
        found = gate_words.laws(report)
        for law in sorted(found, key=lambda law: law.failed):
            self._line(self._summary(law), STYLES.get(law.verdict, ""))
        echoes = gate_words.echoes(report)
        for law in found:
            if law.failed and law not in echoes:
                self._failure(law)
        if echoes:
            self._line("")
            more = "1 more law fails" if len(echoes) == 1 else f"{len(echoes)} more laws fail"
            self._line(
                f"{more}, probably for the reasons above. Fix those first; --out DIR lists all of them."
            )
        self._line("")
        for notice in report.notices:
            self._line(f"note: {one_line(notice)}")
        counted = verdicts.tally(law.verdict for law in found)
        self._line(
            "laws: " + (", ".join(f"{n} {verdicts.words(word)}" for word, n in counted.items()) or "none")
        )
        self._line(f"{gate_words.answer(report)} ({numbers.duration(report.seconds)})")
        meaning = gate_words.exit_meaning(report)
        self._line(
            f"exit code {report.exit_code}: {meaning}", "bold red" if report.exit_code in (1, 2) else "bold"
        )

    def _summary(self, law: LawVerdict) -> str:
        first = law.findings[0] if law.findings else None
        told = ""
        if first is not None and law.verdict != "holds":
            told = "  " + one_line(gate_words.why(first))
        return f"{self._symbol(law.verdict)} {law.told:<12} {one_line(law.text.id)}{told}"

    def _failure(self, law: LawVerdict) -> None:
        bad = [f for f in law.findings if f.verdict in verdict_order.FAILED and f.counts]
        title = f"{law.told.upper()}: {one_line(law.text.id)}: {one_line(law.text.title)}"
        self._line("")
        self._line(f"{self._symbol(law.verdict)} {title}", STYLES.get(law.verdict, ""))
        shown = _telling(bad)[:MAX_CASES]
        for finding in shown:
            for line in _lines(finding):
                self._line("  " + line)
        if left := len(bad) - len(shown):
            self._line(f"  and {left} more {'case' if left == 1 else 'cases'}")
        if law.text.meaning:
            self._line(f"  means     {one_line(law.text.meaning)}")
        if bad and bad[0].replay:
            self._line(f"  again     {one_line(bad[0].replay)}")

    def _symbol(self, verdict: str) -> str:
        plain = not self.console.encoding.lower().startswith("utf")
        return (verdicts.ASCII_SYMBOLS if plain else verdicts.SYMBOLS).get(verdict, "?")

    def _line(self, text: str, style: str = "") -> None:
        self.console.print(Text(text, style=style), soft_wrap=True, highlight=False)


def _telling(found: list[Finding]) -> list[Finding]:
    """Return the first finding of each sentence; the other cases are only counted."""
    first: dict[str, Finding] = {}
    for finding in found:
        first.setdefault(gate_words.why(finding), finding)
    return list(first.values())


def _lines(finding: Finding) -> Iterator[str]:
    yield one_line(gate_words.why(finding))
    if finding.remedy and finding.verdict == "violated":
        yield f"settle it  {one_line(finding.remedy)}, if that is what the optimizer means"
    yield f"id        {one_line(finding.id)}"
    yield f"measured  {one_line(gate_words.figures(finding))}  [{one_line(verdicts.place(finding))}]"
    if finding.location is not None:
        yield f"at        {one_line(finding.location.file)}:{finding.location.line}"
    for number, line in enumerate(finding.snippet.splitlines()):
        yield ("reproduce " if not number else " " * 10) + one_line(line)
