"""The HTML report is one self-contained file, rebuilt from a run folder alone."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from functools import cache
from html import escape as escape_text
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from ilr_check.evidence import RunFolder, atomic, verdict_order
from ilr_check.evidence.atomic import UnwritableError
from ilr_check.evidence.run_folder import RunFolderError
from ilr_check.questions import answered_by
from ilr_check.reporting import asked, changes, deviation, lanes, numbers, page, trust, verdicts


def write_report(
    folder: RunFolder,
    target: Path | None = None,
    *,
    against: RunFolder | None = None,
    interactive: bool = False,
    force: bool = False,
) -> Path:
    """Write the report of a run, by default to ``report.html`` in its folder; returns the path.

    A regular file appears in one step. ``against`` is an earlier run to compare with. Raises
    ``RunFolderError`` if a folder is damaged or the target cannot be written; a file that is no report of
    ours is only replaced with ``force``.
    """
    target = folder.report_path() if target is None else target
    text = render(folder, against=against, interactive=interactive)
    try:
        atomic.write(target, text.encode(), force=force)
    except UnwritableError as error:
        raise RunFolderError(
            f"cannot write the report to {target} ({error.reason}); "
            f"choose a writable file with --out{error.or_force}"
        ) from error
    return target


def render(folder: RunFolder, *, against: RunFolder | None = None, interactive: bool = False) -> str:
    """Return the report as text; raises ``RunFolderError`` if a folder is damaged.

    Raises ``ValueError`` where an interactive report is wanted and plotly is not installed.
    """
    records = folder.records()
    content = page.build(folder.manifest(), records, folder.figures())
    scripts = [plotly_script(), asset("interactive.js")] if interactive else []
    scripts.append(asset("report.js"))
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            page=content,
            answers=asked.answers(content),
            answered_by=answered_by,
            changes=None if against is None else changes.changes(against, folder),
            trust=trust.trust(records),
            interactive=interactive,
            scripts=list(map(Markup, scripts)),
            policy=policy(scripts),
            failed=verdict_order.FAILED,
        )
    )


def plotly_script() -> str:
    """Return Plotly's JavaScript; raises ``ValueError`` where plotly is not installed."""
    try:
        from plotly.offline import get_plotlyjs
    except ImportError as error:
        raise ValueError(
            "an interactive report needs plotly, which is not installed; "
            "pip install 'ilr-check[interactive]', or leave --interactive out"
        ) from error
    return _inline(get_plotlyjs())


def anchor(name: str) -> str:
    """Return a name as part of an HTML id: letters, digits, dashes, and a hash where they are not enough."""
    clean = re.sub(r"[^A-Za-z0-9_.-]+", "-", name)
    return clean if clean == name else f"{clean}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def policy(scripts: list[str]) -> str:
    """Return a content security policy that fetches nothing and runs our own scripts only.

    A hostile name that got through the escaping would still not run, since its hash is not listed.
    """
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in scripts
    )
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


@cache
def environment() -> jinja2.Environment:
    """Return templates with escaping, the words they share, and filters that write numbers for people."""
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(asset),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters.update(
        number=numbers.number,
        place=verdicts.place,
        measured=numbers.measured,
        margin=numbers.margin,
        rate=numbers.rate,
        duration=numbers.duration,
        expected=deviation.expected,
        agreement=deviation.agreement,
        code=_code,
        pretty=_pretty,
        plain=_plain,
    )
    environment.globals.update(
        anchor=anchor,
        css=Markup(asset("report.css")),
        symbols=verdicts.SYMBOLS,
        form_notes=verdicts.FORM_NOTES,
        lane_of=lanes.lane,
        axis=lanes.AXIS,
    )
    return environment


def asset(name: str) -> str:
    """Return a file of the templates' folder, with the line ends that a browser sees."""
    return _inline((resources.files("ilr_check.reporting") / "templates" / name).read_text("utf-8"))


def _inline(text: str) -> str:
    """Use the line ends of an HTML parser; otherwise the hash in the policy would not match."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _code(text: str) -> Markup:
    """Return element content in which a quotation mark stays itself; a command has many of them."""
    return Markup(escape_text(text, quote=False))


def _pretty(value: Any) -> Markup:
    return _code(json.dumps(value, indent=1, ensure_ascii=False, sort_keys=True, default=str))


def _plain(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return numbers.number(value)
    if isinstance(value, str | int):
        return str(value)
    return json.dumps(value, ensure_ascii=False, default=str)
