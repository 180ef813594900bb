"""Words that all reports of the gate share: the answer, the laws, and one sentence a finding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ilr_check.evidence import ClaimText, Finding, GateReport, Severity, verdict_order
from ilr_check.evidence.gate import BASELINE_LAW, SEVERITIES, decides
from ilr_check.reporting import gate_causes, numbers, verdicts
from ilr_check.reporting.gate_causes import NAMELESS, SHOWN


@dataclass(frozen=True)
class LawVerdict:
    """One law with its findings, the worst first."""

    text: ClaimText
    verdict: str
    findings: tuple[Finding, ...]

    @property
    def severity(self) -> Severity:
        """Return the severity of its worst violation; ``defect`` where there is none."""
        broken = (f.severity for f in self.findings if f.verdict == "violated")
        return min(broken, key=SEVERITIES.index, default="defect")

    @property
    def word(self) -> str:
        """Return the verdict as prose, with the severity of a violation that is no defect."""
        mild = self.verdict == "violated" and self.severity != "defect"
        return verdicts.words(self.verdict) + (f" ({self.severity})" if mild else "")

    @property
    def told(self) -> str:
        """Return the word for a reader: what differs from a baseline has changed, and breaks no law."""
        return "changed" if self.verdict == "violated" and self.text.id == BASELINE_LAW else self.word

    @property
    def failed(self) -> bool:
        """Return whether somebody has to act on it."""
        return self.verdict in verdict_order.FAILED


def laws(report: GateReport) -> tuple[LawVerdict, ...]:
    """Return every law of the report, the worst first and otherwise in the planned order."""
    texts = {text.id: text for text in report.laws}
    own: dict[str, list[Finding]] = {text.id: [] for text in report.laws}
    for finding in report.findings:
        texts.setdefault(finding.claim, _unknown(finding))
        own.setdefault(finding.claim, []).append(finding)
    judged = [
        LawVerdict(
            texts[name],
            verdicts.worst(found),
            tuple(sorted(found, key=_worst_first)),
        )
        for name, found in own.items()
    ]
    return tuple(
        sorted(judged, key=lambda law: (verdict_order.rank(law.verdict), SEVERITIES.index(law.severity)))
    )


def _worst_first(finding: Finding) -> tuple[bool, int, int]:
    return not finding.counts, verdict_order.rank(finding.verdict), SEVERITIES.index(finding.severity)


def answer(report: GateReport) -> str:
    """Say in one short sentence whether the optimizer obeys its contract."""
    if report.verdict == "holds":
        part = report.coverage.not_judged or not report.contract
        obeyed = "Every law that was judged holds" if part else "The optimizer obeys its contract"
        return f"{obeyed}, apart from {_mild(report)}." if violations(report) else f"{obeyed}."
    if report.verdict == "violated" and not any(decides(f, report.fail_on) for f in violations(report)):
        return "The optimizer has changed since the baseline; --update-baseline accepts the changes."
    if report.verdict == "inconclusive" and report.coverage.not_judged:
        return "Undecided: laws that apply to this optimizer were not judged."
    return {
        "expected_failure": "The optimizer obeys its contract, except where you said it would not.",
        "violated": "The optimizer breaks its contract.",
        "unexpected_pass": "A failure that you declared did not happen.",
        "inconclusive": "Undecided: the data do not settle it.",
        "error": "The gate could not judge everything.",
    }.get(report.verdict, "Nothing was judged.")


def exit_meaning(report: GateReport) -> str:
    """Say what the exit code means; a code of 0 beside violations says that they do not decide."""
    if report.exit_code == 0 and violations(report):
        return f"{_mild(report)} found, which does not decide (--fail-on {report.fail_on})"
    return verdicts.EXIT_MEANINGS.get(report.exit_code, "unknown")


def violations(report: GateReport) -> list[Finding]:
    """Return the violations of laws, without what changed since the baseline, which is told apart."""
    return [f for f in report.findings if f.verdict == "violated" and f.claim != BASELINE_LAW]


def changes(report: GateReport) -> str:
    """Return one sentence about what changed since the baseline; empty where nothing did."""
    judged = [f for f in report.findings if f.claim == BASELINE_LAW and f.verdict != "skipped"]
    changed = [f for f in judged if f.verdict == "violated"]
    if not changed:
        return ""
    more = f"; and {len(changed) - 1} more" if len(changed) > 1 else ""
    cases = f"{len(changed)} of {len(judged)} cases"
    return f"changed since the baseline in {cases}: {why(changed[0])}{more}"


def _mild(report: GateReport) -> str:
    """Count the violations that do not decide: ``2 fragilities and 1 departure``."""
    plural = {"defect": "defects", "fragility": "fragilities", "departure": "departures"}
    broken = {(f.claim, f.severity) for f in violations(report)}
    counts = {kind: sum(mild == kind for _, mild in broken) for kind in SEVERITIES}
    return " and ".join(f"{n} {kind if n == 1 else plural[kind]}" for kind, n in counts.items() if n)


def coverage(report: GateReport) -> str:
    """Return the first line of every output: how many applicable laws were judged, and which were not."""
    found = report.coverage
    missing = [passed.law for passed in found.not_judged]
    judged, applying = len(found.judged), len(found.judged) + len(missing)
    aside = f"; {len(found.not_applicable)} more do not apply" if found.not_applicable else ""
    told = f"judged {judged} of {applying} {'law' if applying == 1 else 'laws'}{aside}"
    if not missing:
        return told
    names = ", ".join(missing[:SHOWN]) + (f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else "")
    reasons = list(dict.fromkeys(passed.reason for passed in found.not_judged))
    return f"{told}; not judged: {names} ({reasons[0]})"


def sentence(report: GateReport) -> str:
    """Return the coverage, the common causes of the violations, and the violated laws."""
    bad = [law for law in laws(report) if law.failed]
    parts = [coverage(report)]
    parts += [told for told in (headline(report), changes(report)) if told]
    if bad:
        names = ", ".join(law.text.id for law in bad[:4])
        parts.append(f"to act on: {names}" + (f" and {len(bad) - 4} more" if len(bad) > 4 else ""))
    return " ".join(f"{part[0].upper()}{part[1:]}." for part in parts)


def headline(report: GateReport) -> str:
    """Return a sentence with the causes of several violated laws; empty for fewer than two."""
    return gate_causes.headline(gate_causes.causes(violations(report)))


def echoes(report: GateReport) -> tuple[LawVerdict, ...]:
    """Return the violated laws that add nothing: an earlier law reports the cause of each of their findings.

    A measured deviation without a cause adds nothing where there is a cause.
    """
    found = gate_causes.causes(violations(report))
    named = not any(cause.sentence.endswith(NAMELESS) for cause in found)
    return tuple(
        law
        for law in laws(report)
        if law.verdict == "violated"
        and all(
            any(gate_causes.says(f, cause.sentence) and cause.laws[0] != f.claim for cause in found)
            or (bool(found) and named and f.diagnosis.strip().endswith(NAMELESS))
            for f in law.findings
            if f.verdict == "violated"
        )
    )


def why(finding: Finding) -> str:
    """Return the one sentence to act on: the diagnosis, or the first line of the message."""
    first = finding.message.strip().splitlines()
    return finding.diagnosis.strip() or (first[0] if first else verdicts.words(finding.verdict))


def figures(finding: Finding) -> str:
    """Return ``degree of lr = 2, expected 1, margin [0.99, 1.01]``, or the message without a number."""
    if not finding.quantity and finding.measured.value is None and finding.message:
        return finding.message.splitlines()[0]
    measured = numbers.measured(finding.measured)
    text = f"{finding.quantity or 'measured'} = {measured}"
    if finding.expected is not None:
        expected = numbers.number(finding.expected)
        value = finding.measured.value
        if value is not None and value != finding.expected and expected in (measured, numbers.number(value)):
            scale = abs(finding.expected) or 1.0
            text += (
                f", a relative difference of {abs(value - finding.expected) / scale:.2g} from the expected"
            )
        else:
            text += f", expected {expected}"
    if finding.margin.low is not None or finding.margin.high is not None:
        text += f", margin {numbers.margin(finding.margin)}"
    return text


def failing(report: GateReport) -> Sequence[LawVerdict]:
    """Return the laws that somebody has to act on, the worst first."""
    return [law for law in laws(report) if law.failed]


def _unknown(finding: Finding) -> ClaimText:
    """Describe a law that only its findings know."""
    return ClaimText(
        id=finding.claim,
        title=finding.claim,
        statement="",
        equation="",
        source="",
        kind=finding.kind,
        chapter="exact" if finding.kind == "exact" else "other",
        groups=(),
        rivals=(),
        meaning="",
    )
