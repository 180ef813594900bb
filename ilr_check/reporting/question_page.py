"""Show a reviewer's question in a terminal: the question, the measurement, the prediction."""

from __future__ import annotations

from ilr_check.questions import SYMBOLS, Question, command, is_here
from ilr_check.reporting.claim_page import entry, formula, wrapped


def page(question: Question) -> str:
    """Return the page as plain text; without a run it gives the prediction and the command that judges it."""
    missing = [claim for claim in question.claims if not is_here(claim)]
    run_it = command(question)
    entries = [entry("from", question.review.lower()), entry("claims", ", ".join(question.claims) or "none")]
    if missing:
        entries.append(entry("missing", f"{', '.join(missing)}: not in this version"))
    if run_it:
        entries.append(entry("run it", run_it))
    parts = (
        wrapped(f"{question.id}: {question.title}"),
        wrapped(question.question),
        wrapped(f"Why it is a good question: {question.why}"),
        wrapped(SYMBOLS),
        wrapped(f"Experiment: {question.experiment}"),
        "\n".join(entries),
        formula(question.equation),
        wrapped(f"What the theory answers: {question.answer}"),
        wrapped(f"What remains open: {question.open}"),
    )
    return "\n\n".join(parts)
