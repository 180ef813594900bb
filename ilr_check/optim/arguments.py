"""Parses constructor arguments as they are typed: ``name=value``. This module does not import torch."""

from __future__ import annotations

import ast
from typing import Any


def parse_argument(text: str) -> tuple[str, Any]:
    """Return the name and the value of ``name=value``.

    The value is a Python literal where it can be read as one, and a string otherwise. Raises ``ValueError``
    for text of another form.
    """
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise ValueError(f"{text!r} is not an argument; write name=value, such as eps=1e-8")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value
