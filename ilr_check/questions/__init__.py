"""What the paper's reviewers asked: one module a question, found by being here."""

from __future__ import annotations

import importlib
import pkgutil
import re
from functools import lru_cache
from importlib import resources

from ilr_check.questions.question import REVIEWERS, Question

__all__ = ["REVIEWERS", "Question", "answered_by", "command", "is_here", "looks_like", "questions", "select"]

_WORD = re.compile(r"(?:questions|r[1-4](?:\.\w+)?)", re.IGNORECASE)


@lru_cache(maxsize=1)
def questions() -> dict[str, Question]:
    """Every question by id, review after review: lettered before numbered, numbers by size."""
    modules = (
        importlib.import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__)
    )
    found = [module.QUESTION for module in modules if hasattr(module, "QUESTION")]
    found.sort(key=lambda question: _place(question.id))
    return {question.id: question for question in found}


def answered_by(claim: str) -> tuple[Question, ...]:
    """The questions that a claim takes part in answering."""
    return tuple(question for question in questions().values() if claim in question.claims)


def is_here(claim: str) -> bool:
    """Whether this version has the claim; by its file, because claims are found by being there."""
    return (resources.files("ilr_check") / "claims" / f"{claim.replace('-', '_')}.py").is_file()


def command(question: Question) -> str:
    """The command that measures what there is of the answer; empty where this version has no such claim."""
    ids = ",".join(claim for claim in question.claims if is_here(claim))
    return f"ilr-check verify --claims {ids}" if ids else ""


def looks_like(word: str) -> bool:
    """Whether a word names questions and not claims: R1.5, r1.5, R1 or questions."""
    return _WORD.fullmatch(word) is not None


def select(word: str) -> tuple[Question, ...]:
    """One question, those of a review (R1), or all (questions); raises ``ValueError`` for a stranger."""
    every = questions()
    name = word.casefold()
    found = tuple(
        question
        for question in every.values()
        if name in ("questions", question.id.casefold(), question.id.partition(".")[0].casefold())
    )
    if not found:
        raise ValueError(f"unknown question {word!r}; known are {', '.join(every)}")
    return found


def _place(name: str) -> tuple[str, bool, int, str]:
    review, _, number = name.partition(".")
    return review, number.isdigit(), int(number) if number.isdigit() else 0, number
