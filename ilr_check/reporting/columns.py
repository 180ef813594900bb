"""Lists in columns: one line an entry in a file, and lines that end between words on a terminal."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Sequence

NARROWEST = 30
"""A last column with less room than this goes on a line of its own."""
INDENT = 4


def terminal_width() -> int | None:
    """Return the width of the terminal; ``None`` where the output is a file or a pipe."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def entry(cells: Sequence[str], widths: Sequence[int], width: int | None) -> str:
    """Return an entry; all cells but the last are as wide as ``widths`` says, or wider if they need it.

    With a width no line is longer, unless a single word is, and the lines after the first are indented.
    """
    lead = "".join(f"{cell:{size}} " for cell, size in zip(cells, widths, strict=False))
    last = cells[-1]
    if width is None or len(lead) + len(last) <= width:
        return f"{lead}{last}".rstrip()
    if width - len(lead) >= NARROWEST:
        return _filled(last, width, lead, " " * len(lead))
    below = " " * INDENT
    return f"{lead.rstrip()}\n{_filled(last, width, below, below)}"


def _filled(words: str, width: int, first: str, rest: str) -> str:
    return textwrap.fill(
        words,
        width,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
