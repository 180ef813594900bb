"""The contents of the HTML report as plain data, built from a run folder alone for the template."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ilr_check.evidence import ClaimText, Figure, Manifest, PlannedUnit, Record, verdict_order
from ilr_check.reporting import deviation, forest, verdicts
from ilr_check.reporting.banner import Banner, banner
from ilr_check.reporting.causes import Cause, causes
from ilr_check.reporting.numbers import rate
from ilr_check.reporting.parts import ClaimPart, PageFigure, UnitPart

CHAPTERS = {
    "exact": ("Exact laws", "Algebra: they hold at every step, up to rounding. No statistics."),
    "mean-field": (
        "Mean-field laws",
        "Statistics over independent training runs, with stated error rates.",
    ),
    "function-space": (
        "Function space",
        "What the paper conjectured, and what its reviewers asked to see: populations of trained functions "
        "compared as distributions, and the laws in deep nets, under other norms and on more data.",
    ),
    "language-models": (
        "Language models",
        "Small transformers that predict the bytes of a text, with the optimizers that train large ones. The "
        "matrices that a norm follows are scale-invariant, and the others are judged beside them.",
    ),
}
MAX_PASSED = 100
"""This many records of a claim without problems are shown in full; the rest is counted."""


@dataclass(frozen=True)
class Chapter:
    """Claims of one kind, in the order of the manifest."""

    id: str
    title: str
    lead: str
    claims: tuple[ClaimPart, ...]
    forest: tuple[forest.Row, ...]


@dataclass(frozen=True)
class BudgetView:
    """The error budget: sums first, then each planned decision with its alpha and its result."""

    totals: dict[str, Any]
    rows: tuple[tuple[str, float, str], ...]


@dataclass(frozen=True)
class Page:
    """The whole report."""

    manifest: Manifest
    banner: Banner
    tally: dict[str, int]
    causes: tuple[Cause, ...]
    worst_first: tuple[ClaimPart, ...]
    chapters: tuple[Chapter, ...]
    skipped: tuple[Record, ...]
    unfinished: tuple[PlannedUnit, ...]
    loose_figures: tuple[PageFigure, ...]
    statistical: tuple[Record, ...]
    budget: BudgetView
    titles: dict[str, str] = field(default_factory=dict)


def build(manifest: Manifest, records: Sequence[Record], figures: dict[str, Figure]) -> Page:
    """Assemble the page."""
    drawn = {name: PageFigure(figure) for name, figure in figures.items()}
    done = {record.unit for record in records}
    unfinished = tuple(unit for unit in manifest.units if unit.key not in done)
    texts = _texts(manifest, records)
    parts = [_part(text, records, drawn, unfinished) for text in texts]
    used = {shown.figure.name for part in parts for shown in part.figures}
    return Page(
        manifest=manifest,
        banner=banner(manifest, records, parts, unfinished),
        tally=verdicts.tally(part.verdict for part in parts),
        causes=causes(parts),
        worst_first=tuple(sorted(parts, key=lambda part: verdict_order.rank(part.verdict))),
        chapters=_chapters(parts),
        skipped=tuple(record for record in records if record.verdict == "skipped" and record.counts),
        unfinished=unfinished,
        loose_figures=tuple(shown for name, shown in drawn.items() if shown.figure.name not in used),
        statistical=tuple(r for r in records if r.kind != "exact" and r.counts and r.verdict != "skipped"),
        budget=_budget(manifest.budget),
        titles={text.id: text.title for text in texts},
    )


def _texts(manifest: Manifest, records: Sequence[Record]) -> list[ClaimText]:
    """Return the claims of the manifest, then claims that only the records know."""
    texts = {text.id: text for text in manifest.claims}
    for record in records:
        if record.claim not in texts:
            texts[record.claim] = ClaimText(
                id=record.claim,
                title=record.claim,
                statement="",
                equation="",
                source="",
                kind=record.kind,
                chapter="exact" if record.kind == "exact" else "other",
                groups=(),
                rivals=(),
                meaning="",
            )
    return list(texts.values())


def _part(
    text: ClaimText,
    records: Sequence[Record],
    drawn: dict[str, PageFigure],
    unfinished: Iterable[PlannedUnit],
) -> ClaimPart:
    own = sorted((r for r in records if r.claim == text.id), key=lambda r: verdict_order.rank(r.verdict))
    failed = [r for r in own if r.verdict in verdict_order.FAILED and r.counts]
    passed = [r for r in own if r not in failed]
    counting = [r for r in own if r.counts and r.verdict != "skipped"]
    deciding = min(counting, key=_closeness, default=None)
    known = sum(map(verdicts.is_departure, own))
    tally = verdicts.tally(r.verdict for r in own if r.counts and not verdicts.is_departure(r))
    # The figure that answers the claim is that of the statement that decides it.
    lead = [deciding] if deciding is not None else []
    names = dict.fromkeys(record.figure for record in [*lead, *own] if record.figure in drawn)
    shown = (*failed, *passed[:MAX_PASSED])
    return ClaimPart(
        text=text,
        verdict=verdicts.worst(own),
        records=shown,
        units=_units(shown),
        hidden=max(0, len(passed) - MAX_PASSED),
        deciding=deciding,
        tally=tally | ({f"known departure{'s' * (known > 1)}": known} if known else {}),
        figures=tuple(drawn[name] for name in names),
        unfinished=tuple(unit for unit in unfinished if unit.claim == text.id),
    )


def _units(records: Sequence[Record]) -> tuple[UnitPart, ...]:
    """Return the records by unit, which share their subject and how they are repeated."""
    grouped: dict[str, list[Record]] = {}
    for record in records:
        grouped.setdefault(record.unit, []).append(record)
    return tuple(UnitPart(key, tuple(found)) for key, found in grouped.items())


def _closeness(record: Record) -> tuple[bool, int, bool, float]:
    """Return a sort key that puts the worst verdict first, then the record nearest to its margin.

    A known departure comes last, because it does not decide. In a statistical claim what rests on algebra
    alone comes last among equals: it judges the trainer, not the theory.
    """
    algebra = record.kind != "exact" and record.form in ("exact", "identity")
    rank = verdict_order.rank(record.verdict)
    return verdicts.is_departure(record), rank, algebra, -deviation.reach(record)


def _budget(stored: dict[str, Any]) -> BudgetView:
    """Return the budget for the page: its sums, and a row for each planned decision with its alpha."""
    planned, spent, skipped = (stored.get(key, {}) for key in ("planned", "spent", "skipped"))
    if not all(isinstance(part, dict) for part in (planned, spent, skipped)):
        return BudgetView(stored, ())
    totals = {key: value for key, value in stored.items() if not isinstance(value, dict)}
    if planned:
        totals |= {"planned": f"{rate(sum(planned.values()))} over {len(planned)} decisions"}
        totals |= {"spent": f"{rate(sum(spent.values()))} on {len(spent)} decisions", "skipped": len(skipped)}
        totals.pop("spent_total", None)
    rows = tuple(
        (name, share, "spent" if name in spent else str(skipped.get(name, "not decided")))
        for name, share in planned.items()
    )
    return BudgetView(totals, rows)


def _chapters(parts: Sequence[ClaimPart]) -> tuple[Chapter, ...]:
    found = dict.fromkeys([*CHAPTERS, *(part.text.chapter for part in parts)])
    chapters = []
    for chapter in found:
        claims = tuple(part for part in parts if part.text.chapter == chapter)
        title, lead = CHAPTERS.get(chapter, (chapter.replace("-", " ").capitalize(), ""))
        if claims:
            chapters.append(Chapter(chapter, title, lead, claims, tuple(map(forest.row, claims))))
    return tuple(chapters)
