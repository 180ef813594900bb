"""What a reader asked of the paper: the question, how it is tested, and what the theory answers."""

from __future__ import annotations

import msgspec

REVIEWERS = {
    "R1": "Review 1",
    "R2": "Review 2",
    "R3": "Review 3",
    "R4": "Review 4",
}


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """One question of a reviewer, in our words; what was measured stands in records, never here."""

    id: str
    """Review and number, such as ``R1.5``; a letter where the review itself did not number."""
    title: str
    question: str
    why: str
    """Why it is a good question."""
    experiment: str
    claims: tuple[str, ...]
    """Ids of the claims that answer it, the most direct one first; empty where none can."""
    equation: str
    answer: str
    """What the theory predicts, whatever a run says of it."""
    theory: tuple[str, ...] = ()
    """Functions of ``ilr_check.theory`` that compute the equation, as ``module.name``."""
    open: str
    """What neither the theory nor the experiment settles."""

    @property
    def review(self) -> str:
        """Which of the four reviews asked it."""
        return REVIEWERS[self.id.partition(".")[0]]
