"""The parts of the page about one claim."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from markupsafe import Markup

from ilr_check.evidence import ClaimText, Figure, PlannedUnit, Record, verdict_order
from ilr_check.reporting import plots, svg, tables
from ilr_check.reporting.prepared import Prepared, prepare
from ilr_check.reporting.tables import Table


@dataclass(frozen=True)
class PageFigure:
    """A figure with its drawings and the table of its numbers, each made when the page asks for it."""

    figure: Figure

    @cached_property
    def prepared(self) -> Prepared:
        """Return the figure with its series in the order of drawing."""
        return prepare(self.figure)

    @property
    def title(self) -> str:
        """Return the title, with a tensor named as the weights that it holds."""
        return re.sub(r",? ?\b([\w.]+)\.weight\b", r", weights of \1", self.figure.title)

    @property
    def entries(self) -> frozenset[tuple[str, str, str, str]]:
        """Return the entries of its legend, which is not repeated below another figure's."""
        return frozenset(mark.entry for mark in self.prepared.marks)

    @cached_property
    def svg(self) -> Markup:
        """Return the static drawing."""
        return Markup(svg.draw(self.prepared))

    @cached_property
    def script(self) -> Markup:
        """Return the data of the interactive drawing."""
        return Markup(plots.script(self.prepared))

    @cached_property
    def tables(self) -> tuple[Table, ...]:
        """Return the numbers behind the drawing, a table for each set of places on the x axis."""
        return tables.tables(self.prepared)


@dataclass(frozen=True)
class UnitPart:
    """The records of one unit of work: one net or one setting."""

    key: str
    records: tuple[Record, ...]

    @property
    def title(self) -> str:
        """Return the title of its subject, or the group that its records share."""
        title = self.records[0].subject.get("title")
        return title if isinstance(title, str) else self.records[0].group

    @property
    def subject(self) -> dict[str, Any]:
        """Return the full settings."""
        return self.records[0].subject

    @property
    def replays(self) -> tuple[str, ...]:
        """Return the commands that judge it again."""
        return tuple(dict.fromkeys(record.replay for record in self.records if record.replay))


@dataclass(frozen=True)
class ClaimPart:
    """One claim: its text, roll-up, records and figures, the figure that answers it first."""

    text: ClaimText
    verdict: str
    records: tuple[Record, ...]
    units: tuple[UnitPart, ...]
    hidden: int
    deciding: Record | None
    tally: dict[str, int]
    figures: tuple[PageFigure, ...]
    unfinished: tuple[PlannedUnit, ...]

    @property
    def failed(self) -> bool:
        """Return whether somebody has to act on it."""
        return self.verdict in verdict_order.FAILED
