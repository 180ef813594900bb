"""``ilr-check bench`` measures speed, shows the results and writes them to files."""

from __future__ import annotations

import os
from pathlib import Path

import click

from ilr_check.commands.typed import STANDARD_OUTPUT, NamedPath, demand_outputs, force_option
from ilr_check.evidence import atomic

ALL_PATHS = "loop,eager,compiled,blackbox,jax,limit,product"
ALL_WORKLOADS = "reference,cnn,deep,pre-residual"


@click.command(
    epilog="Example: ilr-check bench --workload reference --runs 64 --path loop,compiled --json speed.json"
)
@click.option(
    "--workload", default=ALL_WORKLOADS, show_default=True, help="Nets to train, separated by commas."
)
@click.option("--runs", default="64,1024", show_default=True, help="Numbers of runs, separated by commas.")
@click.option(
    "--path", "paths", default=ALL_PATHS, show_default=True, help="Ways to train, separated by commas."
)
@click.option("--steps", default=256, show_default=True, help="The largest number of steps of a sample.")
@click.option(
    "--seconds",
    default=0.5,
    show_default=True,
    help="A sample ends with the block of steps that reaches this time.",
)
@click.option("--rounds", default=3, show_default=True, help="Number of samples of each path, taken in turn.")
@click.option("--device", default="cpu", show_default=True, help="Device to train on: auto, cpu or cuda.")
@click.option(
    "--scaling",
    is_flag=True,
    help="Also measure how the cost grows with runs, width, depth, batch size and steps.",
)
@click.option(
    "--json",
    "json_file",
    type=NamedPath(),
    help="Write the numbers as JSON; - prints only the JSON.",
)
@click.option("--markdown", type=NamedPath(), help="Write the results as a Markdown page.")
@click.option("--figure", type=NamedPath(), help="Write a figure as PNG; needs plotly and a Chromium.")
@force_option
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def bench(
    workload: str,
    runs: str,
    paths: str,
    steps: int,
    seconds: float,
    rounds: int,
    device: str,
    scaling: bool,
    json_file: Path | None,
    markdown: Path | None,
    figure: Path | None,
    force: bool,
    debug: bool,
) -> None:
    """Compare the speed of the fleet (many runs as one tensor program) with other ways to train.

    The other ways are a loop over torch.optim, JAX, the matrix products alone, which are the limit, and the
    fastest large product of this machine.
    ILR_CHECK_THREADS sets the number of threads for all of them. A way that this machine cannot measure is
    left out, and the reason is printed.
    """
    from ilr_check.bench import tables
    from ilr_check.bench.figure import write_figure
    from ilr_check.bench.measure import Plan
    from ilr_check.bench.results import choose_paths
    from ilr_check.bench.running import run_bench
    from ilr_check.bench.workloads import choose
    from ilr_check.train.determinism import checked_device

    plan = Plan(
        workloads=choose(_words(workload, "no workload is named; leave --workload out for all")),
        paths=choose_paths(_words(paths, "no path is named; leave --path out for all")),
        runs=[_whole(word) for word in _words(runs, "no runs are named; give numbers, such as 1,64")],
        steps=steps,
        seconds=seconds,
        rounds=rounds,
        device=checked_device(device),
    )
    named = None if json_file == STANDARD_OUTPUT else json_file
    for path in (named, markdown, figure):
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
    demand_outputs(
        {"--json": (named, "bench"), "--markdown": (markdown, "speed"), "--figure": (figure, None)}, force
    )
    found = run_bench(plan, scaling=scaling)
    if named is not None:
        atomic.write(named, f"{found.json()}\n".encode(), force=force)
    if markdown is not None:
        link = None if figure is None else Path(os.path.relpath(figure, markdown.parent)).as_posix()
        page = f"<!-- made by ilr-check speed -->\n{tables.markdown(found, link)}"
        atomic.write(markdown, page.encode(), force=force)
    if figure is not None:
        write_figure(found, figure)
    click.echo(found.json() if json_file == STANDARD_OUTPUT else tables.markdown(found))
    if not found.rows:
        raise ValueError(f"nothing was measured: {'; '.join(a.reason for a in found.absent)}")


def _words(text: str, otherwise: str) -> list[str]:
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not words:
        raise ValueError(otherwise)
    return words


def _whole(word: str) -> int:
    if not word.isdigit():
        raise ValueError(f"runs={word!r}: must be whole numbers from 1, separated by commas, such as 1,64")
    return int(word)
