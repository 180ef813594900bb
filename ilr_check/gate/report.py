"""One judgement from its request to its report: isolated, compared, failures declared. Imports no torch."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

import msgspec

from ilr_check.evidence.exit_codes import exit_code
from ilr_check.evidence.gate import Finding, GateReport
from ilr_check.evidence.records import VerdictWord
from ilr_check.gate.baseline import baseline_of, changes_since, comparable, read_baseline, save_baseline
from ilr_check.gate.expected_failures import demand_known, read_expected, with_expected
from ilr_check.gate.process.isolation import MEMORY_LIMIT_MIB, SURVIVES, Outcome, judge_isolated
from ilr_check.gate.process.request import Begun, Event, GateRequest
from ilr_check.gate.reference.same_steps import BASELINE, REFERENCE

OWN_LAWS = (SURVIVES, REFERENCE, BASELINE)
"""Laws beside those in ``laws/``."""
WORST_FIRST: tuple[VerdictWord, ...] = (
    "violated",
    "unexpected_pass",
    "error",
    "inconclusive",
    "holds",
    "expected_failure",
)


@dataclass(frozen=True)
class Options:
    """What surrounds a request: files, limits, and how an open verdict counts."""

    baseline: Path | None = None
    update_baseline: bool = False
    expected_failures: Path | None = None
    time_limit: float | None = None
    memory_limit_mib: float = MEMORY_LIMIT_MIB
    allow_inconclusive: bool = False
    force: bool = False
    """Whether a baseline may replace a file that is none."""
    command: str = ""


def gate_report(
    request: GateRequest, options: Options, listener: Callable[[Event], None] = lambda event: None
) -> GateReport:
    """Judge a target as the command does; raises ``ValueError`` for what cannot be used."""
    began = time.perf_counter()
    expected = {} if options.expected_failures is None else read_expected(options.expected_failures)
    before = (
        None
        if options.baseline is None
        else (read_baseline(options.baseline, renewed=options.update_baseline))
    )

    def checked(event: Event) -> None:
        if isinstance(event, Begun):
            demand_known(expected, {*event.known, *(text.id for text in OWN_LAWS)})
        listener(event)

    outcome = judge_isolated(
        request, time_limit=options.time_limit, memory_limit_mib=options.memory_limit_mib, listener=checked
    )
    begun = outcome.begun
    contract = "" if begun is None else begun.contract
    location = None if begun is None else begun.location
    findings, notices = list(outcome.findings), list(_notices(outcome))
    if options.baseline is not None:
        now = baseline_of(request, contract, findings, outcome.traces, _versions())
        compared = before is not None and (not options.update_baseline or comparable(before, now))
        changed = changes_since(before, now, request, location) if before and compared else []
        if outcome.deaths:
            notices.append("the baseline was neither compared nor saved: the target did not survive")
        elif before is None or options.update_baseline:
            save_baseline(options.baseline, now, force=options.force)
            broken = sum(finding.verdict == "violated" for finding in changed)
            aside = f"{broken} changes accepted" if compared else "nothing to compare with yet"
            notices.append(f"the baseline was saved to {options.baseline} ({aside})")
        else:
            findings += changed
    judged = tuple(_with_replay(finding, request) for finding in with_expected(findings, expected))
    spoken = {finding.claim for finding in judged}
    return GateReport(
        target=request.target,
        contract=contract,
        contract_note="" if begun is None else begun.note,
        verdict=_worst(judged),
        exit_code=exit_code(judged, allow_inconclusive=options.allow_inconclusive),
        findings=judged,
        fingerprint=outcome.fingerprint,
        laws=(*(() if begun is None else begun.laws), *(text for text in OWN_LAWS if text.id in spoken)),
        notices=tuple(notices),
        location=location,
        profile=request.profile,
        seed=request.seed,
        device=request.device,
        seconds=time.perf_counter() - began,
        command=options.command,
        versions=_versions(),
    )


def _notices(outcome: Outcome) -> list[str]:
    lines = outcome.printed.splitlines()
    if not lines or outcome.deaths:
        return []
    return [
        f"the target's own output was kept apart: {len(lines)} lines, the last of them {lines[-1][:120]!r}"
    ]


def _worst(findings: tuple[Finding, ...]) -> VerdictWord | Literal["not run"]:
    words = {finding.verdict for finding in findings if finding.counts}
    return next((word for word in WORST_FIRST if word in words), "skipped" if words else "not run")


def _with_replay(finding: Finding, request: GateRequest) -> Finding:
    if finding.replay:
        return finding
    own = finding.claim in {text.id for text in OWN_LAWS}
    return msgspec.structs.replace(finding, replay=command_of(request, "" if own else finding.claim))


def command_of(request: GateRequest, law: str = "") -> str:
    """The command that meets a request again, or one law of it."""
    words = ["ilr-check", "gate", request.target]
    if law:
        words += ["--claims", law]
    for option in ("contract", "profile", "seed", "device", "dtype", "reference", "setup"):
        value = getattr(request, option)
        if value != getattr(GateRequest(target=""), option):
            words += [f"--{option}", str(value)]
    repeated = {"arg": request.args, "declare": request.declare, "impl": request.impl, "tag": request.tags}
    for option, typed in repeated.items():
        words += [word for text in typed for word in (f"--{option}", text)]
    if request.names:
        words += ["--names", ",".join(f"{ours}={theirs}" for ours, theirs in request.names.items())]
    return shlex.join(words)


def _versions() -> dict[str, str]:
    found = {"ilr-check": metadata.version("ilr-check")}
    for name in ("torch", "numpy"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
