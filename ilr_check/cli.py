"""The command line. Every command calls the Python interface and a reporter."""

from __future__ import annotations

import errno
import os
import sys
import tempfile
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from ilr_check.commands.bench import bench
from ilr_check.commands.claims import claims
from ilr_check.commands.compare import compare
from ilr_check.commands.data_options import data_options, resuming
from ilr_check.commands.fingerprint import fingerprint
from ilr_check.commands.gate import gate
from ilr_check.commands.interrupts import Interrupts, leave
from ilr_check.commands.sweep import sweep
from ilr_check.commands.symmetry import symmetry
from ilr_check.commands.typed import NamedPath, force_option
from ilr_check.data.named_paths import CIFAR10, MNIST, TEXT, naming_all
from ilr_check.evidence.exit_codes import COULD_NOT_RUN, INTERRUPTED, VIOLATED, exit_code

if TYPE_CHECKING:
    from ilr_check.engine import CostPredicted, Listener
    from ilr_check.reporting import TerminalReporter


GATE_KEYS = ("contract", "seed", "device")
"""Keys of [tool.ilr_check] that have the same meaning for `gate` as for `verify` and pytest."""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="ilr-check")
def app() -> None:
    """Verify the theory of the intrinsic learning rate, and guard optimizers with its laws."""


app.add_command(bench)
app.add_command(claims)


def _env(name: str) -> str:
    return f"ILR_CHECK_{name.upper()}"


_debug = click.option("--debug", is_flag=True, help="Show the traceback of an error.")
_folder = NamedPath()


@app.command(
    epilog="Example: ilr-check verify --claims core --seed 1, or ilr-check verify --resume reports/runs/NAME"
)
@click.option(
    "--profile",
    default="quick",
    envvar=_env("profile"),
    show_default=True,
    help="Amount of work: quick, standard, paper (full size, for a GPU) or nightly.",
)
@click.option(
    "--claims",
    default="core",
    envvar=_env("claims"),
    show_default=True,
    help="Claim ids and groups, separated by commas; `ilr-check claims` lists them.",
)
@click.option(
    "--seed", type=int, default=0, envvar=_env("seed"), show_default=True, help="Seed of all random numbers."
)
@click.option(
    "--device", default="auto", envvar=_env("device"), show_default=True, help="Device: auto, cpu or cuda."
)
@click.option(
    "--out", type=_folder, envvar=_env("out"), help="New run folder [reports/runs/<time>-<profile>-<seed>]."
)
@click.option("--resume", type=_folder, help="Continue the run in this folder, with its own settings.")
@data_options
@click.option("--world", help="Judge a changed training: package.module:Name or FILE.py:Name.")
@click.option("--jobs", type=int, envvar=_env("jobs"), help="Number of processes [chosen from the work].")
@click.option(
    "--executor",
    metavar="NAME[:OPTIONS]",
    envvar=_env("executor"),
    help="Who judges the claims: processes, ray, dask, submitit or a TARGET with submit() [processes].",
)
@click.option("--allow-inconclusive", is_flag=True, help="Exit with 0 even if a claim is inconclusive.")
@click.option("--dry-run", is_flag=True, help="Only predict the cost of the full-size work; judge nothing.")
@_debug
def verify(
    profile: str,
    claims: str,
    seed: int,
    device: str,
    out: Path | None,
    resume: Path | None,
    cifar10: Path | None,
    mnist: Path | None,
    text: Path | None,
    world: str | None,
    jobs: int | None,
    executor: str | None,
    allow_inconclusive: bool,
    dry_run: bool,
    debug: bool,
) -> None:
    """Judge claims of the paper on generated nets and on real data, and write a report.

    The exit code is 0 if every claim holds, 1 if one is violated, 2 if the run could not be completed, and 3
    if a claim is inconclusive.
    """
    from ilr_check.reporting import TerminalReporter

    if resume is not None and out is not None:
        raise ValueError(f"--resume {resume} and --out {out} cannot be combined; leave out one of them")
    reporter = TerminalReporter()
    reporter.working("loading PyTorch and the claims")
    from ilr_check.api import predict
    from ilr_check.api import verify as run_verify

    if dry_run:
        reporter.close()
        _tell_cost(
            predict(
                profile=profile,
                claims=claims,
                seed=seed,
                device=device,
                resume=resume,
                cifar10=cifar10,
                mnist=mnist,
                text=text,
                executor=executor,
            )
        )
        return
    interrupts = Interrupts()
    interrupts.watch()
    folders: list[Path] = []
    if world is not None:
        click.echo(f"world {world}: the trainings depart from plain training, as this world states")
    try:
        run = run_verify(
            profile=profile,
            claims=claims,
            seed=seed,
            device=device,
            out=out,
            resume=resume,
            cifar10=cifar10,
            mnist=mnist,
            text=text,
            world=world,
            executor=executor,
            jobs=jobs,
            listener=_listener(reporter, interrupts, folders),
        )
    except KeyboardInterrupt:
        reporter.close()
        named = {CIFAR10: cifar10, MNIST: mnist, TEXT: text}
        raise KeyboardInterrupt(resuming(folders, world, named, executor)) from None
    finally:
        reporter.close()
    code = exit_code(run.records, allow_inconclusive=allow_inconclusive)
    reporter.finished(run.records, code, run.report)
    raise click.exceptions.Exit(code)


