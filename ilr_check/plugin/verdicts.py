"""Show verdicts of a pytest session as text, as properties of a test, and as a report of the session."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from ilr_check import planning
from ilr_check.claims import catalogue
from ilr_check.evidence import Figure, Manifest, PlannedUnit, Record, RunFolder, verdict_order
from ilr_check.evidence.manifest import current_commit, current_hardware, current_versions
from ilr_check.evidence.run_folder import RunFolderError
from ilr_check.gate.laws import gate_laws
from ilr_check.planning import Settings
from ilr_check.plugin.settings import PluginSettings
from ilr_check.reporting import write_report


def failure_text(record: Record, statement: str) -> str:
    """Return claim, measured, expected, margin, spec and replay line of a verdict as text."""
    if "\n  replay: " in record.message:
        return record.message  # an exact law says all this itself
    measured, margin = record.measured, record.margin
    interval = "" if measured.low is None else f" [{measured.low:.4g}, {measured.high:.4g}]"
    bounds = "none" if margin.low is None else f"[{margin.low:.4g}, {margin.high:.4g}]"
    missed = ", ".join(rival.name for rival in record.rivals if not rival.excluded)
    lines = (
        f"{record.claim} is {record.verdict} ({record.form}, {record.group}): {statement}",
        f"measured: {record.quantity or 'nothing'} = {_short(measured.value)}{interval}",
        f"expected: {_short(record.expected)}, margin: {bounds}",
        f"why: {record.message}",
        f"rivals not excluded: {missed}" if missed else "",
        f"spec: {msgspec.json.encode(record.subject).decode()}",
        f"replay: {record.replay}",
    )
    return "\n  ".join(line for line in lines if line)


def properties(found: Sequence[Record], replay: str) -> Iterator[tuple[str, str]]:
    """Yield a test's verdicts for ``record_property`` and so for JUnit XML, the worst one first."""
    counting = [record for record in found if record.counts]
    yield "ilr.claim", found[0].claim
    yield "ilr.verdict", min((record.verdict for record in counting), key=verdict_order.rank)
    for record in counting:
        yield (
            "ilr.measured",
            f"{record.verdict}: {record.form}, {record.group}: {record.quantity} = "
            f"{_short(record.measured.value)}, expected {_short(record.expected)}",
        )
    yield "ilr.replay", replay


def keep(path: Path, found: tuple[Record, ...], figures: tuple[Figure, ...], settings: Settings) -> None:
    """Add verdicts to the run folder of this process, which is made when it is first needed."""
    folder = RunFolder(path) if path.exists() else RunFolder.create(path, _manifest(settings))
    for figure in figures:
        folder.save_figure(figure)
    folder.append(found)


def write_session_report(verdicts: Path, settings: PluginSettings) -> str:
    """Write the report of what all processes of a session kept; returns the line to tell the user."""
    assert settings.report is not None
    try:
        parts = [RunFolder.open(path) for path in sorted(verdicts.iterdir())]
        found = [record for part in parts for record in part.records()]
        if not found:
            return "no report: this session judged no claim"
        order = [*catalogue(), *gate_laws()]
        found.sort(key=lambda record: (order.index(record.claim), record.unit, record.id))
        whole = RunFolder.create(verdicts / "session", _manifest_of(found, parts[0].manifest()))
        for part in parts:
            for figure in part.figures().values():
                whole.save_figure(figure)
        whole.append(found)
        write_report(whole, settings.report)
    except RunFolderError as error:
        return f"no report: {error}"
    return f"report of {len(found)} verdicts: {settings.report}"


def _manifest(settings: Settings) -> Manifest:
    return Manifest(
        command=" ".join(["pytest", *sys.argv[1:]]),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        seed=settings.seed,
        profile=settings.profile,
        device=settings.device,
        settings=msgspec.to_builtins(settings),
        versions=current_versions(),
        hardware=current_hardware(),
        git=current_commit(),
    )


def _manifest_of(found: list[Record], manifest: Manifest) -> Manifest:
    """Return the manifest of the merged folder: the judged work and the error budget that it spent."""
    settings = msgspec.convert(manifest.settings, type=Settings)
    _, works, budget = planning.plan(settings)
    judged = {record.unit: record.claim for record in found}
    titles = {work.key: work.unit.title for work in works}
    for name in (name for work in works if work.key in judged for name in work.unit.decisions):
        budget.spend(name)
    texts = [claim.text for claim in catalogue().values()] + [law.text for law in gate_laws().values()]
    manifest.claims = tuple(text for text in texts if text.id in judged.values())
    manifest.units = tuple(
        PlannedUnit(key=unit, claim=claim, title=titles.get(unit, claim)) for unit, claim in judged.items()
    )
    manifest.budget = budget.as_dict()
    manifest.status = "complete"
    manifest.seconds = sum({record.unit: record.seconds for record in found}.values())
    return manifest


def _short(value: float | None) -> str:
    return "not finite or none" if value is None else f"{value:.4g}"
