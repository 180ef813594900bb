"""The last chapter of the report answers each question of the paper's reviewers from this run."""

from __future__ import annotations

from dataclasses import dataclass

from ilr_check.evidence import verdict_order
from ilr_check.questions import Question, command, is_here, questions
from ilr_check.reporting.page import Page
from ilr_check.reporting.parts import ClaimPart, PageFigure


@dataclass(frozen=True)
class Witness:
    """A claim that takes part in an answer; ``part`` is ``None`` where the run did not judge it."""

    claim: str
    part: ClaimPart | None
    here: bool
    """Return whether the installed version has the claim, so that it could be judged."""


@dataclass(frozen=True)
class Answer:
    """One question with the verdicts of this run; it has no verdict of its own."""

    question: Question
    witnesses: tuple[Witness, ...]
    command: str

    @property
    def judged(self) -> tuple[ClaimPart, ...]:
        """Return the claims of this run that concern the question."""
        return tuple(witness.part for witness in self.witnesses if witness.part is not None)

    @property
    def shown(self) -> ClaimPart | None:
        """Return the most direct claim of this run that has a figure."""
        return next((part for part in self.judged if part.figures), None)

    @property
    def figure(self) -> PageFigure | None:
        """Return one figure for the question; the others stand with their claims."""
        return self.shown.figures[0] if self.shown else None

    @property
    def verdict(self) -> str | None:
        """Return the worst verdict of its claims; ``None`` if the most direct one is open and none failed.

        A claim that holds beside an unjudged direct one is no answer yet, one that fails is news anyway.
        """
        worst = min((part.verdict for part in self.judged), key=verdict_order.rank, default=None)
        direct = bool(self.witnesses) and self.witnesses[0].part is not None
        return worst if direct or worst in verdict_order.FAILED else None

    @property
    def coverage(self) -> str:
        """Return ``answered``, ``partly`` or ``not run``, the state of its tile."""
        if not self.judged:
            return "not run"
        here = [witness for witness in self.witnesses if witness.here or witness.part is not None]
        open_verdicts = (None, "inconclusive", "error")
        whole = len(self.judged) == len(here) and self.verdict not in open_verdicts
        return "answered" if whole else "partly"

    @property
    def state(self) -> str:
        """Say how much of the answer this run has."""
        if not self.witnesses:
            return "nothing to measure"
        count, planned = len(self.judged), len(self.witnesses)
        if not count:
            return "not judged in this run"
        return f"{count} of {planned} claims judged" if planned > 1 else "judged"


def answers(page: Page) -> tuple[Answer, ...]:
    """Return every question in the order of the reviews; none for a run about an optimizer."""
    if "gate" in page.manifest.command.split()[:2]:
        return ()
    parts = {part.text.id: part for part in page.worst_first if part.verdict not in ("skipped", "not run")}
    return tuple(_answer(question, parts) for question in questions().values())


def _answer(question: Question, parts: dict[str, ClaimPart]) -> Answer:
    found = tuple(Witness(claim, parts.get(claim), is_here(claim)) for claim in question.claims)
    return Answer(question, found, command(question))
