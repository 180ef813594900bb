"""A question that a reviewer asked about the paper: how it is tested and what the theory answers."""

from __future__ import annotations

import msgspec

REVIEWERS = {
    "R1": "Review 1",
    "R2": "Review 2",
    "R3": "Review 3",
    "R4": "Review 4",
}

SYMBOLS = (
    "Symbols: η is the learning rate, λ the weight decay and λₑ = ηλ the intrinsic learning rate. w are the "
    "weights of one scale-invariant group, r is their norm, a = 1 − λₑ and γ = r⁴/η². The effective learning "
    "rate, effLR, is η/r². On the unit sphere, ∇L is the mean gradient, Σ the covariance of the gradient "
    "noise and G² the mean squared gradient. A star marks a value at equilibrium."
)
"""Explains the symbols that the texts of the questions share."""


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """One question of a reviewer, in our words. Measured numbers stand in records and never here."""

    id: str
    """Review and number, such as ``R1.5``, or a letter where the review has no number."""
    title: str
    question: str
    why: str
    """Why it is a good question."""
    experiment: str
    claims: tuple[str, ...]
    """Ids of the claims that answer the question, the most direct one first. Empty if no claim can."""
    equation: str
    answer: str
    """What the theory predicts. It does not depend on any run."""
    theory: tuple[str, ...] = ()
    """Functions of ``ilr_check.theory`` that compute the equation, written as ``module.name``."""
    open: str
    """What neither the theory nor the experiment decides."""

    @property
    def review(self) -> str:
        """The review that asked the question, such as ``Review 1``."""
        return REVIEWERS[self.id.partition(".")[0]]
