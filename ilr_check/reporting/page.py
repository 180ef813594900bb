"""The contents of the HTML report as plain data, built from a run folder alone for the template."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ilr_check.evidence import ClaimText, Figure, Manifest, PlannedUnit, Record, verdict_order
from ilr_check.evidence.exit_codes import exit_code
from ilr_check.reporting import plots, residuals, verdicts
from ilr_check.reporting.intervals import panels, strip
from ilr_check.reporting.numbers import rate
from ilr_check.reporting.parts import ClaimPart, PageFigure
from ilr_check.reporting.residuals import ResidualChart

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
    residuals: ResidualChart | None
    """One figure shows all its exact claims."""


@dataclass(frozen=True)
class Headline:
    """The first screen: the answer, one sentence, and the exit code."""

    verdict: str
    answer: str
    sentence: str
    exit_code: int
    exit_meaning: str
    grades: str = ""
    """A sentence says how the statements that hold do so."""
    raw: str = ""
    """The result of the paper's wording, taken literally."""


@dataclass(frozen=True)
class BudgetView:
    """The error budget: sums first, then each planned decision with its alpha and its result."""

    totals: dict[str, Any]
    rows: tuple[tuple[str, float, str], ...]


@dataclass(frozen=True)
class Page:
    """The whole report."""

    manifest: Manifest
    headline: Headline
    tally: dict[str, int]
    worst_first: tuple[ClaimPart, ...]
    chapters: tuple[Chapter, ...]
    skipped: tuple[Record, ...]
    unfinished: tuple[PlannedUnit, ...]
    loose_figures: tuple[PageFigure, ...]
    statistical: tuple[Record, ...]
    budget: BudgetView
    titles: dict[str, str] = field(default_factory=dict)


def build(
    manifest: Manifest, records: Sequence[Record], figures: dict[str, Figure], *, draw: bool = True
) -> Page:
    """Assemble the page; ``draw=False`` leaves the drawings out."""
    limit = plots.points_per_series(list(figures.values()))
    drawn = {
        name: PageFigure(figure, plots.draw(figure, limit) if draw else None)
        for name, figure in figures.items()
    }
    done = {record.unit for record in records}
    unfinished = tuple(unit for unit in manifest.units if unit.key not in done)
    texts = _texts(manifest, records)
    parts = [_part(text, records, drawn, unfinished) for text in texts]
    used = {shown.figure.name for part in parts for shown in part.figures}
    return Page(
        manifest=manifest,
        headline=_headline(manifest, records, parts, unfinished),
        tally=verdicts.tally(part.verdict for part in parts),
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
    names = dict.fromkeys(record.figure for record in own if record.figure in drawn)
    counting = [r for r in own if r.counts and r.verdict != "skipped"]
    deciding = min(counting, key=_closeness, default=None)
    return ClaimPart(
        text=text,
        verdict=verdicts.worst(own),
        records=(*failed, *passed[:MAX_PASSED]),
        hidden=max(0, len(passed) - MAX_PASSED),
        deciding=deciding,
        strip=strip(deciding) if deciding else None,
        tally=verdicts.tally(r.verdict for r in own if r.counts),
        figures=tuple(drawn[name] for name in names),
        panels=panels(r for r in own if r.kind != "exact"),
        unfinished=tuple(unit for unit in unfinished if unit.claim == text.id),
    )


def _closeness(record: Record) -> tuple[int, bool, float]:
    """Return a sort key that puts the worst verdict first, then the record nearest to its margin.

    In a statistical claim what rests on algebra alone comes last: it judges the trainer, not the theory.
    """
    algebra = record.kind != "exact" and record.form in ("exact", "identity")
    low, high, value = record.margin.low, record.margin.high, record.measured.value
    room = float("inf")
    if record.kind == "exact" and value is not None and high:
        room = (high - value) / high
    elif low is not None and high is not None and value is not None and high > low:
        ends = [v for v in (value, record.measured.low, record.measured.high) if v is not None]
        room = min(min(v - low, high - v) for v in ends) / (high - low)
    return verdict_order.rank(record.verdict), algebra, room


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
            chapters.append(Chapter(chapter, title, lead, claims, residuals.chart(claims)))
    return tuple(chapters)


def _headline(
    manifest: Manifest,
    records: Sequence[Record],
    parts: Sequence[ClaimPart],
    unfinished: Sequence[PlannedUnit],
) -> Headline:
    allow = bool(manifest.settings.get("allow_inconclusive", False))
    code = exit_code(records, allow_inconclusive=allow)
    if manifest.status == "interrupted":
        code = 130
    verdict = min((part.verdict for part in parts), key=verdict_order.rank, default="not run")
    if verdict == "not run" and records and not unfinished:
        verdict = verdicts.worst(records)
    gate = "gate" in manifest.command.split()[:2]
    subject = "The optimizer keeps its laws" if gate else "Every claim that was judged holds"
    denied = "The optimizer breaks its laws" if gate else "The theory does not hold everywhere here"
    answer = {
        "holds": f"{subject}.",
        "expected_failure": f"{subject}, except where you said it would not.",
        "violated": f"{denied}.",
        "unexpected_pass": "A failure that you declared did not happen.",
        "inconclusive": "Undecided: the data do not settle it.",
        "error": "The run could not judge everything.",
        "skipped": "Nothing was judged.",
    }.get(verdict, "This run is not finished.")
    return Headline(
        verdict,
        answer,
        _sentence(parts, records, unfinished, verdict),
        code,
        verdicts.EXIT_MEANINGS[code],
        grades=verdicts.grades(records),
        raw=verdicts.raw_statements(records),
    )


def _sentence(
    parts: Sequence[ClaimPart],
    records: Sequence[Record],
    unfinished: Sequence[PlannedUnit],
    verdict: str,
) -> str:
    judged = [r for r in records if r.counts and r.verdict != "skipped"]
    agreeing = sum(r.verdict in ("holds", "expected_failure") for r in judged)
    concerned = [part.text.title for part in parts if part.verdict == verdict]
    ran = sum(part.verdict not in ("skipped", "not run") for part in parts)
    names = "; ".join(concerned[:3]) + (f"; and {len(concerned) - 3} more" if len(concerned) > 3 else "")
    what = verdicts.words(verdict)
    if verdict == "holds":
        start = f"All {ran} claims that were run hold" if ran != 1 else "The one claim that was run holds"
    elif concerned and ran:
        start = f"{len(concerned)} of {len(parts)} claims {'is' if len(concerned) == 1 else 'are'} "
        start += f"{what}: {names}" if verdict != "error" else f"stopped by an error: {names}"
    else:
        start = "No claim was judged"
    text = f"{start}. {agreeing} of {len(judged)} judged statements came out as the theory says."
    if unfinished:
        pieces = "piece" if len(unfinished) == 1 else "pieces"
        text += f" {len(unfinished)} planned {pieces} of work did not finish."
    return text
