"""An output of ``ilr-check`` is recognised by the bytes with which it begins.

A command may replace a file that carries the mark of what it is about to write. So a CI job can run again in
the same folder, and no other file is ever lost.
"""

from __future__ import annotations

import re

HEAD_BYTES = 4096
"""Every mark stands within this many first bytes."""
JSON_KEY = "made_by"
"""The first key of every JSON object that we write to a file that the user named."""
_NAMED = tuple(
    re.compile(pattern, re.DOTALL | re.IGNORECASE)
    for pattern in (
        rb'\s*\{\s*"made_by":\s*"ilr-check ([\w-]+)"',
        rb'\s*<!doctype html>.{0,300}?<meta name="generator" content="ilr-check ([\w-]+)">',
        rb"<!-- made by ilr-check ([\w-]+) -->",
    )
)
"""JSON, HTML and Markdown, which carry the name of the output."""
_FIXED = {
    "junit": re.compile(rb'<\?xml [^>]*\?>\s*<testsuites>\s*<testsuite name="ilr-check gate '),
    "sarif": re.compile(
        rb'\{\s*"\$schema":\s*"[^"]*",\s*"version":\s*"[^"]*",\s*"runs":\s*\[\s*\{\s*"tool":\s*\{\s*'
        rb'"driver":\s*\{\s*"name":\s*"ilr-check"'
    ),
}
"""Formats of other tools, whose layout names the tool already."""


def mark_of(head: bytes) -> str | None:
    """Return the name of the output that begins with ``head``, or ``None`` for a file of somebody else."""
    head = head[:HEAD_BYTES]
    for pattern in _NAMED:
        if found := pattern.match(head):
            return found[1].decode()
    return next((name for name, pattern in _FIXED.items() if pattern.match(head)), None)
