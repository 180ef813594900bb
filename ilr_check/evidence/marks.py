"""Recognises an output of ``ilr-check`` by its first bytes.

A command may replace a file only if the file has the mark of the output that the command will write. So a CI
job can run again in the same folder, and no other file is ever lost.
"""

from __future__ import annotations

import re

HEAD_BYTES = 4096
"""The number of first bytes that contain every mark."""
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
"""The marks of JSON, HTML and Markdown, which contain the name of the output."""
_FIXED = {
    "junit": re.compile(rb'<\?xml [^>]*\?>\s*<testsuites>\s*<testsuite name="ilr-check gate '),
    "sarif": re.compile(
        rb'\{\s*"\$schema":\s*"[^"]*",\s*"version":\s*"[^"]*",\s*"runs":\s*\[\s*\{\s*"tool":\s*\{\s*'
        rb'"driver":\s*\{\s*"name":\s*"ilr-check"'
    ),
}
"""The marks of formats that other tools define. Their layout already names the program that wrote them."""


def mark_of(head: bytes) -> str | None:
    """Return the name of the output that begins with ``head``, or ``None`` for a file of another program."""
    head = head[:HEAD_BYTES]
    for pattern in _NAMED:
        if found := pattern.match(head):
            return found[1].decode()
    return next((name for name, pattern in _FIXED.items() if pattern.match(head)), None)
