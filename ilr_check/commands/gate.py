"""``ilr-check gate``: judge an optimizer; every output is one report, written in several forms."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ilr_check.commands.typed import (
    STANDARD_OUTPUT,
    NamedPath,
    demand_outputs,
    force_option,
    one_of,
    pairs,
    positive,
    renamed,
)
from ilr_check.commands.typed import seed as checked_seed

if TYPE_CHECKING:
    from ilr_check.evidence.gate import GateReport

PROFILES = ("quick", "standard")
DEVICES = ("auto", "cpu", "cuda")
"""``auto`` is the CPU: the laws are small float64 steps, for which a GPU is slower."""
FORMS = {"json": "gate.json", "junit": "junit.xml", "sarif": "gate.sarif", "summary": "summary.md"}
"""File names in the folder of --out."""
MARKS = {"json": "gate", "junit": "junit", "sarif": "sarif", "summary": "summary"}
"""What `evidence.marks` finds at the beginning of each form."""
SUMMARY_MARK = "<!-- made by ilr-check summary -->\n"
_file = NamedPath()


@click.command(
    epilog="Example: ilr-check gate mypkg.optim:MyAdamW --contract adamw --claims exact --baseline adamw.json"
)
@click.argument("target", metavar="TARGET")
@click.option(
    "--contract",
    metavar="NAME|auto",
    default="auto",
    envvar="ILR_CHECK_CONTRACT",
    show_default=True,
    help="The family.",
)
@click.option("--arg", "args", metavar="K=V", multiple=True, help="Constructor argument; may be repeated.")
@click.option("--declare", metavar="K=V", multiple=True, help="An intended variation of the contract.")
@click.option("--names", metavar="lr=NAME,...", default="", help="The target's own words for our names.")
@click.option("--impl", metavar="K=V", multiple=True, help="Implementation switch, such as foreach=True.")
@click.option("--tag", "tags", metavar="K=V", multiple=True, help="How it is driven, as needs_closure=True.")
@click.option("--setup", metavar="TARGET", default="", help="A function that prepares a built optimizer.")
@click.option("--reference", metavar="TARGET", default="", help="Compare its steps with another optimizer's.")
@click.option("--baseline", metavar="FILE", type=_file, help="First use saves; later a change is violated.")
@click.option("--update-baseline", is_flag=True, help="Accept the changes: write the baseline anew.")
@click.option("--expected-failures", metavar="FILE", type=_file, help='TOML: "law-id" = "reason".')
@click.option("--claims", default="all", show_default=True, help="Laws and tiers; exact is the fast tier.")
@click.option(
    "--profile", default="quick", envvar="ILR_CHECK_PROFILE", show_default=True, help="quick or standard"
)
@click.option(
    "--seed", type=int, default=0, envvar="ILR_CHECK_SEED", show_default=True, help="Decides random numbers."
)
@click.option(
    "--device", default="auto", envvar="ILR_CHECK_DEVICE", show_default=True, help="auto, cpu or cuda"
)
@click.option(
    "--dtype",
    metavar="NAME,...",
    default="all",
    show_default=True,
    help="Weights it is made for: float64, float32, bfloat16, float16.",
)
@click.option("--time-limit", metavar="SECONDS", type=float, help="For one law [60; 600 in standard].")
@click.option(
    "--memory-limit", metavar="MIB", type=float, default=4096.0, show_default=True, help="For the target."
)
@click.option(
    "--out", metavar="DIR", type=_file, help="Write gate.json, report.html and the other forms there."
)
@click.option("--json", "json_file", metavar="FILE", type=_file, help="One object; - is standard output.")
@click.option("--junit", metavar="FILE", type=_file, help="JUnit XML.")
@click.option("--sarif", metavar="FILE", type=_file, help="SARIF 2.1.0, for code scanning.")
@click.option("--summary", metavar="FILE", type=_file, help="Markdown, such as $GITHUB_STEP_SUMMARY.")
@force_option
@click.option("--allow-inconclusive", is_flag=True, help="Exit with 0 where something stayed open.")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def gate(
    target: str,
    contract: str,
    args: tuple[str, ...],
    declare: tuple[str, ...],
    names: str,
    impl: tuple[str, ...],
    tags: tuple[str, ...],
    setup: str,
    reference: str,
    baseline: Path | None,
    update_baseline: bool,
    expected_failures: Path | None,
    claims: str,
    profile: str,
    seed: int,
    device: str,
    dtype: str,
    time_limit: float | None,
    memory_limit: float,
    out: Path | None,
    json_file: Path | None,
    junit: Path | None,
    sarif: Path | None,
    summary: Path | None,
    force: bool,
    allow_inconclusive: bool,
    debug: bool,
) -> None:
    """Judge an optimizer by what its family promises.

    TARGET is package.module:Name or path/to/file.py:Name: a torch.optim.Optimizer class, or a factory called
    as factory(params, **hyper). It runs in a process of its own, with a time and a memory limit.
    """
    from ilr_check.gate.process.request import Begun, Event, GateRequest, Started
    from ilr_check.gate.report import Options, gate_report
    from ilr_check.reporting.gate_terminal import GateTerminal

    if update_baseline and baseline is None:
        raise ValueError("--update-baseline has no file to write; add --baseline FILE")
    files = {"json": json_file, "junit": junit, "sarif": sarif, "summary": summary}
    to_output = [name for name, path in files.items() if path == STANDARD_OUTPUT]
    if len(to_output) > 1:
        raise ValueError(f"--{' and --'.join(to_output)} cannot both write to standard output; name files")
    if out is not None:
        _make_folder(out)
    _demand_outputs(files, out, baseline, update_baseline, force)
    request = GateRequest(
        target=target,
        contract=contract,
        claims=claims,
        profile=one_of("profile", profile, PROFILES),
        seed=checked_seed(seed),
        device=one_of("device", device, DEVICES).replace("auto", "cpu"),
        dtype=dtype,
        args=pairs("--arg", args),
        declare=pairs("--declare", declare),
        impl=pairs("--impl", impl),
        tags=pairs("--tag", tags),
        setup=setup,
        names=renamed(names),
        reference=reference,
    )
    options = Options(
        baseline=baseline,
        update_baseline=update_baseline,
        expected_failures=expected_failures,
        time_limit=positive("time limit", time_limit),
        memory_limit_mib=positive("memory limit", memory_limit) or 0.0,
        allow_inconclusive=allow_inconclusive,
        force=force,
        command=shlex.join(["ilr-check", *sys.argv[1:]]),
    )
    terminal = None if to_output else GateTerminal()

    def listen(event: Event) -> None:
        if terminal is not None and isinstance(event, Started | Begun):
            terminal.working(f"{target}: {event.id if isinstance(event, Started) else event.contract}")

    try:
        report = gate_report(request, options, listen)
    finally:
        if terminal is not None:
            terminal.close()
    if terminal is not None:
        terminal.finished(report)
    _write(report, files, out, force)
    if terminal is not None:
        _annotate(report)
        if out is not None:
            click.echo(f"report: {out / 'report.html'}")
    raise click.exceptions.Exit(report.exit_code)


def _demand_outputs(
    files: dict[str, Path | None], out: Path | None, baseline: Path | None, update: bool, force: bool
) -> None:
    """Check before the work that every output can be written, and that none would replace another."""
    wanted = {
        f"--{form}": (path, MARKS[form]) for form, path in files.items() if not _is_appended(form, path)
    }
    if baseline is not None and (update or not baseline.exists()):
        wanted["--baseline"] = (baseline, "baseline")
    if out is not None:
        named = {(path, form) for form, path in files.items()}
        for form, name in FORMS.items():
            if (out / name, form) not in named:
                wanted[f"--out ({name})"] = (out / name, MARKS[form])
        wanted["--out (report.html)"] = (out / "report.html", "page")
    demand_outputs(wanted, force)


def _is_appended(form: str, path: Path | None) -> bool:
    """Whether other commands of a GitHub step may have written into the summary before."""
    return form == "summary" and str(path) == os.environ.get("GITHUB_STEP_SUMMARY")


def _write(report: GateReport, files: dict[str, Path | None], out: Path | None, force: bool) -> None:
    from ilr_check.evidence import atomic
    from ilr_check.evidence.gate import encode_report
    from ilr_check.reporting import junit, markdown, sarif
    from ilr_check.reporting.escaping import storable

    forms: dict[str, Callable[[], bytes]] = {
        "json": lambda: encode_report(report),
        "junit": lambda: junit.render(report),
        "sarif": lambda: sarif.render(report),
        "summary": lambda: f"{SUMMARY_MARK}{storable(markdown.render(report))}".encode(),
    }
    for name, path in files.items():
        if path is None:
            continue
        data = forms[name]()
        if path == STANDARD_OUTPUT:
            sys.stdout.buffer.write(data)
            sys.stdout.flush()
        elif _is_appended(name, path):
            # GitHub drops more than 1 MiB as a whole.
            room = markdown.MAX_BYTES - (path.stat().st_size if path.exists() else 0)
            with path.open("ab") as stream:
                stream.write(storable(markdown.render(report, limit=max(0, room))).encode())
        else:
            atomic.write(path, data, force=force)
    if out is not None:
        from ilr_check.reporting.gate_page import write_gate_report

        for form, name in FORMS.items():
            atomic.write(out / name, forms[form](), force=force)
        write_gate_report(report, out / "report.html", force=force)


def _annotate(report: GateReport) -> None:
    """Annotations for a GitHub job, which reads them from standard output."""
    if os.environ.get("GITHUB_ACTIONS") == "true":
        from ilr_check.reporting.markdown import workflow_annotations

        for line in workflow_annotations(report):
            click.echo(line)


def _make_folder(out: Path) -> None:
    from ilr_check.evidence.atomic import UnwritableError

    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UnwritableError(out, error.strerror or str(error), "name a folder with --out") from error
