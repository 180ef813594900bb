"""A run folder made up for the reporters' tests: every verdict word, every series kind, hostile names, NaN.

The curves follow the theory, so that the report looks like that of a real run.
"""

from __future__ import annotations

from pathlib import Path

from synthetic_claims import claim_texts
from synthetic_figures import figures, hostile_figure
from synthetic_records import HOSTILE, healthy_records, hostile_records

from ilr_check.evidence import Manifest, PlannedUnit, RunFolder


def build(path: Path, *, hostile: bool = True) -> RunFolder:
    """Write the run folder and return it."""
    records = healthy_records() + (hostile_records() if hostile else [])
    units = tuple(PlannedUnit(key=r.unit, claim=r.claim, title=r.group) for r in records)
    if hostile:
        units += (PlannedUnit(key="late", claim="mixing-time", title=f"function space {HOSTILE}"),)
    manifest = Manifest(
        command="ilr-check verify --claims core --profile quick" + (f" --out {HOSTILE}" if hostile else ""),
        created="2026-01-15T09:30:00Z",
        settings={
            "claims": "core",
            "executor": None,
            "batch": 64,
            "hostile" if hostile else "looks": HOSTILE,
        },
        versions={"python": "3.12.3", "ilr-check": "0.1.0", "torch": "2.13.0", "numpy": "2.3.1"},
        hardware={"system": "Linux x86_64", "cores": 2, "threads": 2, "gpu": None},
        git={"commit": "3c0b740d2f1", "dirty": False},
        claims=claim_texts(),
        units=units,
        budget={
            "total": 1e-3,
            "inconclusive": 1e-2,
            "planned": {"sqrt-recovery/mlp-bn": 5e-4, "mixing-time/slope": 4e-4, "mixing-time/gpu": 1e-4},
            "spent": {"sqrt-recovery/mlp-bn": 5e-4, "mixing-time/slope": 4e-4},
            "skipped": {"mixing-time/gpu": "no GPU here"},
            "spent_total": 9e-4,
        },
        status="interrupted" if hostile else "complete",
        seconds=187.4,
    )
    if not hostile:
        manifest.settings.pop("looks")
    folder = RunFolder.create(path, manifest)
    folder.append(records)
    for figure in figures() + ([hostile_figure()] if hostile else []):
        folder.save_figure(figure)
    return folder
