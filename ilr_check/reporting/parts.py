"""The parts of the page about one claim."""

from __future__ import annotations

from dataclasses import dataclass

from ilr_check.evidence import ClaimText, Figure, PlannedUnit, Record, verdict_order
from ilr_check.reporting.intervals import Panel, Row
from ilr_check.reporting.plots import Plot


@dataclass(frozen=True)
class PageFigure:
    """A figure with its drawing, or ``plot=None`` where the page can only describe it."""

    figure: Figure
    plot: Plot | None


@dataclass(frozen=True)
class ClaimPart:
    """One claim: its text, roll-up, records, figures and interval plots."""

    text: ClaimText
    verdict: str
    records: tuple[Record, ...]
    hidden: int
    deciding: Record | None
    strip: Row | None
    tally: dict[str, int]
    figures: tuple[PageFigure, ...]
    panels: tuple[Panel, ...]
    unfinished: tuple[PlannedUnit, ...]

    @property
    def failed(self) -> bool:
        """Return whether somebody has to act on it."""
        return self.verdict in verdict_order.FAILED