@app.command(epilog="Example: ilr-check report reports/runs/NAME --out report.html")
@click.argument("run", type=_folder)
@click.option("--out", type=_folder, help="Write the report to this file [RUN/report.html].")
@click.option("--against", metavar="RUN", type=_folder, help="Also show what changed since this earlier run.")
@click.option("--interactive", is_flag=True, help="Draw figures that can be zoomed; needs plotly, adds 5 MB.")
@force_option
@_debug
def report(
    run: Path, out: Path | None, against: Path | None, interactive: bool, force: bool, debug: bool
) -> None:
    """Write the HTML report of a run folder again, from its files alone."""
    from ilr_check.evidence import RunFolder
    from ilr_check.reporting import write_report

    earlier = None if against is None else RunFolder.open(against)
    click.echo(write_report(RunFolder.open(run), out, against=earlier, interactive=interactive, force=force))


@app.command(epilog="Example: ilr-check replay 'reports/runs/NAME#norm-recursion.1a2b3c4d.0'")
@click.argument("target", metavar="RUN#ID")
@click.option("--device", help="Device to use instead of the recorded one: auto, cpu or cuda.")
@click.option("--world", help="The changed training that was judged: package.module:Name or FILE.py:Name.")
@click.option(
    "--target", "named", metavar="TARGET", multiple=True, help="Code that a gate report may import."
)
@click.option("--trust", is_flag=True, help="Import all code that the gate report names.")
@data_options
@_debug
def replay(
    target: str,
    device: str | None,
    world: str | None,
    named: tuple[str, ...],
    trust: bool,
    cifar10: Path | None,
    mnist: Path | None,
    text: Path | None,
    debug: bool,
) -> None:
    """Judge one recorded verdict again, with the same settings and seeds.

    Name the verdict as RUN#ID, or paste its record or its spec as JSON. Name a finding of the gate as
    gate.json#ID, or paste it as JSON. Its code is imported only if you name it with --target, or allow all
    code with --trust.
    """
    from ilr_check.api import checked_device
    from ilr_check.commands.gate_replay import demand_trust, gate_finding, judge_again

    recorded = gate_finding(target)
    if recorded is not None:
        if not trust:
            demand_trust(recorded, named)
        raise click.exceptions.Exit(judge_again(recorded))
    from ilr_check.replaying import replay as run_replay
    from ilr_check.reporting import TerminalReporter

    with naming_all({CIFAR10: cifar10, MNIST: mnist, TEXT: text}):
        replayed = run_replay(target, device=None if device is None else checked_device(device), world=world)
    found = replayed.as_records()
    code = exit_code(found)
    TerminalReporter().finished(found, code)
    if replayed.agrees is not None:
        click.echo("the same verdict as recorded" if replayed.agrees else "NOT the verdict that was recorded")
    raise click.exceptions.Exit(code if replayed.agrees is not False else max(code, VIOLATED))


@app.command(epilog="Example: ilr-check doctor")
@_debug
def doctor(debug: bool) -> None:
    """Show what this machine has: versions, device, threads, compiler and optional packages.

    For each missing part the list says what does not work without it.
    """
    from ilr_check.doctor import diagnose
    from ilr_check.reporting.columns import entry, terminal_width

    for row in diagnose():
        click.echo(entry(row, (28, 24), terminal_width()))


