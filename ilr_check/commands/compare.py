"""``ilr-check compare A B``: two optimizers side by side, or what changed between two runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from ilr_check.commands.typed import STANDARD_OUTPUT, NamedPath, demand_outputs, force_option

if TYPE_CHECKING:
    from ilr_check.evidence import Finding
    from ilr_check.gate.process.isolation import Outcome

LABEL = 22
"""The number of characters before the value in a line of a fingerprint."""


@click.command(
    epilog="Example: ilr-check compare torch.optim:AdamW mypkg.optim:MyAdamW, or ilr-check compare OLD NEW"
)
@click.argument("one", metavar="A")
@click.argument("other", metavar="B")
@click.option(
    "--json",
    "json_file",
    metavar="FILE",
    type=NamedPath(),
    help="Write the result as JSON; - prints only the JSON.",
)
@force_option
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def compare(one: str, other: str, json_file: Path | None, force: bool, debug: bool) -> None:
    """Compare two optimizers or two runs.

    An optimizer is package.module:Name or path/to/file.py:Name. The command describes the first difference in
    a sentence and prints the measured properties side by side. Each optimizer runs in a process of its own.
    The exit code is 0 if both make the same steps, and 1 if they differ.

    A run is a run folder; name the earlier one first. A statement has changed if its verdict changed, or if
    its number moved by more than chance explains and by more than a quarter of its margin. The exit code is 1
    if a verdict became worse.
    """
    if Path(one).is_dir() and Path(other).is_dir():
        _runs(Path(one), Path(other), json_file, force)
    from ilr_check.gate.process.request import GateRequest
    from ilr_check.gate.reference.same_behaviour import behaviour_changes
    from ilr_check.gate.reference.same_steps import REFERENCE, apart

    for target in (one, other):
        if ":" not in target:
            raise ValueError(
                f"{target!r} is neither an optimizer nor a run; "
                "write package.module:Name or path/to/file.py:Name, or name two run folders"
            )
    demand_outputs({"--json": (json_file, None)}, force)
    ours, theirs = _measured(one), _measured(other)
    request = GateRequest(target=one)
    steps = apart(request, REFERENCE.id, ours.traces, theirs.traces, than=other, location=None)
    settings = behaviour_changes(request, REFERENCE.id, ours.behaviour, theirs.behaviour, than=other)
    told = first_difference(steps, one, other, ours.fingerprint, theirs.fingerprint, settings)
    same = not any(finding.verdict == "violated" for finding in (*steps, *settings))
    if json_file is not None:
        scenarios = {f.group: {"verdict": f.verdict, "difference": f.measured.value} for f in steps}
        found: dict[str, Any] = {
            "targets": [one, other],
            "same": same,
            "difference": told,
            "scenarios": scenarios,
            "settings": {f.group: {"verdict": f.verdict, "told": f.diagnosis or f.message} for f in settings},
            "fingerprints": [ours.fingerprint, theirs.fingerprint],
        }
        _write(found, json_file, force)
    if json_file != STANDARD_OUTPUT:
        click.echo(told)
        for line in side_by_side(_lines(ours.fingerprint), _lines(theirs.fingerprint)):
            click.echo(line)
    raise click.exceptions.Exit(0 if same else 1)


def _runs(before: Path, after: Path, json_file: Path | None, force: bool) -> NoReturn:
    """Compare two run folders, and end with the exit code."""
    from ilr_check.evidence import RunFolder
    from ilr_check.reporting import changes_terminal
    from ilr_check.reporting.changes import changes

    demand_outputs({"--json": (json_file, None)}, force)
    found = changes(RunFolder.open(before), RunFolder.open(after))
    if json_file is not None:
        _write(changes_terminal.as_json(found), json_file, force)
    if json_file != STANDARD_OUTPUT:
        for line in changes_terminal.lines(found):
            click.echo(line)
    raise click.exceptions.Exit(1 if found.worse else 0)


def _write(found: dict[str, Any], json_file: Path, force: bool) -> None:
    from ilr_check.evidence import atomic

    data = json.dumps(found, indent=2) + "\n"
    if json_file == STANDARD_OUTPUT:
        click.echo(data, nl=False)
    else:
        atomic.write(json_file, data.encode(), force=force)


def first_difference(
    steps: Sequence[Finding],
    one: str,
    other: str,
    ours: dict[str, Any],
    theirs: dict[str, Any],
    settings: Sequence[Finding] = (),
) -> str:
    """Return one sentence about the first scenario, or the first setting, in which two optimizers differ."""
    differing = [finding for finding in steps if finding.verdict == "violated"]
    judged = [finding for finding in steps if finding.verdict != "skipped"]
    changed = [finding for finding in settings if finding.verdict == "violated"]
    if not differing and changed:
        more = f" So do {len(changed) - 1} more settings." if len(changed) > 1 else ""
        told = changed[0].diagnosis
        return f"Plain steps are the same. {told[0].upper()}{told[1:]}.{more}"
    if not differing:
        both = sum(finding.verdict == "holds" for finding in settings)
        return f"{one} and {other} make the same steps in {len(judged)} scenarios and {both} settings."
    if all("weight decay" in finding.group for finding in differing):
        laws = [_decay(found) for found in (ours, theirs)]
        return (
            f"The steps are the same without weight decay. The decay differs: {laws[0]}, against {laws[1]}."
        )
    first = differing[0]
    if first.group != "gradients alone":
        return f"Plain steps are the same. {first.diagnosis[0].upper()}{first.diagnosis[1:]}."
    return f"The plain steps differ: {first.diagnosis}."


def side_by_side(one: Sequence[str], other: Sequence[str]) -> list[str]:
    """Return the lines of two fingerprints in two columns. A star marks the lines that differ."""
    rows = [(a[:LABEL], a[LABEL:].strip(), b[LABEL:].strip()) for a, b in zip(one, other, strict=True)]
    width = max(len(a) for _, a, _ in rows)
    return [f"{'*' if a != b else ' '} {label}{a:<{width}}  {b}".rstrip() for label, a, b in rows]


def _measured(target: str) -> Outcome:
    from ilr_check.gate.process.isolation import TargetRefusedError, judge_isolated
    from ilr_check.gate.process.request import GateRequest

    outcome = judge_isolated(GateRequest(target=target, only_fingerprint=True, record=True))
    if not outcome.fingerprint:
        raise TargetRefusedError(f"{target}: {outcome.deaths[0].diagnosis}")
    return outcome


def _lines(fingerprint: dict[str, Any]) -> list[str]:
    import msgspec

    from ilr_check.gate.fingerprint import Fingerprint

    return msgspec.convert(fingerprint, type=Fingerprint).lines()


def _decay(fingerprint: dict[str, Any]) -> str:
    return next(line[LABEL:] for line in _lines(fingerprint) if line.startswith("weight decay"))
