"""Write the gate's verdicts as JUnit XML, one test case a finding, for GitLab, Jenkins and others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from xml.etree import ElementTree as Tree

from ilr_check.evidence import Finding, GateReport
from ilr_check.evidence.gate import decides
from ilr_check.reporting import gate_words, verdicts
from ilr_check.reporting.escaping import xml_text

OUTCOMES = {
    "violated": "failure",
    "unexpected_pass": "failure",
    "inconclusive": "failure",
    "error": "error",
    "skipped": "skipped",
    "expected_failure": "skipped",
}
"""The element for each verdict; ``holds`` has none."""


def render(report: GateReport) -> bytes:
    """Return the document, in UTF-8 with its declaration."""
    suites = Tree.Element("testsuites")
    counts = Counter(_outcome(finding, report) for finding in report.findings)
    suite = Tree.SubElement(
        suites,
        "testsuite",
        name=xml_text(f"ilr-check gate {report.target}"),
        tests=str(len(report.findings)),
        failures=str(counts["failure"]),
        errors=str(counts["error"]),
        skipped=str(counts["skipped"]),
        time=f"{report.seconds:.3f}",
    )
    _properties(
        suite,
        {
            "ilr.coverage": gate_words.coverage(report),
            "ilr.contract": report.contract,
            "ilr.profile": report.profile,
            "ilr.seed": report.seed,
        },
    )
    for finding in report.findings:
        _case(suite, report, finding)
    Tree.indent(suites)
    return bytes(Tree.tostring(suites, encoding="utf-8", xml_declaration=True)) + b"\n"


def _case(suite: Tree.Element, report: GateReport, finding: Finding) -> None:
    case = Tree.SubElement(
        suite,
        "testcase",
        classname=xml_text(report.target),
        name=xml_text(f"{finding.claim} [{verdicts.place(finding)}]"),
        time=f"{finding.seconds:.3f}",
    )
    if finding.location is not None:
        case.set("file", xml_text(finding.location.file))
        case.set("line", str(finding.location.line))
    facts = {"ilr.claim": finding.claim, "ilr.verdict": finding.verdict}
    if finding.verdict == "violated":
        facts |= {"ilr.severity": finding.severity}
    _properties(case, facts | {"ilr.measured": gate_words.figures(finding), "ilr.replay": finding.replay})
    outcome = _outcome(finding, report)
    if outcome:
        told = Tree.SubElement(case, outcome, message=xml_text(gate_words.why(finding)), type=finding.verdict)
        if outcome != "skipped":
            told.text = xml_text(
                "\n".join(filter(None, (finding.message, gate_words.figures(finding), finding.snippet)))
            )


def _properties(parent: Tree.Element, values: Mapping[str, object]) -> None:
    group = Tree.SubElement(parent, "properties")
    for name, value in values.items():
        Tree.SubElement(group, "property", name=name, value=xml_text(str(value)))


def _outcome(finding: Finding, report: GateReport) -> str:
    """Return the element of a verdict; a violation too mild to decide is a skipped case."""
    if finding.verdict == "violated" and not decides(finding, report.fail_on):
        return "skipped"
    return OUTCOMES.get(finding.verdict, "") if finding.counts else ""
