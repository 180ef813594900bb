"""The questions of the paper's reviewers. Each module of this package that has a ``QUESTION`` is found."""

from __future__ import annotations

import importlib
import pkgutil
import re
from functools import lru_cache
from importlib import resources

from ilr_check.questions.question import REVIEWERS, SYMBOLS, Question

__all__ = [
    "REVIEWERS",
    "SYMBOLS",
    "Question",
    "answered_by",
    "catalogue_size",
    "command",
    "is_here",
    "looks_like",
    "questions",
    "select",
]

ROOMS = ("exact", "mean_field", "function_space", "language_models")
"""The folders that contain claims."""
_WORD = re.compile(r"(?:questions|r[1-4](?:\.\w+)?)", re.IGNORECASE)


@lru_cache(maxsize=1)
def questions() -> dict[str, Question]:
    """Return every question by id, in the order of the reviews: first letters, then numbers."""
    modules = (
        importlib.import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__)
    )
    found = [module.QUESTION for module in modules if hasattr(module, "QUESTION")]
    found.sort(key=lambda question: _place(question.id))
    return {question.id: question for question in found}


def answered_by(claim: str) -> tuple[Question, ...]:
    """Return the questions that name this claim."""
    return tuple(question for question in questions().values() if claim in question.claims)


def is_here(claim: str) -> bool:
    """Return whether this version has the claim, which means that one of the folders has a file of its
    name."""
    name = f"{claim.replace('-', '_')}.py"
    return any((room / name).is_file() for room in (resources.files("ilr_check") / "claims").iterdir())


def catalogue_size() -> int:
    """Return how many claims this version has. It counts files, because claims are slow to import."""
    rooms = (resources.files("ilr_check") / "claims" / name for name in ROOMS)
    files = [entry.name for room in rooms for entry in room.iterdir()]
    return sum(name.endswith(".py") and not name.startswith("_") for name in files)


def command(question: Question) -> str:
    """Return the command that runs the question's claims, or "" if this version has none of them."""
    ids = ",".join(claim for claim in question.claims if is_here(claim))
    return f"ilr-check verify --claims {ids}" if ids else ""


def looks_like(word: str) -> bool:
    """Return whether a word names questions and not claims: R1.5, r1.5, R1 or questions."""
    return _WORD.fullmatch(word) is not None


def select(word: str) -> tuple[Question, ...]:
    """Return one question (R1.5), those of a review (R1) or all (questions).

    Raises ``ValueError`` for an unknown id.
    """
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
