"""The page of one claim in a terminal: what it says, what refutes it, what its failure means, where it is."""

from __future__ import annotations

import textwrap

from ilr_check.evidence import ClaimText

WIDTH = 88


def page(text: ClaimText) -> str:
    """The page as plain text, wrapped; equations and names of files are left in one piece."""
    kinds = {
        "exact": "exact: algebra up to a derived rounding bound, no probability",
        "statistical": "statistical: independent runs, with stated error rates",
        "distributional": "distributional: two populations of functions",
    }
    parts = [
        f"{text.id}: {text.title}",
        _wrapped(text.statement),
        f"    {text.equation}",
        "\n".join(
            (
                _entry("source", text.source),
                _entry("kind", kinds.get(text.kind, text.kind)),
                _entry("groups", ", ".join(text.groups)),
                _entry("rivals", "; ".join(text.rivals) or "none"),
                _entry("code", f"ilr_check/claims/{text.id.replace('-', '_')}.py"),
                _entry("run it", f"ilr-check verify --claims {text.id}"),
            )
        ),
        _wrapped(f"If it is violated: {text.meaning}"),
    ]
    if text.blind:
        parts.append(_wrapped(f"What it cannot see: {text.blind}"))
    return "\n\n".join(parts)


def _wrapped(words: str) -> str:
    return textwrap.fill(words, WIDTH, break_long_words=False, break_on_hyphens=False)


def _entry(name: str, words: str) -> str:
    return textwrap.fill(
        words,
        WIDTH,
        initial_indent=f"{name + ':':9}",
        subsequent_indent=" " * 9,
        break_long_words=False,
        break_on_hyphens=False,
    )
