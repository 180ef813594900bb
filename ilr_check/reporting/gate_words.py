"""What every report of the gate says in the same words: the answer, the laws, and one sentence a finding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ilr_check.evidence import ClaimText, Finding, GateReport, severity
from ilr_check.reporting import numbers, verdicts

NAMELESS = "no near-miss of the textbook explains all steps"
"""How a diagnosis ends that has figures and no cause."""


@dataclass(frozen=True)
class LawVerdict:
    """One law with its findings, the worst first."""

    text: ClaimText
    verdict: str
    findings: tuple[Finding, ...]

    @property
    def failed(self) -> bool:
        """Whether somebody has to act on it."""
        return self.verdict in severity.FAILED


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
            tuple(sorted(found, key=lambda f: (not f.counts, severity.rank(f.verdict)))),
        )
        for name, found in own.items()
    ]
    return tuple(sorted(judged, key=lambda law: severity.rank(law.verdict)))


def answer(report: GateReport) -> str:
    """Does the optimizer obey its contract? One short sentence."""
    return {
        "holds": "The optimizer obeys its contract.",
        "expected_failure": "The optimizer obeys its contract, except where you said it would not.",
        "violated": "The optimizer breaks its contract.",
        "unexpected_pass": "A failure that you declared did not happen.",
        "inconclusive": "Undecided: the data do not settle it.",
        "error": "The gate could not judge everything.",
    }.get(report.verdict, "Nothing was judged.")


def sentence(report: GateReport) -> str:
    """The counts, and which laws broke."""
    found = laws(report)
    ran = [law for law in found if law.verdict not in ("skipped", "not run")]
    bad = [law for law in found if law.failed]
    agreeing = sum(law.verdict in ("holds", "expected_failure") for law in ran)
    skipped = len(found) - len(ran)
    aside = f"; {skipped} {'law was' if skipped == 1 else 'laws were'} not judged" if skipped else ""
    if not bad:
        return f"{agreeing} of {len(ran)} laws that were judged hold{aside}."
    names = ", ".join(law.text.id for law in bad[:4]) + (f" and {len(bad) - 4} more" if len(bad) > 4 else "")
    cause = headline(report)
    first = f"{cause[0].upper()}{cause[1:]}. " if cause else ""
    return f"{first}{agreeing} of {len(ran)} laws that were judged hold{aside}. To act on: {names}."


def headline(report: GateReport) -> str:
    """Where several laws are violated, the one sentence to read first; empty where fewer than two are.

    The power law that decay-coupling fitted goes first, for it names lr and wd; then the sentence that most
    laws say, alone or after a few words of their own; among equals the first.
    """
    told = _told(report)
    cause = _cause(told)
    return f"probably one cause: {cause} ({len(told)} laws broke)" if cause else ""


def echoes(report: GateReport) -> tuple[LawVerdict, ...]:
    """Violated laws that add nothing to the headline: each repeats its cause, or names no cause at all.

    The first law that says it is not among them, and neither is one that says anything else as well.
    """
    told = _told(report)
    cause = _cause(told)
    if not cause:
        return ()
    speaker = next(name for name, said in told.items() if cause in said)
    return tuple(
        law
        for law in laws(report)
        if law.text.id in told
        and law.text.id != speaker
        and all(said.endswith((cause, NAMELESS)) for said in told[law.text.id])
    )


def _told(report: GateReport) -> dict[str, list[str]]:
    """What the violated laws say."""
    return {
        law.text.id: [f.diagnosis.strip() for f in law.findings if f.verdict == "violated" and f.diagnosis]
        for law in laws(report)
        if law.verdict == "violated"
    }


def _cause(told: Mapping[str, Sequence[str]]) -> str:
    sentences = [sentence for said in told.values() for sentence in said]
    if len(told) < 2 or not sentences:
        return ""
    support = {s: sum(any(other.endswith(s) for other in said) for said in told.values()) for s in sentences}
    fitted = [s for s in told.get("decay-coupling", ()) if s.startswith("weight decay per step is ")]
    return fitted[0] if fitted else max(support, key=lambda s: support[s])


def why(finding: Finding) -> str:
    """The one sentence on which to act: the diagnosis, or the first line of the message."""
    first = finding.message.strip().splitlines()
    return finding.diagnosis.strip() or (first[0] if first else verdicts.words(finding.verdict))


def figures(finding: Finding) -> str:
    """``degree of lr = 2, expected 1, margin [0.99, 1.01]``; the message, where nothing counts."""
    if not finding.quantity and finding.measured.value is None and finding.message:
        return finding.message.splitlines()[0]
    text = f"{finding.quantity or 'measured'} = {numbers.measured(finding.measured)}"
    if finding.expected is not None:
        text += f", expected {numbers.number(finding.expected)}"
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
