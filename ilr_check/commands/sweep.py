"""``ilr-check sweep`` trains a net for many learning rates and weight decays, and draws the map."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ilr_check.commands.interrupts import Interrupts
from ilr_check.commands.typed import NamedPath, seed

if TYPE_CHECKING:
    from ilr_check.sweep.folder import SweepFolder
    from ilr_check.sweep.training import Trainer


@click.command(
    epilog="Example: ilr-check sweep --grid lr=0.02:20:40,weight_decay=1e-4:3e-2:40 --net 64-64 --data digits"
    " --out map"
)
@click.option(
    "--grid",
    "grid_text",
    metavar="lr=LOW:HIGH:COUNT,weight_decay=...",
    help="Learning rates and weight decays, in equal ratios from LOW to HIGH; at most 10000 pairs.",
)
@click.option(
    "--net", default="64-64", show_default=True, help="Widths of a BatchNorm MLP, or a spec as JSON."
)
@click.option("--data", default="digits", show_default=True, help="Kind of data, or a spec as JSON.")
@click.option("--steps", default=2000, show_default=True, help="Steps of each run.")
@click.option("--batch-size", default=32, show_default=True, help="Examples in each step.")
@click.option(
    "--seed", "typed_seed", type=int, default=0, show_default=True, help="Seed of all random numbers."
)
@click.option("--device", default="auto", show_default=True, help="Device to train on: auto, cpu or cuda.")
@click.option("--out", type=NamedPath(), help="New folder for the runs and the map.")
@click.option("--resume", type=NamedPath(), help="Continue the sweep in this folder, with its own settings.")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def sweep(
    grid_text: str | None,
    net: str,
    data: str,
    steps: int,
    batch_size: int,
    typed_seed: int,
    device: str,
    out: Path | None,
    resume: Path | None,
    debug: bool,
) -> None:
    """Train a net with many learning rates and weight decays, and draw what the theory predicts and what was
    measured.

    The folder has one line of JSON for each run, and a page with maps of the effective learning rate, the
    rotation of a step and the loss. A sweep judges nothing, so its exit code is 0 when it has ended.
    """
    if resume is not None and (out is not None or grid_text is not None):
        raise ValueError(f"--resume {resume} has its own grid and folder; leave out --grid and --out")
    if resume is None and (out is None or grid_text is None):
        raise ValueError("name the runs with --grid and a new folder with --out, or continue with --resume")
    from ilr_check.api import checked_device
    from ilr_check.sweep.folder import SweepFolder
    from ilr_check.sweep.spec import MOST_STEPS, SweepSpec, data_of, grid, net_of, whole
    from ilr_check.sweep.training import Trainer

    if resume is not None:
        folder = SweepFolder(resume)
        spec = folder.begun().spec
        checked_device(spec.device)
        trainer = Trainer(spec)
    else:
        assert grid_text is not None
        assert out is not None
        lr, decay = grid(grid_text)
        found = data_of(data)
        spec = SweepSpec(
            lr=lr,
            weight_decay=decay,
            net=net_of(net, found),
            data=found,
            batch_size=whole("--batch-size", batch_size, 1, 1 << 16),
            steps=whole("--steps", steps, 8, MOST_STEPS),
            seed=seed(typed_seed),
            device=checked_device(device),
        )
        trainer = Trainer(spec)
        folder = SweepFolder.create(out, spec, tuple(trainer.groups))
    try:
        _train(trainer, folder)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"interrupted; what was finished is kept. Continue with: ilr-check sweep --resume {folder.path}"
        ) from None


def _train(trainer: Trainer, folder: SweepFolder) -> None:
    from ilr_check.evidence.lock import locked
    from ilr_check.reporting import TerminalReporter
    from ilr_check.sweep.drawing import drawn

    interrupts = Interrupts()
    interrupts.watch()
    reporter = TerminalReporter()

    with locked(folder.path):
        done = folder.repair(trainer.chunks)
        total = len(trainer.spec.points())
        missing = [chunk for chunk in trainer.chunks if not done.issuperset(chunk)]
        click.echo(f"training {sum(map(len, missing))} of {total} runs in {folder.path}")
        reporter.unit_started("training", 1, 1)
        try:
            for number, chunk in enumerate(missing):

                def progress(fraction: float, before: int = number) -> None:
                    interrupts.demand()
                    reporter.progress((before + fraction) / len(missing))

                folder.append(trainer.train(chunk, progress))
        finally:
            reporter.close()
            written = folder.write_map(drawn(folder.begun(), folder.points()))
    found = folder.points()
    diverged = sum(point.diverged_at is not None for point in found)
    click.echo(f"{len(found)} runs trained, {diverged} of them diverged")
    click.echo(f"map: {written}")
