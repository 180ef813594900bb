"""``ilr-check fingerprint`` measures which laws an unknown optimizer obeys. It judges nothing."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ilr_check.commands.gate_options import options_from
from ilr_check.commands.typed import STANDARD_OUTPUT, NamedPath, demand_outputs, force_option


@click.command(epilog="Example: ilr-check fingerprint mypkg.optim:MyOptimizer --json fingerprint.json")
@click.argument("target", metavar="TARGET")
@click.option(
    "--arg",
    "args",
    metavar="NAME=VALUE",
    multiple=True,
    help="An argument of the constructor; may be repeated.",
)
@click.option(
    "--names",
    metavar="lr=NAME,...",
    default="",
    help="Argument names of the optimizer that differ from torch's, such as lr=alpha.",
)
@click.option(
    "--json",
    "json_file",
    metavar="FILE",
    type=NamedPath(),
    help="Write the result as JSON; - prints only the JSON.",
)
@force_option
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def fingerprint(
    target: str, args: tuple[str, ...], names: str, json_file: Path | None, force: bool, debug: bool
) -> None:
    """Measure what an optimizer does, without judging it.

    The command measures how a step scales with the learning rate and the gradient, how weight decay acts, how
    long gradients are remembered, and where the norm of the weights settles. TARGET is package.module:Name or
    path/to/file.py:Name. It runs in a process of its own.
    """
    import msgspec

    from ilr_check.evidence import atomic
    from ilr_check.gate.fingerprint import Fingerprint
    from ilr_check.gate.process.isolation import TargetRefusedError, judge_isolated
    from ilr_check.gate.process.request import GateRequest

    demand_outputs({"--json": (json_file, "fingerprint")}, force)
    request = GateRequest(
        target=target,
        only_fingerprint=True,
        options=options_from({"args": args, "names": names}),
    )
    outcome = judge_isolated(request)
    if not outcome.fingerprint:
        raise TargetRefusedError(f"{target}: {outcome.deaths[0].diagnosis}")
    data = json.dumps({"made_by": "ilr-check fingerprint", **outcome.fingerprint}, indent=2) + "\n"
    if json_file == STANDARD_OUTPUT:
        click.echo(data, nl=False)
        return
    for line in msgspec.convert(outcome.fingerprint, type=Fingerprint).lines():
        click.echo(line)
    if json_file is not None:
        atomic.write(json_file, data.encode(), force=force)
