"""What every report of the gate says in the same words: the answer, the laws, and one sentence a finding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ilr_check.evidence import ClaimText, Finding, GateReport, Severity, verdict_order
from ilr_check.evidence.gate import SEVERITIES
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
        """How grave the gravest of its violations is; ``defect`` where there is none."""
        broken = (f.severity for f in self.findings if f.verdict == "violated")
        return min(broken, key=SEVERITIES.index, default="defect")

    @property
    def word(self) -> str:
        """The verdict as prose, with the severity of a violation that is no defect."""
        mild = self.verdict == "violated" and self.severity != "defect"
        return verdicts.words(self.verdict) + (f" ({self.severity})" if mild else "")

    @property
    def failed(self) -> bool:
        """Whether somebody has to act on it."""
        return self.verdict in verdict_order.FAILED


def laws(report: GateReport) -> tuple[LawVerdict, ...]:
    """Every law of the report, the worst first and otherwise in the order in which they were planned."""
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
    """Does the optimizer obey its contract? One short sentence."""
    if report.verdict == "holds":
        if report.coverage.not_judged or not report.contract:
            return "Every law that was judged holds."
        if any(finding.verdict == "violated" for finding in report.findings):
            return f"The optimizer obeys its contract, apart from {_mild(report)}."
        return "The optimizer obeys its contract."
    if report.verdict == "inconclusive" and report.coverage.not_judged:
        return "Undecided: laws that apply to this optimizer were not judged."
    return {
        "expected_failure": "The optimizer obeys its contract, except where you said it would not.",
        "violated": "The optimizer breaks its contract.",
        "unexpected_pass": "A failure that you declared did not happen.",
        "inconclusive": "Undecided: the data do not settle it.",
        "error": "The gate could not judge everything.",
    }.get(report.verdict, "Nothing was judged.")


def _mild(report: GateReport) -> str:
    """The violations that do not decide, counted: ``2 fragilities and 1 departure``."""
    plural = {"defect": "defects", "fragility": "fragilities", "departure": "departures"}
    broken = {(f.claim, f.severity) for f in report.findings if f.verdict == "violated"}
    counts = {kind: sum(mild == kind for _, mild in broken) for kind in SEVERITIES}
    return " and ".join(f"{n} {kind if n == 1 else plural[kind]}" for kind, n in counts.items() if n)


def coverage(report: GateReport) -> str:
    """The first line of every output: how many of the laws that apply were judged, and which were not."""
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
    """The coverage, what the violations have in common, and which laws broke."""
    bad = [law for law in laws(report) if law.failed]
    parts = [coverage(report)]
    if cause := headline(report):
        parts.append(cause)
    if bad:
        names = ", ".join(law.text.id for law in bad[:4])
        parts.append(f"to act on: {names}" + (f" and {len(bad) - 4} more" if len(bad) > 4 else ""))
    return " ".join(f"{part[0].upper()}{part[1:]}." for part in parts)


def headline(report: GateReport) -> str:
    """Where several laws are violated, the causes that they tell; empty where fewer than two are."""
    return gate_causes.headline(gate_causes.causes(report.findings))


def echoes(report: GateReport) -> tuple[LawVerdict, ...]:
    """Violated laws that add nothing: each of their findings repeats a cause that another law tells first.

    A measured deviation without a cause adds nothing where there is a cause.
    """
    found = gate_causes.causes(report.findings)
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
    """The one sentence on which to act: the diagnosis, or the first line of the message."""
    first = finding.message.strip().splitlines()
    return finding.diagnosis.strip() or (first[0] if first else verdicts.words(finding.verdict))


def figures(finding: Finding) -> str:
    """``degree of lr = 2, expected 1, margin [0.99, 1.01]``; the message, where nothing counts."""
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
    """The laws that somebody has to act on, the worst first."""
    return [law for law in laws(report) if law.failed]


def _unknown(finding: Finding) -> ClaimText:
    """What can be said of a law that only its findings know."""
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
