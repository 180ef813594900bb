"""A finding of the gate once more: its own command is run again, and the verdict is compared."""

from __future__ import annotations

import difflib
import shlex
import tempfile
from pathlib import Path

import click
import msgspec

from ilr_check.commands.gate import gate
from ilr_check.evidence.gate import Finding, decode_report

COMMAND = ("ilr-check", "gate")


def gate_finding(target: str) -> Finding | None:
    """The finding that a target names: FILE.json#ID of ``gate --json``, or a finding as JSON; else ``None``.

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
        raise ValueError(f"{name} is no report of the gate ({error}); make one with --json FILE") from error
    if wanted not in findings:
        close = difflib.get_close_matches(wanted, findings, n=3, cutoff=0.3) or list(findings)[:3]
        words = ", ".join(map(repr, close))
        raise ValueError(f"{name} has no finding {wanted!r}; it has {len(findings)}, such as {words}")
    if not _words(findings[wanted]):
        raise ValueError(f"{wanted} is about the whole judgement and has no command of its own")
    return findings[wanted]


def judge_again(finding: Finding) -> int:
    """Run the finding's command, say whether its verdict is the recorded one, and give the exit code."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "gate.json"
        code = gate.main([*_words(finding), "--json", str(path)], standalone_mode=False)
        now = {found.id: found.verdict for found in decode_report(path.read_bytes()).findings}
    if now.get(finding.id) == finding.verdict or _declared(finding, now.get(finding.id)):
        click.echo("the same verdict as recorded")
        return int(code)
    verdict = now.get(finding.id, "not judged")
    click.echo(f"NOT the verdict that was recorded: {finding.verdict}, now {verdict}")
    return max(int(code), 1)


def _declared(finding: Finding, now: str | None) -> bool:
    """Whether a recorded failure was a declared one, which the command alone does not know."""
    return (finding.verdict, now) in {("expected_failure", "violated"), ("unexpected_pass", "holds")}


def _words(finding: Finding) -> list[str]:
    """The arguments of the finding's command; none where it is no command of the gate."""
    try:
        words = shlex.split(finding.replay)
    except ValueError:
        return []
    return words[2:] if tuple(words[:2]) == COMMAND else []
