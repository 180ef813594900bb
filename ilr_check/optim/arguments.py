"""Constructor arguments as they are typed: ``name=value``. Imports no torch."""

from __future__ import annotations

import ast
from typing import Any


def parse_argument(text: str) -> tuple[str, Any]:
    """``k=v`` as a name and a Python literal, or else a string; raises ``ValueError``."""
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise ValueError(f"{text!r} is not an argument; write name=value, such as eps=1e-8")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value
