"""``ilr-check gate`` judges an optimizer and writes its report in several formats."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ilr_check.commands.gate_options import gate_options, options_from
from ilr_check.commands.typed import STANDARD_OUTPUT, NamedPath, demand_outputs, force_option

if TYPE_CHECKING:
    from ilr_check.evidence.gate import GateReport
    from ilr_check.gate.options import GateOptions

FORMS = {"json": "gate.json", "junit": "junit.xml", "sarif": "gate.sarif", "summary": "summary.md"}
"""The names of the files in the folder of --out."""
MARKS = {"json": "gate", "junit": "junit", "sarif": "sarif", "summary": "summary"}
"""The marks by which ``evidence.marks`` recognises each format."""
SUMMARY_MARK = "<!-- made by ilr-check summary -->\n"
_file = NamedPath()


@click.command(
    epilog="Example: ilr-check gate mypkg.optim:MyAdamW --contract adamw --laws exact --baseline adamw.json"
)
@click.argument("target", metavar="TARGET")
@gate_options
@click.option("--out", metavar="DIR", type=_file, help="Write the report to this folder in every format.")
@click.option(
    "--json",
    "json_file",
    metavar="FILE",
    type=_file,
    help="Write the report as JSON; - prints only the JSON.",
)
@click.option("--junit", metavar="FILE", type=_file, help="Write the report as JUnit XML, for CI.")
@click.option(
    "--sarif", metavar="FILE", type=_file, help="Write the report as SARIF 2.1.0, for code scanning."
)
@click.option(
    "--summary",
    metavar="FILE",
    type=_file,
    help="Write a summary in Markdown, for example to $GITHUB_STEP_SUMMARY.",
)
@force_option
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def gate(
    target: str,
    out: Path | None,
    json_file: Path | None,
    junit: Path | None,
    sarif: Path | None,
    summary: Path | None,
    force: bool,
    debug: bool,
    **given: Any,
) -> None:
    """Judge whether an optimizer does what its family (SGD, AdamW, ...) promises.

    TARGET is package.module:Name or path/to/file.py:Name. It names a torch.optim.Optimizer class, or a
    function that is called as factory(params, **hyper) and returns an optimizer. It runs in a process of its
    own, with a time limit and a memory limit.
    """
    from ilr_check.gate.process.request import Begun, Event, GateRequest, Started
    from ilr_check.gate.report import gate_report
    from ilr_check.reporting.gate_terminal import GateTerminal

    options = options_from(given)
    files = {"json": json_file, "junit": junit, "sarif": sarif, "summary": summary}
    to_output = [name for name, path in files.items() if path == STANDARD_OUTPUT]
    if len(to_output) > 1:
        raise ValueError(f"--{' and --'.join(to_output)} cannot both write to standard output; name files")
    if out is not None:
        _make_folder(out)
    _demand_outputs(files, out, options, force)
    request = GateRequest(target=target, options=options)
    terminal = None if to_output else GateTerminal()

    def listen(event: Event) -> None:
        if terminal is not None and isinstance(event, Started | Begun):
            terminal.working(f"{target}: {event.id if isinstance(event, Started) else event.contract}")

    try:
        command = shlex.join(["ilr-check", *sys.argv[1:]])
        report = gate_report(request, command=command, force=force, listener=listen)
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
    files: dict[str, Path | None], out: Path | None, options: GateOptions, force: bool
) -> None:
    """Check before the work that every output can be written, and that no output would replace another."""
    wanted = {
        f"--{form}": (path, MARKS[form]) for form, path in files.items() if not _is_appended(form, path)
    }
    baseline = options.baseline
    if baseline is not None and (options.update_baseline or not baseline.exists()):
        wanted["--baseline"] = (baseline, "baseline")
    if out is not None:
        named = {(path, form) for form, path in files.items()}
        for form, name in FORMS.items():
            if (out / name, form) not in named:
                wanted[f"--out ({name})"] = (out / name, MARKS[form])
        wanted["--out (report.html)"] = (out / "report.html", "page")
    demand_outputs(wanted, force)


def _is_appended(form: str, path: Path | None) -> bool:
    """Return whether the output is the summary of a GitHub step, to which other commands may have written."""
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
            # GitHub drops a summary of more than 1 MiB as a whole.
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
    """Print annotations for a GitHub job. GitHub reads them from standard output."""
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
