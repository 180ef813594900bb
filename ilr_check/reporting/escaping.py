"""Names come from the code under test and are hostile: how each kind of output shows them as mere text."""

from __future__ import annotations

import re

SUBSTITUTE = "\N{REPLACEMENT CHARACTER}"
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_OBEYED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
# What Markdown, its tables, its autolinks and HTML give a meaning; line starts never begin with a name.
_MARKED = re.compile(r"""[<>&"'`*_\[\](){}|#@!~\\:$^]|(?<=www)\.""", re.IGNORECASE)


def one_line(text: str) -> str:
    """One line without control characters: a name must not move the cursor or forge a line.

    ``##[`` is taken apart, because a GitHub runner obeys ``##[command]`` wherever it stands in a line.
    """
    shown = "".join(letter if letter.isprintable() else SUBSTITUTE for letter in text)
    return shown.replace("##[", "## [")


def storable(text: str) -> str:
    """Text that UTF-8 can hold: lone surrogates, as in undecodable file names, are replaced."""
    return text.encode("utf-8", "replace").decode("utf-8") if not text.isascii() else text


def page_text(text: str) -> str:
    """A page without characters that a browser would obey: controls and turns of the writing."""
    return _OBEYED.sub(SUBSTITUTE, storable(text))


def xml_text(text: str) -> str:
    """Text with only the characters that XML 1.0 allows; markup is escaped by the writer of the tree."""
    return _NOT_XML.sub(SUBSTITUTE, text)


def markdown(text: str) -> str:
    """One line of prose in which nothing is markup, a link, an entity or the end of a table cell.

    A person is not mentioned either: a zero-width space follows each ``@``.
    """
    plain = one_line(" ".join(text.split()))
    return _MARKED.sub(lambda m: f"&#{ord(m[0])};" + ("&#8203;" if m[0] == "@" else ""), plain)


def markdown_code(text: str) -> str:
    """The same in the letters of code; not a code span, which a backquote in a table could end."""
    return f"<code>{markdown(text)}</code>"


def markdown_block(text: str, language: str = "") -> str:
    """A fenced block whose fence is longer than any run of backquotes inside."""
    body = "\n".join(one_line(line) for line in text.splitlines())
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", body)), default=0))
    return f"{fence}{language}\n{body}\n{fence}"


def workflow_command(kind: str, message: str, **properties: object) -> str:
    """A GitHub workflow command, such as an annotation; its values cannot end it or start another."""
    given = ",".join(
        f"{name}={_property(str(value))}" for name, value in properties.items() if value is not None
    )
    return f"::{kind} {given}::{_data(message)}"


def _data(text: str) -> str:
    lines = (one_line(line) for line in text.splitlines())
    return "%0A".join(line.replace("%", "%25") for line in lines)


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
