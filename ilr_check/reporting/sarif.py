"""Write the gate's findings as SARIF 2.1.0: one alert a violated law, on the line of ``step``.

Limits of GitHub code scanning (10 MB, 25 000 results) are out of reach: there is one result a law.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ilr_check.evidence import ClaimText, GateReport, Location
from ilr_check.reporting import gate_words
from ilr_check.reporting.escaping import markdown, one_line, storable
from ilr_check.reporting.gate_words import LawVerdict

LEVELS = {
    "violated": "error",
    "unexpected_pass": "warning",
    "inconclusive": "note",
    "expected_failure": "error",
}
"""The level of each verdict. An ``error`` of the gate is a notification about the tool, not the code."""
MILD = {"fragility": "warning", "departure": "note"}
"""The level of a violation that is no defect."""
ROOT = "%SRCROOT%"
MAX_TEXT = 20_000
"""The most characters of one message; a report holds longer ones."""


def render(report: GateReport, *, root: Path | None = None) -> bytes:
    """Return the document; paths below ``root`` (by default the working directory) are relative to it."""
    base = (root or Path.cwd()).resolve()
    found = gate_words.laws(report)
    rules = [_rule(law.text) for law in found]
    index = {rule["id"]: number for number, rule in enumerate(rules)}
    alarming = [law for law in found if law.verdict in LEVELS]
    document = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "ilr-check",
                        "semanticVersion": report.versions.get("ilr-check", "0.0.0"),
                        "rules": rules,
                    }
                },
                "invocations": [_invocation(report, found)],
                "automationDetails": {"id": f"ilr-check/gate/{quote(storable(report.target), safe='')}/"},
                "columnKind": "unicodeCodePoints",
                "properties": {"coverage": _clean(gate_words.coverage(report))},
                "results": [_result(law, report, index[law.text.id], base) for law in alarming],
            }
        ],
    }
    return json.dumps(document, indent=2).encode() + b"\n"


def _rule(text: ClaimText) -> dict[str, Any]:
    statement = _clean(text.statement or text.title)
    told = "\n\n".join(filter(None, (statement, _clean(text.equation), _clean(text.meaning))))
    return {
        "id": text.id,
        "name": "".join(part.capitalize() for part in text.id.split("-")),
        "shortDescription": {"text": _clean(text.title)},
        "fullDescription": {"text": statement},
        "help": {"text": told, "markdown": "\n\n".join(map(markdown, told.split("\n\n")))},
        "defaultConfiguration": {"level": "error"},
        "properties": {"tags": list(dict.fromkeys(("optimizer", text.kind, text.chapter)))},
    }


def _result(law: LawVerdict, report: GateReport, rule: int, base: Path) -> dict[str, Any]:
    bad = [finding for finding in law.findings if finding.verdict == law.verdict and finding.counts]
    lines = list(dict.fromkeys(_clean(gate_words.why(finding)) for finding in bad))
    lines += [_clean(f"{gate_words.figures(f)} ({f.group})") for f in bad]
    lines += [_clean(f"Reproduce: {bad[0].replay}")] if bad[0].replay else []
    place = next((finding.location for finding in bad if finding.location), report.location)
    where: dict[str, Any] = {
        "logicalLocations": [{"fullyQualifiedName": _clean(report.target), "kind": "type"}]
    }
    if place is not None:
        where["physicalLocation"] = _physical(place, base)
    result: dict[str, Any] = {
        "ruleId": law.text.id,
        "ruleIndex": rule,
        "level": MILD.get(law.severity, "error") if law.verdict == "violated" else LEVELS[law.verdict],
        "message": {"text": "\n".join(lines)[:MAX_TEXT]},
        "locations": [where],
        "partialFingerprints": {"ilrCheckLaw/v1": fingerprint(law.text.id, report.target)},
        "properties": {"verdict": law.verdict, "contract": report.contract},
    }
    if law.verdict == "expected_failure":
        result["suppressions"] = [{"kind": "external", "justification": lines[0]}]
    return result


def fingerprint(law: str, target: str) -> str:
    """Return an id of law and optimizer without the line, so that an alert survives an edit above it."""
    return hashlib.sha256(storable(f"{law}\n{target}").encode()).hexdigest()


def _physical(place: Location, base: Path) -> dict[str, Any]:
    absolute = Path(os.path.normpath(base / place.file))
    with contextlib.suppress(OSError, ValueError):  # a name with a NUL, or one that is no UTF-8
        absolute = absolute.resolve()
    if absolute.is_relative_to(base):
        artifact = {"uri": quote(storable(absolute.relative_to(base).as_posix())), "uriBaseId": ROOT}
    else:
        artifact = {"uri": "file://" + quote(storable(absolute.as_posix()))}
    # Only the first line: an alert belongs on one line of a diff.
    return {"artifactLocation": artifact, "region": {"startLine": max(1, place.line)}}


def _invocation(report: GateReport, found: tuple[LawVerdict, ...]) -> dict[str, Any]:
    errors = [finding for law in found for finding in law.findings if finding.verdict == "error"]
    return {
        "commandLine": _clean(report.command),
        "exitCode": report.exit_code,
        "executionSuccessful": not errors and report.exit_code != 2,
        "toolExecutionNotifications": [
            {
                "level": "error",
                "message": {"text": _clean(f"{finding.claim}: {gate_words.why(finding)}")[:MAX_TEXT]},
                "associatedRule": {"id": finding.claim},
            }
            for finding in errors
        ],
    }


def _clean(text: str) -> str:
    return storable("\n".join(one_line(line) for line in text.splitlines()))