app.add_command(gate)
app.add_command(compare)
app.add_command(fingerprint)
app.add_command(sweep)
app.add_command(symmetry)


def _listener(reporter: TerminalReporter, interrupts: Interrupts, folders: list[Path]) -> Listener:
    from ilr_check import engine

    def listen(event: engine.Event) -> None:
        if isinstance(event, engine.CostPredicted):
            _tell_cost(event)
        elif isinstance(event, engine.RunStarted):
            folders.append(event.folder.path)
            reporter.close()
            what = f"continuing after {event.done} of" if event.done else "judging"
            reporter.console.print(f"{what} {event.total} units in {event.folder.path}", highlight=False)
        elif isinstance(event, engine.UnitStarted):
            reporter.unit_started(event.title, event.number, event.total)
        elif isinstance(event, engine.UnitProgress):
            reporter.progress(event.fraction)
        else:
            reporter.unit_finished(event.title, list(event.records), event.seconds)
        interrupts.demand()

    return listen


def _tell_cost(predicted: CostPredicted) -> None:
    from ilr_check.claims.pricing import duration

    for price in predicted.prices:
        click.echo(f"predicted: {price.words()}")
    if predicted.prices:
        total = sum(price.hours for price in predicted.prices)
        most = sum(price.most_hours for price in predicted.prices)
        click.echo(
            f"predicted: {duration(total)} to {duration(most)} for {len(predicted.prices)} units in full "
            f"size; {predicted.others} others are small. An interrupted unit starts from its beginning."
        )
    else:
        click.echo(f"predicted: no unit has the full size; {predicted.others} are small")


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run a command and exit with its code. An error is printed as one line; ``--debug`` shows its
    traceback."""
    words = sys.argv[1:] if arguments is None else arguments
    code = _run(words)
    try:
        sys.stdout.flush()
    except OSError as error:
        # If the process ended as usual, Python would report this a second time, with a traceback.
        print(f"ilr-check: {_sentence(error)}", file=sys.stderr, flush=True)
        os._exit(code or COULD_NOT_RUN)
    if code == INTERRUPTED:
        leave(code)
    sys.exit(code)


def _run(words: list[str]) -> int:
    from ilr_check import settings

    try:
        settings.check_environment()
        # By default Hypothesis stores its examples in a folder `.hypothesis` in the working folder.
        os.environ.setdefault(
            "HYPOTHESIS_STORAGE_DIRECTORY", str(Path(tempfile.gettempdir()) / "ilr-check-hypothesis")
        )
        table: dict[str, Any] = settings.from_toml()
        if "threads" in table:
            os.environ.setdefault("ILR_CHECK_THREADS", str(table.pop("threads")))
        defaults = {"verify": table, "gate": {k: v for k, v in table.items() if k in GATE_KEYS}}
        result = app(words, prog_name="ilr-check", standalone_mode=False, default_map=defaults)
        return result if isinstance(result, int) else 0
    except (KeyboardInterrupt, click.exceptions.Abort) as error:
        # Click raises Abort from the interrupt. The text of the interrupt says how to continue.
        told = error if isinstance(error, KeyboardInterrupt) else error.__cause__
        print(str(told or "") or "interrupted", file=sys.stderr)
        return INTERRUPTED
    except click.exceptions.NoArgsIsHelpError as error:
        print(error.format_message(), file=sys.stderr)
        return COULD_NOT_RUN
    except click.ClickException as error:
        print(f"ilr-check: {error.format_message()} See ilr-check --help", file=sys.stderr)
        return COULD_NOT_RUN
    except BrokenPipeError:
        # The program that reads the output has ended, such as a pager or head. The run itself has no error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if "--debug" in words:
            traceback.print_exc()
        print(f"ilr-check: {_sentence(error)}", file=sys.stderr)
        return COULD_NOT_RUN


def _sentence(error: Exception) -> str:
    """Return one line for an error. For an error of the operating system it adds what to do."""
    if isinstance(error, OSError) and error.strerror is not None:
        place = f"{error.filename!r}" if error.filename else "the output"
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        fix = "free some space" if full else "check the path and its permissions"
        return f"cannot use {place} ({error.strerror}); {fix}, then run the command again"
    return " ".join(str(error).split()) or type(error).__name__


if __name__ == "__main__":
    main()
