"""From all findings to the report: declared failures, baseline, coverage and verdict. Imports no torch."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from typing import Any

import msgspec

from ilr_check.evidence import ClaimText
from ilr_check.evidence.gate import Finding, GateReport, Location
from ilr_check.gate.baseline import compared_with_baseline
from ilr_check.gate.coverage import coverage_of, exit_code_of, verdict_of
from ilr_check.gate.expected_failures import ExpectedFailure, with_expected
from ilr_check.gate.option_words import flag_of
from ilr_check.gate.options import GateOptions
from ilr_check.gate.process.isolation import SURVIVES
from ilr_check.gate.process.noting import noted
from ilr_check.gate.process.request import GateRequest
from ilr_check.gate.recorded import Behaviour
from ilr_check.gate.reference.same_steps import BASELINE, REFERENCE, Traces

OWN_LAWS = (SURVIVES, REFERENCE, BASELINE)
"""These laws do not stand in ``laws/``."""
UNSPOKEN = (
    *("name", "baseline", "update_baseline", "expected_failures", "time_limit", "memory_limit"),
    *("fail_on", "accept_unjudged", "allow_inconclusive", "allow_changes"),
)
"""These options do not change a verdict, so the command that judges again leaves them out."""


class Judged(msgspec.Struct, kw_only=True):
    """All findings about a target before a conclusion."""

    contract: str = ""
    note: str = ""
    laws: tuple[ClaimText, ...] = ()
    """The planned laws."""
    finished: tuple[str, ...] = ()
    """Ids of laws that were judged to the end."""
    findings: list[Finding] = []
    traces: Traces = {}
    """Scenario to the weights after each step; empty where they were not recorded."""
    behaviour: Behaviour = {}
    fingerprint: dict[str, Any] = {}
    location: Location | None = None
    survived: bool = True
    notices: list[str] = []


def conclude(
    request: GateRequest,
    judged: Judged,
    expected: Mapping[str, ExpectedFailure],
    *,
    seconds: float = 0.0,
    command: str = "",
    force: bool = False,
    replay: Callable[[GateRequest, Finding], str] = lambda request, finding: "",
) -> GateReport:
    """Return the report. Raises ``ValueError`` where the baseline cannot be compared.

    ``replay`` gives the command that judges a finding again; ``force`` lets the baseline replace a file that
    is none.
    """
    options = request.options
    planned = [text.id for text in judged.laws]
    findings, notices = list(judged.findings), list(judged.notices)
    findings += _unfinished(request, judged, planned)
    if options.baseline is not None:
        changed, told = compared_with_baseline(
            request,
            judged.contract,
            findings,
            judged.traces,
            versions(),
            judged.location,
            behaviour=judged.behaviour,
            survived=judged.survived,
            force=force,
        )
        findings += changed
        notices += told
    settled = tuple(
        msgspec.structs.replace(finding, replay=finding.replay or replay(request, finding))
        for finding in with_expected(findings, expected)
    )
    spoken = {finding.claim for finding in settled}
    coverage = coverage_of(planned, judged.finished, settled)
    verdict = verdict_of(settled, coverage, judged.contract, options)
    return GateReport(
        target=request.target,
        contract=judged.contract,
        contract_note=judged.note,
        verdict=verdict,
        exit_code=exit_code_of(verdict, options),
        findings=settled,
        coverage=coverage,
        fail_on=options.fail_on,
        fingerprint=judged.fingerprint,
        laws=(*judged.laws, *(text for text in OWN_LAWS if text.id in spoken)),
        notices=tuple(notices),
        location=judged.location,
        profile=options.profile,
        seed=options.seed,
        device=options.device,
        seconds=seconds,
        command=command,
        versions=versions(),
    )


def _unfinished(request: GateRequest, judged: Judged, planned: Sequence[str]) -> list[Finding]:
    """Return an error for each planned law that reported nothing, although the process ended well."""
    heard = {*judged.finished, *(finding.claim for finding in judged.findings)}
    told = "the process said that it was done, and nothing was heard of this law"
    return [noted(request, name, "", "error", diagnosis=told) for name in planned if name not in heard]


def command_of(request: GateRequest, law: str = "") -> str:
    """Return the command that meets a request again, or one law of it."""
    words = ["ilr-check", "gate", request.target]
    given = msgspec.structs.asdict(request.options)
    usual = msgspec.structs.asdict(GateOptions())
    if law:
        given["laws"] = law
    for name, value in given.items():
        if value == usual[name] or name in UNSPOKEN:
            continue
        flag = f"--{flag_of(name)}"
        if name == "names":
            words += [flag, ",".join(f"{ours}={theirs}" for ours, theirs in value.items())]
        elif isinstance(value, Mapping):
            words += [word for key, one in value.items() for word in (flag, f"{key}={_typed(one)}")]
        elif value is True:
            words.append(flag)
        else:
            words += [flag, str(value)]
    return shlex.join(words)


def replay_line(request: GateRequest, finding: Finding) -> str:
    """Return the command that judges the law of a finding again."""
    own = finding.claim in {text.id for text in OWN_LAWS}
    return command_of(request, "" if own else finding.claim)


def versions() -> dict[str, str]:
    """Return the versions on which a judgement depends."""
    found = {"ilr-check": metadata.version("ilr-check")}
    for name in ("torch", "numpy"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _typed(value: Any) -> str:
    """Return a value as it is typed after ``name=``; a word is quoted only if it reads as another value."""
    from ast import literal_eval

    if isinstance(value, str):
        try:
            literal_eval(value)
        except (ValueError, SyntaxError):
            return value
    return repr(value)
