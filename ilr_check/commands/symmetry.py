"""``ilr-check symmetry`` shows how every optimizer of the installed torch reacts to scaled weights."""

from __future__ import annotations

from pathlib import Path

import click

from ilr_check.commands.typed import STANDARD_OUTPUT, NamedPath, demand_outputs, force_option
from ilr_check.evidence.exit_codes import VIOLATED


@click.command(epilog="Example: ilr-check symmetry AdamW 'SGD momentum' --json symmetry.json")
@click.argument("names", metavar="[OPTIMIZER]...", nargs=-1)
@click.option("--device", default="auto", show_default=True, help="Device to train on: auto, cpu or cuda.")
@click.option(
    "--json",
    "json_file",
    metavar="FILE",
    type=NamedPath(),
    help="Write the table as JSON; - prints only the JSON.",
)
@force_option
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def symmetry(names: tuple[str, ...], device: str, json_file: Path | None, force: bool, debug: bool) -> None:
    """Measure how torch's optimizers respond to scaled weights.

    If the weights of a scale-invariant net are multiplied by a, training stays the same if each argument of
    the optimizer is multiplied by its power of a. The table has these powers. Without OPTIMIZER it has every
    optimizer.
    """
    import torch

    from ilr_check.api import checked_device
    from ilr_check.evidence import atomic
    from ilr_check.symmetries import as_lines, measure, to_json

    demand_outputs({"--json": (json_file, "symmetry")}, force)
    rows = measure(names, checked_device(device))
    if json_file == STANDARD_OUTPUT:
        click.echo(to_json(rows))
    else:
        click.echo("\n".join([f"torch {torch.__version__}", "", *as_lines(rows)]))
        if json_file is not None:
            atomic.write(json_file, f"{to_json(rows)}\n".encode(), force=force)
    raise click.exceptions.Exit(0 if all(row.holds for row in rows) else VIOLATED)
