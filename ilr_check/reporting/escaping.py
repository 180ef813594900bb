"""Escape names for each kind of output: they come from the code under test and can be hostile."""

from __future__ import annotations

import re

SUBSTITUTE = "\N{REPLACEMENT CHARACTER}"
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_OBEYED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
# These characters have a meaning in Markdown, its tables, its autolinks or HTML.
_MARKED = re.compile(r"""[<>&"'`*_\[\](){}|#@!~\\:$^]|(?<=www)\.""", re.IGNORECASE)


def one_line(text: str) -> str:
    """Return one line without control characters: a name must not move the cursor or forge a line.

    ``##[`` is taken apart, because a GitHub runner obeys ``##[command]`` wherever it stands in a line.
    """
    shown = "".join(letter if letter.isprintable() else SUBSTITUTE for letter in text)
    return shown.replace("##[", "## [")


def storable(text: str) -> str:
    """Return text that UTF-8 can hold: replace lone surrogates, as in undecodable file names."""
    return text.encode("utf-8", "replace").decode("utf-8") if not text.isascii() else text


def page_text(text: str) -> str:
    """Remove characters that a browser would obey: controls and changes of the writing direction."""
    return _OBEYED.sub(SUBSTITUTE, storable(text))


def xml_text(text: str) -> str:
    """Return only the characters that XML 1.0 allows; the writer of the tree escapes markup."""
    return _NOT_XML.sub(SUBSTITUTE, text)


def markdown(text: str) -> str:
    """Return one line of prose without markup, links, entities or the end of a table cell.

    A person is not mentioned either: a zero-width space follows each ``@``.
    """
    plain = one_line(" ".join(text.split()))
    return _MARKED.sub(lambda m: f"&#{ord(m[0])};" + ("&#8203;" if m[0] == "@" else ""), plain)


def markdown_code(text: str) -> str:
    """Return the same in the letters of code, without a code span, which a backquote in a table could end."""
    return f"<code>{markdown(text)}</code>"


def markdown_block(text: str, language: str = "") -> str:
    """Return a fenced block whose fence is longer than any run of backquotes inside."""
    body = "\n".join(one_line(line) for line in text.splitlines())
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", body)), default=0))
    return f"{fence}{language}\n{body}\n{fence}"


def workflow_command(kind: str, message: str, **properties: object) -> str:
    """Return a GitHub workflow command, such as an annotation; its values cannot end it or start another."""
    given = ",".join(
        f"{name}={_property(str(value))}" for name, value in properties.items() if value is not None
    )
    return f"::{kind} {given}::{_data(message)}"


def _data(text: str) -> str:
    lines = (one_line(line) for line in text.splitlines())
    return "%0A".join(line.replace("%", "%25") for line in lines)


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
