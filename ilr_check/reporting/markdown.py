"""Write the gate's verdicts as Markdown, for the step summary of a CI job or a comment on a change."""

from __future__ import annotations

from collections.abc import Iterator

from ilr_check.evidence import Finding, GateReport, verdict_order
from ilr_check.reporting import gate_words, verdicts
from ilr_check.reporting.escaping import markdown, markdown_block, markdown_code, workflow_command
from ilr_check.reporting.gate_words import LawVerdict

MAX_BYTES = 1024 * 1024 - 4096
"""GitHub drops a summary of more than 1 MiB; the difference is room for the notice."""
MAX_ANNOTATIONS = 10
"""GitHub shows ten annotations of a kind for a step and hides the others."""


def render(report: GateReport, *, limit: int = MAX_BYTES) -> str:
    """Return a summary of at most ``limit`` bytes with a notice of what is left out; no section is cut."""
    text, left = _head(report), 0
    for part in _parts(report):
        if left or len(text.encode("utf-8", "replace")) + len(part.encode("utf-8", "replace")) > limit:
            left += 1
        else:
            text += part
    if left:
        text += f"\n> Truncated: {left} more sections did not fit; `--json FILE` has everything.\n"
    return text


def workflow_annotations(report: GateReport) -> list[str]:
    """Return a workflow command for each failed law, at the line of the optimizer's ``step``."""
    bad = gate_words.failing(report)
    lines = [_annotation(law, report) for law in bad[:MAX_ANNOTATIONS]]
    if len(bad) > MAX_ANNOTATIONS:
        lines[-1] = workflow_command(
            "error",
            f"{len(bad) - MAX_ANNOTATIONS + 1} more laws failed; the summary lists them",
            title="ilr-check",
        )
    return lines


def _annotation(law: LawVerdict, report: GateReport) -> str:
    worst = law.findings[0]
    place = worst.location or report.location
    return workflow_command(
        "warning" if law.verdict == "inconclusive" or law.severity != "defect" else "error",
        f"{report.target}: {gate_words.why(worst)}\n{gate_words.figures(worst)}",
        file=place.file if place else None,
        line=place.line if place else None,
        title=f"{law.text.id} is {law.word}",
    )


def _head(report: GateReport) -> str:
    symbol = verdicts.SYMBOLS.get(report.verdict, "…")
    lines = [
        markdown(gate_words.sentence(report)),
        "",
        f"## {symbol} {markdown_code(report.target)}: {markdown(gate_words.answer(report))}",
        "",
        f"Contract {markdown_code(report.contract)}"
        + (f" ({markdown(report.contract_note)})" if report.contract_note else "")
        + f", profile {markdown(report.profile)}, seed {report.seed}, exit code {report.exit_code}.",
        "",
        *(f"> {markdown(notice)}\n" for notice in report.notices),
        "",
    ]
    return "\n".join(lines)


def _parts(report: GateReport) -> Iterator[str]:
    for law in gate_words.laws(report):
        if law.failed:
            yield _failure(law)
    others = [law for law in gate_words.laws(report) if not law.failed]
    if others:
        yield "\n| verdict | law | measured |\n| --- | --- | --- |\n"
        for law in others:
            yield _row(law)


def _failure(law: LawVerdict) -> str:
    head = f"\n### {verdicts.SYMBOLS.get(law.verdict, '?')} {markdown(law.text.title)}\n\n"
    head += f"{markdown_code(law.text.id)} is **{law.word}**.\n\n"
    bad = [finding for finding in law.findings if finding.verdict in verdict_order.FAILED and finding.counts]
    body = "".join(_bullet(finding) for finding in bad)
    meaning = f"\nWhat it means: {markdown(law.text.meaning)}\n" if law.text.meaning else ""
    snippet = next((finding.snippet for finding in bad if finding.snippet), "")
    return head + body + meaning + (f"\n{markdown_block(snippet, 'python')}\n" if snippet else "")


def _bullet(finding: Finding) -> str:
    place = (
        f" at {markdown_code(f'{finding.location.file}:{finding.location.line}')}" if finding.location else ""
    )
    return (
        f"- **{markdown(gate_words.why(finding))}**{place}\n"
        f"  {markdown(gate_words.figures(finding))} ({markdown(verdicts.place(finding))})\n"
    )


def _row(law: LawVerdict) -> str:
    first = law.findings[0] if law.findings else None
    shown = ""
    if first is not None:
        shown = gate_words.why(first) if first.verdict != "holds" else gate_words.figures(first)
    symbol = verdicts.SYMBOLS.get(law.verdict, "?")
    return f"| {symbol} {law.word} | {markdown_code(law.text.id)} | {markdown(shown)} |\n"
