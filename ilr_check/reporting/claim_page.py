"""Show one claim in a terminal: its statement, what refutes it, what its failure means, its file."""

from __future__ import annotations

import textwrap

from ilr_check.evidence import ClaimText
from ilr_check.questions import answered_by

WIDTH = 79
"""A terminal of the usual 80 columns shows a page without broken lines."""


def page(text: ClaimText, home: str) -> str:
    """Return the page of a claim as wrapped plain text; ``home`` is the file that declares the claim."""
    kinds = {
        "exact": "exact: algebra up to a derived rounding bound, no probability",
        "statistical": "statistical: independent runs, with stated error rates",
        "distributional": "distributional: two populations of functions",
    }
    parts = [
        wrapped(f"{text.id}: {text.title}"),
        wrapped(text.statement),
        formula(text.equation),
        "\n".join(
            (
                entry("source", text.source),
                entry("kind", kinds.get(text.kind, text.kind)),
                entry("groups", ", ".join(text.groups)),
                entry("rivals", "; ".join(text.rivals) or "none"),
                *(entry("answers", f"{asked.id} {asked.title}") for asked in answered_by(text.id)),
                entry("code", home),
                entry("run it", f"ilr-check verify --claims {text.id}"),
            )
        ),
        wrapped(f"If it is violated: {text.meaning}"),
    ]
    if text.blind:
        parts.append(wrapped(f"What it cannot see: {text.blind}"))
    return "\n\n".join(parts)


def wrapped(words: str, width: int = WIDTH, indent: str = "") -> str:
    """Return a paragraph of at most this width; only a word that is longer alone is not broken."""
    return textwrap.fill(
        words, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def formula(equation: str) -> str:
    """Return a formula, indented; a long one goes on after a space."""
    return textwrap.fill(
        equation,
        WIDTH,
        initial_indent=" " * 4,
        subsequent_indent=" " * 8,
        break_long_words=False,
        break_on_hyphens=False,
    )


def entry(name: str, words: str) -> str:
    """Return a name and its text side by side, or one below the other where it is long."""
    return textwrap.fill(
        words,
        WIDTH,
        initial_indent=f"{name + ':':9}",
        subsequent_indent=" " * 9,
        break_long_words=False,
        break_on_hyphens=False,
    )
