"""The table of promised and measured rates, for the docs and for the footer of reports."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ilr_check.stats.calibration.measure import CONFIDENCE, Cell, failing

SUMMARY = Path(__file__).resolve().parent.parent / "calibration.json"
"""The figures that are part of the package."""
COMMAND = "python -m ilr_check.stats.calibration"

HEAD = """# Calibration: the judge, judged

`{command} --replicates {replicates} --seed {seed}` writes this page; do not edit it.

The page shows every decision rule of `ilr_check.stats` on data whose truth is known.

- *False fail*: how often the rule says `violated` although the truth lies within the margin. It is measured
  at the end of the margin, where it is most frequent.
- *False pass*: how often the rule says `holds` although the truth is at the end of the margin.
- *Power*: how often the rule says `violated` for a deviation that the design calls `detectable`.
- `at` is the true deviation from theory. The promise is the nominal rate, and 0.95 for power.
- *Inflation* is the measured rate over the promised one (for power: misses over permitted misses). A number
  above 1 is worse than promised.
- *Noticed* is how often the rule said that the runs are not normal.

A cell breaks its promise if its exact binomial limit does, at {confidence:.0%} over all {cells} cells at once
(Clopper and Pearson, Bonferroni). **{failing} of {covered} covered cells break their promise.** The worst
inflation of a covered cell is **{worst:.2f}**, and that of its lower limit is {worst_low:.2f}. The promise
does not cover the situations of {outside} cells; they are at the end of the page, with the reason.
"""


def worst_first(cells: Sequence[Cell]) -> list[Cell]:
    """Return cells sorted by falling inflation."""
    return sorted(
        cells, key=lambda cell: (-cell.inflation, cell.decision, cell.situation, cell.what, cell.at)
    )


def summary(cells: Sequence[Cell], *, replicates: int, seed: int) -> dict[str, Any]:
    """Return the few figures that the footer of a report shows."""
    covered = [cell for cell in cells if not cell.outside]
    ranked = worst_first(covered)
    decisions: dict[str, dict[str, float]] = {}
    for cell in ranked:
        worst = decisions.setdefault(cell.decision, {})
        worst.setdefault(cell.what, round(cell.inflation, 3))
    powers = [cell.measured for cell in covered if cell.what == "power"]
    return {
        "command": f"{COMMAND} --replicates {replicates} --seed {seed}",
        "replicates": replicates,
        "cells": len(covered),
        "cells_not_covered": len(cells) - len(covered),
        "failing": len(failing(cells)),
        "confidence": CONFIDENCE,
        "worst_inflation": round(ranked[0].inflation, 3),
        "worst": _plain(ranked[0]),
        "worst_inflation_by_decision": dict(sorted(decisions.items())),
        "lowest_power_at_detectable": round(min(powers), 4) if powers else None,
    }


def _plain(cell: Cell) -> dict[str, Any]:
    return {
        "decision": cell.decision,
        "situation": cell.situation,
        "what": cell.what,
        "nominal": cell.nominal,
        "promised": cell.promised,
        "measured": round(cell.measured, 6),
        "low": round(cell.low, 6),
        "high": round(cell.high, 6),
        "replicates": cell.replicates,
    }


def _row(cell: Cell) -> str:
    return (
        f"| {cell.decision} | {cell.situation} | {cell.what} | {cell.at:.3g} | {cell.nominal:g} "
        f"| {cell.promised:g} | {cell.measured:.3g} "
        f"| {cell.low:.2g} to {cell.high:.2g} | {cell.inflation:.2f} "
        f"| {'' if cell.what == 'power' else f'{cell.noticed:.1%}'} |"
    )


def markdown(cells: Sequence[Cell], *, replicates: int, seed: int) -> str:
    """Return the page for the docs."""
    covered = [cell for cell in cells if not cell.outside]
    ranked = worst_first(covered)
    title = (
        "| decision | situation | what | at | nominal | promised | measured | limits | inflation | noticed |"
    )
    rule = "| --- | --- | --- | ---: | ---: | ---: | ---: | --- | ---: | ---: |"
    lines = [
        HEAD.format(
            command=COMMAND,
            replicates=replicates,
            seed=seed,
            confidence=CONFIDENCE,
            cells=len(cells),
            covered=len(covered),
            failing=len(failing(cells)),
            worst=ranked[0].inflation,
            worst_low=ranked[0].low / ranked[0].promised,
            outside=len(cells) - len(covered),
        ),
        "## Covered by the promise, worst first",
        "",
        title,
        rule,
        *map(_row, ranked),
        "",
        "## Not covered",
        "",
    ]
    others = worst_first([cell for cell in cells if cell.outside])
    for reason in dict.fromkeys(cell.outside for cell in others):
        lines += [f"{reason[0].upper()}{reason[1:]}.", "", title, rule]
        lines += [*(_row(cell) for cell in others if cell.outside == reason), ""]
    return "\n".join(lines).rstrip() + "\n"


def write(cells: Sequence[Cell], *, replicates: int, seed: int, docs: Path, figures: Path = SUMMARY) -> None:
    """Write the page and the figures."""
    docs.parent.mkdir(parents=True, exist_ok=True)
    docs.write_text(markdown(cells, replicates=replicates, seed=seed), encoding="utf-8")
    text = json.dumps(summary(cells, replicates=replicates, seed=seed), indent=2)
    figures.write_text(text + "\n", encoding="utf-8")
