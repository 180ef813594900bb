"""Sort the laws into judged and not judged, and give the verdict of the run. Imports no torch."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Literal

from ilr_check.evidence.gate import Coverage, Finding, PassedLaw, decides
from ilr_check.evidence.records import VerdictWord
from ilr_check.evidence.verdict_order import worst
from ilr_check.gate.options import GateOptions

RunVerdict = VerdictWord | Literal["not run"]
EXIT_CODES: dict[RunVerdict, int] = {
    "violated": 1,
    "unexpected_pass": 1,
    "error": 2,
    "inconclusive": 3,
    "holds": 0,
    "expected_failure": 0,
}
"""For any other word nothing was judged, and the code is 2."""
NOTHING_TO_TRY = "the optimizer offers nothing that this law could try"


def coverage_of(planned: Sequence[str], finished: Collection[str], findings: Iterable[Finding]) -> Coverage:
    """Sort the planned laws into judged, not applicable and not judged.

    ``finished`` are the laws that came to their end, with findings or without.
    """
    by_law: dict[str, list[Finding]] = {name: [] for name in planned}
    for finding in findings:
        if finding.claim in by_law:
            by_law[finding.claim].append(finding)
    judged: list[str] = []
    not_applicable: list[PassedLaw] = []
    not_judged: list[PassedLaw] = []
    for name, found in by_law.items():
        spoken = [finding for finding in found if finding.verdict not in ("skipped", "error")]
        errors = [finding for finding in found if finding.verdict == "error"]
        if spoken:
            judged.append(name)
        elif errors:
            not_judged.append(PassedLaw(name, errors[0].diagnosis or errors[0].message))
        elif found:
            open_ones = [finding for finding in found if finding.open]
            kind = not_judged if open_ones else not_applicable
            kind.append(PassedLaw(name, (open_ones or found)[0].message))
        elif name in finished:
            not_applicable.append(PassedLaw(name, NOTHING_TO_TRY))
        else:
            not_judged.append(PassedLaw(name, "the process ended before this law was judged"))
    return Coverage(judged=tuple(judged), not_applicable=tuple(not_applicable), not_judged=tuple(not_judged))


def verdict_of(
    findings: Iterable[Finding], coverage: Coverage, contract: str, options: GateOptions
) -> RunVerdict:
    """Return the verdict of the run: the worst word, where milder violations than ``fail_on`` do not count.

    A law that applies and was not judged makes it inconclusive, unless the caller accepts that, or a baseline
    or a reference stands in for the missing contract.
    """
    words: set[VerdictWord] = set()
    for finding in findings:
        if finding.counts:
            mild = finding.verdict == "violated" and not decides(finding, options.fail_on)
            words.add("holds" if mild else finding.verdict)
    stands_in = not contract and bool(options.baseline or options.reference)
    if words - {"skipped"} and coverage.not_judged and not (options.accept_unjudged or stands_in):
        words.add("inconclusive")
    if "holds" in words:
        words.discard("expected_failure")  # it was declared, so the other verdicts decide
    return worst(words)


def exit_code_of(verdict: RunVerdict, options: GateOptions) -> int:
    """Return the exit code that a verdict gives."""
    if verdict == "inconclusive" and options.allow_inconclusive:
        return 0
    return EXIT_CODES.get(verdict, 2)
