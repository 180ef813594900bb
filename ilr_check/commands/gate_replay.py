"""Judges a finding of the gate again and compares the verdicts.

A report may come from anywhere. So a replay takes from the recorded command only the options that say what is
judged, and never one that writes a file. It imports no code that the caller has not named.
"""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Collection
from pathlib import Path

import click
import msgspec

from ilr_check.commands.gate import gate
from ilr_check.evidence.gate import Finding, decode_report
from ilr_check.spelling import did_you_mean

COMMAND = ("ilr-check", "gate")
TAKEN = (
    *("--claims", "--laws", "--contract", "--profile", "--seed", "--device", "--dtype", "--fail-on"),
    *("--arg", "--declare", "--names", "--impl", "--tag", "--reference", "--setup"),
    *("--time-limit", "--memory-limit"),
)
"""The options that a replay takes from a report. Each has one value, and none names a file to write."""
FLAGS = ("--accept-unjudged", "--allow-inconclusive")
"""The options without a value that a replay takes from a report."""
IMPORTED = ("--reference", "--setup", "--contract")
"""The options whose value can name code. The target can do so too."""


class UntrustedError(ValueError):
    """A recorded command has an option, or names code, that a replay does not take from a file."""


def gate_finding(target: str) -> Finding | None:
    """Return the finding that ``target`` names as FILE.json#ID or contains as JSON, or else ``None``.

    Raises ``ValueError`` for a report that cannot be read or has no such finding.
    """
    if target.lstrip().startswith("{"):
        try:
            found = msgspec.json.decode(target, type=Finding)
        except msgspec.MsgspecError:
            return None
        return found if _words(found) else None
    name, _, wanted = target.partition("#")
    path = Path(name)
    if not wanted or not path.is_file():
        return None
    try:
        findings = {finding.id: finding for finding in decode_report(path.read_bytes()).findings}
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ValueError(
            f"{name} is not a report of the gate ({error}); write one with ilr-check gate TARGET --json FILE"
        ) from error
    if wanted not in findings:
        laws = dict.fromkeys(finding.claim for finding in findings.values())
        hint = did_you_mean(wanted, findings) or did_you_mean(wanted.partition(":")[0], laws)
        words = ", ".join(map(repr, list(findings)[:3]))
        raise ValueError(f"{name} has no finding {wanted!r}; {hint}it has {len(findings)}, such as {words}")
    if not _words(findings[wanted]):
        raise ValueError(
            f"{wanted} is about the whole judgement and has no command of its own; run ilr-check gate again"
        )
    return findings[wanted]


def demand_trust(finding: Finding, named: Collection[str]) -> None:
    """Raise ``UntrustedError`` unless the caller has named every target that the finding would import."""
    target, options = _recorded(finding)
    wanted = [target, *(value for option, value in options if option in IMPORTED and ":" in value)]
    unknown = [name for name in wanted if name not in named]
    if unknown:
        ways = " ".join(f"--target {shlex.quote(name)}" for name in wanted)
        raise UntrustedError(
            f"this replay would import and run {' and '.join(map(repr, unknown))}, which a report names; "
            f"add {ways} if you know that code, or --trust to import everything that the report names"
        )


def judge_again(finding: Finding) -> int:
    """Run the finding's command, print whether the verdict is the recorded one, and return the exit code."""
    target, options = _recorded(finding)
    words = [f"{option}={value}" for option, value in options]
    words += [word for word in _words(finding) if word in FLAGS]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "gate.json"
        code = gate.main([*words, f"--json={path}", "--", target], standalone_mode=False)
        now = {found.id: found.verdict for found in decode_report(path.read_bytes()).findings}
    if now.get(finding.id) == finding.verdict or _declared(finding, now.get(finding.id)):
        click.echo("the same verdict as recorded")
        return int(code)
    verdict = now.get(finding.id, "not judged")
    click.echo(f"NOT the verdict that was recorded: {finding.verdict}, now {verdict}")
    return max(int(code), 1)


def _recorded(finding: Finding) -> tuple[str, list[tuple[str, str]]]:
    """Return the target and the options of a recorded command.

    Raises ``UntrustedError`` for an option that a replay does not take.
    """
    target, *rest = [word for word in _words(finding) if word not in FLAGS]
    options = list(zip(rest[::2], rest[1::2], strict=False))
    refused = [option for option in rest[::2] if option not in TAKEN]
    if refused or len(rest) % 2 or target.startswith("-"):
        odd = " ".join(refused) or target
        raise UntrustedError(
            f"the recorded command has {odd}, which a replay never takes from a file; "
            f"run the command yourself if you know it: {finding.replay[:300]!r}"
        )
    return target, options


def _declared(finding: Finding, now: str | None) -> bool:
    """Return whether the verdicts differ only because the recorded failure was an expected one.

    The recorded command does not contain the list of expected failures.
    """
    return (finding.verdict, now) in {("expected_failure", "violated"), ("unexpected_pass", "holds")}


def _words(finding: Finding) -> list[str]:
    """Return the arguments of the finding's command, or no words if it is not a command of the gate."""
    try:
        words = shlex.split(finding.replay)
    except ValueError:
        return []
    return words[2:] if tuple(words[:2]) == COMMAND else []
