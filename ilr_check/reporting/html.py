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
from ilr_check.reporting import asked, numbers, page, verdicts

MAX_CALIBRATION_ROWS = 60


def write_report(folder: RunFolder, target: Path | None = None, *, force: bool = False) -> Path:
    """Write the report of a run, by default to ``report.html`` in its folder; returns the path.

    A regular file appears in one step. Raises ``RunFolderError`` if the folder is damaged or the target
    cannot be written; a file that is no report of ours is only replaced with ``force``.
    """
    target = folder.report_path() if target is None else target
    text = render(folder)
    try:
        atomic.write(target, text.encode(), force=force)
    except UnwritableError as error:
        raise RunFolderError(
            f"cannot write the report to {target} ({error.reason}); "
            f"choose a writable file with --out{error.or_force}"
        ) from error
    return target


def render(folder: RunFolder) -> str:
    """Return the report as text; raises ``RunFolderError`` if the folder is damaged."""
    plotly = plotly_script()
    content = page.build(folder.manifest(), folder.records(), folder.figures(), draw=plotly is not None)
    css, script = asset("report.css"), asset("report.js")
    scripts = [script] if plotly is None else [plotly, script]
    template = environment().get_template("report.html.j2")
    return template.render(
        page=content,
        answers=asked.answers(content),
        answered_by=answered_by,
        css=Markup(css),
        js=Markup(script),
        plotly=None if plotly is None else Markup(plotly),
        policy=policy(scripts),
        calibration=_calibration(),
        anchor=anchor,
        symbols=verdicts.SYMBOLS,
        failed=verdict_order.FAILED,
        form_notes=verdicts.FORM_NOTES,
    )


def plotly_script() -> str | None:
    """Return Plotly's JavaScript, or ``None`` where plotly is not installed."""
    try:
        from plotly.offline import get_plotlyjs
    except ImportError:
        return None
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
    """Return templates with escaping, and the filters that write numbers as people read them."""
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
        pretty=_pretty,
        plain=_plain,
    )
    return environment


def asset(name: str) -> str:
    """Return a file of the templates' folder, with the line ends that a browser sees."""
    return _inline((resources.files("ilr_check.reporting") / "templates" / name).read_text("utf-8"))


def _inline(text: str) -> str:
    """Use the line ends of an HTML parser; otherwise the hash in the policy would not match."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _pretty(value: Any) -> Markup:
    """Return JSON as element content: a quotation mark needs no escape there, and a spec has many."""
    text = json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True, default=str)
    return Markup(escape_text(text, quote=False))


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


def _calibration() -> dict[str, Any] | None:
    """Return measured error rates of the decision rules, where the installed package includes them."""
    try:
        raw = (resources.files("ilr_check.stats") / "calibration.json").read_text("utf-8")
        stored = json.loads(raw)
    except (OSError, ModuleNotFoundError, ValueError):
        return None
    if isinstance(stored, list):
        stored = {"cells": stored}
    if not isinstance(stored, dict):
        return None
    tables = []
    for title, rows in stored.items():
        if isinstance(rows, list) and rows and all(isinstance(row, dict) for row in rows):
            columns = list(dict.fromkeys(key for row in rows for key in row))
            body = [[row.get(column, "") for column in columns] for row in rows[:MAX_CALIBRATION_ROWS]]
            tables.append({"title": title, "columns": columns, "rows": body})
    scalars = {key: value for key, value in stored.items() if not isinstance(value, list)}
    return {"scalars": scalars, "tables": tables}
